//! The neurons that are strongest at a text, as `neuron_view` tells them, against what `fmrai neuron` says of each.

use std::path::Path;

use fmrai_core::tolerance::Tolerance;
use serde_json::json;

use crate::common::{ROOT, assert_exit, fmrai, json_file};

#[test]
fn the_strongest_neurons_are_those_that_answer_so_when_asked_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "the cat sat on the mat and looked at the dog";
    let model = Path::new(ROOT).join("tests/reference/decoders/gpt2").canonicalize().unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": model },
        "data": { "type": "texts", "texts": [text] },
        "analyses": [{ "type": "neuron_view", "top": 3, "top_tokens": 4 }],
        "output": "out"
    });
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    assert_exit(&fmrai(&["run", file.to_str().unwrap(), "--threads", "1"]), 0);
    let mut table = csv::Reader::from_path(folder.path().join("out/neuron_view/tables/neurons.csv")).unwrap();
    let names = table.headers().unwrap().clone();
    let column = |name: &str| names.iter().position(|own| own == name).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert!(rows.len() >= 6 && rows.len().is_multiple_of(3), "{rows:?}");
    let number = |row: &csv::StringRecord, name: &str| row[column(name)].parse::<f64>().unwrap();
    // Of each layer the one that writes most comes first.
    for layer in rows.chunks(3) {
        let written: Vec<f64> = layer.iter().map(|row| number(row, "written")).collect();
        assert!(written.is_sorted_by(|one, other| one >= other), "{written:?}");
    }
    let mut asked = 0;
    for row in rows.iter().filter(|row| number(row, "coefficient") > 0.0) {
        let told = folder.path().join("neuron.json");
        let label = &row[column("label")];
        let arguments = [
            "neuron",
            model.to_str().unwrap(),
            label,
            "--text",
            text,
            "--top",
            "4",
            "--json",
            told.to_str().unwrap(),
        ];
        assert_exit(&fmrai(&arguments), 0);
        let told = json_file(&told);
        let coefficient = told["triggers"][0]["coefficient"].as_f64().unwrap();
        let found = number(row, "coefficient");
        assert!(Tolerance::ACTIVATION.accepts(found, coefficient), "{label}: {found} and {coefficient}");
        let position = told["triggers"][0]["position"].as_u64().unwrap();
        assert_eq!(number(row, "position") as u64, position, "{label}");
        let promotes = told["promotes"].as_array().unwrap();
        let first = promotes[0]["text"].as_str().unwrap().trim();
        assert!(
            row[column("promotes")].contains(first),
            "{label}: {} has no {first:?}",
            &row[column("promotes")]
        );
        asked += 1;
    }
    assert!(asked > 0, "no neuron answers with more than 0");
}
