//! What version 0.2 wrote stays readable: stored activations, the checkpoint of an unfinished run, results
//! (`tests/reference/version-0.2`).
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::tolerance::Tolerance;
use serde_json::json;
use tempfile::TempDir;

use crate::common::{ROOT, copy, err, fmrai, json_file, reference};

/// What another processor makes of float32 activations, after logarithms and small differences of them.
const ROUNDED: Tolerance = Tolerance { absolute: 1e-4, relative: 1e-4 };

/// A copy of the files, and of the model beside them.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(ROOT).join("tests/reference/version-0.2"), &folder.path().join("version-0.2"));
    copy(&reference("minilm"), &folder.path().join("models/minilm"));
    let inside = folder.path().join("version-0.2");
    (folder, inside)
}

/// The tables of an analysis by name.
fn tables(analysis: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(analysis.join("tables")).unwrap().map(Result::unwrap);
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(file.path()).unwrap())
        })
        .collect()
}

/// Holds tables equal: numbers up to what another processor rounds otherwise, since those that are stored were made on one.
#[track_caller]
fn agree(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, table) in found {
        let cells = |table: &str| -> Vec<Vec<String>> {
            table.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
        };
        let (found, expected) = (cells(table), cells(&expected[name]));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            match (found.parse::<f64>(), expected.parse::<f64>()) {
                (Ok(a), Ok(b)) => {
                    ROUNDED.check(&[a], &[b]).unwrap_or_else(|e| panic!("{name}: {e}"));
                }
                _ => assert_eq!(found, expected, "{name}"),
            }
        }
    }
}

fn run(folder: &Path, plan: &str) {
    let output = fmrai(&["run", folder.join(plan).to_str().unwrap()]);
    assert!(output.status.success(), "{plan}: {}", err(&output));
}

#[test]
fn an_analysis_runs_from_stored_activations() {
    let (_place, folder) = place();
    let analyses = json!([{ "type": "attention_patterns" }]);
    let stored = json!({ "format": 1, "activations": "activations/activations", "analyses": analyses, "output": "stored" });
    let mut live = json_file(&folder.join("capture.json"));
    live.as_object_mut().unwrap().remove("capture");
    live["analyses"] = analyses;
    live["output"] = "live".into();
    for (name, plan) in [("stored", stored), ("live", live)] {
        std::fs::write(folder.join(format!("{name}.json")), plan.to_string()).unwrap();
        run(&folder, &format!("{name}.json"));
    }
    let found = tables(&folder.join("stored/attention_patterns"));
    assert!(!found.is_empty());
    agree(&found, &tables(&folder.join("live/attention_patterns")));
}

#[test]
fn an_interrupted_run_is_finished() {
    let (_place, folder) = place();
    let written = json_file(&folder.join("interrupted/.checkpoint/checkpoint.json"));
    let resumed = fmrai(&["run", folder.join("interrupted.json").to_str().unwrap(), "--resume"]);
    let said = err(&resumed);
    if !resumed.status.success() {
        // With another libtorch than the one that it began with, a run is not gone on with.
        let libtorch = written["identity"]["versions"]["libtorch"].as_str().unwrap();
        assert!(said.contains("libtorch") && said.contains(libtorch), "{said}");
        return;
    }
    for analysis in ["attention_patterns", "ffn_key_value"] {
        let (found, expected) =
            (folder.join("interrupted").join(analysis), folder.join("results").join(analysis));
        let mut expected = tables(&expected);
        // That version had triggers at the floor of GELU.
        if let Some(triggers) = expected.get_mut("triggers.csv") {
            let kept = triggers.lines().filter(|line| line.split(',').nth(2) != Some("-1"));
            *triggers = kept.map(|line| format!("{line}\n")).collect();
        }
        agree(&tables(&found), &expected);
    }
    assert!(!folder.join("interrupted/.checkpoint").exists());
}
