//! Streams read in the vocabulary, from a model to the tables: against PyTorch, and against the model's own logits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{ROOT, assert_exit, fmrai, json_file, reference};
use fmrai_core::structure::Structure;
use fmrai_core::tensor::from_safetensors;
use fmrai_core::tolerance::Tolerance;
use fmrai_core::tracker::{BoxError, Tracker};
use fmrai_models::HfCheckpoint;
use fmrai_plugins::lens::{From, Lens};
use fmrai_torch::capture::DispatchTracker;
use fmrai_torch::model::{LoadContext, LoadedWeights, ModelSource, NamedTensors};
use fmrai_torch::{Device, Tensor};
use serde_json::{Value, json};

/// Decoders of `tests/reference/decoders`, one of each kind of last map.
const DECODERS: [&str; 11] = [
    "gpt2",
    "gpt2-scaled",
    "gpt_neox",
    "gpt_neox-sequential",
    "llama",
    "llama-llama3",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
];

/// Exported models whose last map is of another kind.
const EXPORTED: [&str; 5] = ["bert_mlm", "albert_mlm", "granite", "cohere", "bart"];

fn folder() -> PathBuf {
    Path::new(ROOT).join("tests/reference/lens").canonicalize().unwrap()
}

/// Runs the analysis and gives its summary and the folder of its files.
fn analysed(folder: &Path, model: &Value, data: &Value, config: &Value) -> (Value, PathBuf) {
    let mut analysis = json!({ "type": "ffn_key_value", "name": "memories", "triggers": 2, "cards": 0,
        "composition_positions": 100_000 });
    for (name, value) in config.as_object().unwrap() {
        analysis[name] = value.clone();
    }
    let plan = json!({ "format": 1, "model": model, "data": data, "analyses": [analysis], "output": "out" });
    let file = folder.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    assert_exit(&fmrai(&["run", file.to_str().unwrap()]), 0);
    let out = folder.join("out/memories");
    (json_file(&out.join("summary.json"))["summary"].clone(), out)
}

/// Columns of a table as numbers.
fn table(folder: &Path, name: &str) -> Vec<(String, Vec<f64>)> {
    let text = std::fs::read_to_string(folder.join(format!("tables/{name}.csv"))).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let column = |i: usize| rows.iter().map(|row| row[i].parse().unwrap()).collect();
    names.iter().enumerate().map(|(i, name)| ((*name).to_owned(), column(i))).collect()
}

/// Compares everything that the reference has of a model.
fn check(name: &str, summary: &Value, out: &Path) {
    let expected = &json_file(&folder().join("expected.json"))["models"][name];
    let reading = &summary["reading"];
    assert_eq!(reading["positions"], expected["positions"], "{name}: {reading}");
    assert_eq!(reading["top_token_agreement"], 1.0, "{name}: {reading}");
    assert!(reading["largest_logit_difference"].as_f64().unwrap() < 1e-4, "{name}: {reading}");
    assert_eq!(summary["warnings"], json!([]), "{name}");
    assert_eq!(summary["values_read_by"], expected["values"], "{name}");
    let columns = expected["composition"].as_object().unwrap();
    if columns.is_empty() {
        assert!(!out.join("tables/composition.csv").exists(), "{name}: its blocks run in parallel");
        return;
    }
    let found = table(out, "composition");
    for (column, values) in columns {
        let wanted: Vec<f64> = serde_json::from_value(values.clone()).unwrap();
        let (_, found) = found.iter().find(|(name, _)| name == column).unwrap();
        let near =
            found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{name} {column}: {found:?}, not {wanted:?}");
    }
}

#[test]
fn predictions_of_decoders_are_composed_as_pytorch_says() {
    for name in DECODERS {
        let folder = tempfile::tempdir().unwrap();
        let model = Path::new(ROOT).join("tests/reference/decoders").join(name).canonicalize().unwrap();
        let data = json!({ "type": "text", "path": self::folder().join("texts.txt"), "batch_size": 5 });
        let model = json!({ "type": "hf_checkpoint", "path": model });
        let (summary, out) = analysed(folder.path(), &model, &data, &json!({}));
        check(name, &summary, &out);
    }
}

#[test]
fn heads_of_other_kinds_are_followed_too() {
    for name in EXPORTED {
        let folder = tempfile::tempdir().unwrap();
        let path = |end: &str| self::folder().join(format!("{name}.{end}"));
        let model = json!({ "type": "exported_program", "path": path("pt2") });
        let data = json!({ "type": "tensors", "path": path("safetensors"), "batch_size": 6 });
        let (summary, out) = analysed(folder.path(), &model, &data, &json!({}));
        check(name, &summary, &out);
        if name == "bart" {
            let left_out = summary["left_out"].to_string();
            assert!(
                left_out.contains("its positions are those of input_ids, not of decoder_input_ids"),
                "{left_out}"
            );
        }
    }
}

/// Rounding at every operation as the model does it keeps the reading its own in 16 bits too.
#[test]
fn models_of_16_bits_are_read_as_they_round() {
    for (name, dtype) in
        [("gemma3", "bfloat16"), ("gemma2", "float16"), ("llama", "bfloat16"), ("gpt2", "float16")]
    {
        let folder = tempfile::tempdir().unwrap();
        let model = Path::new(ROOT).join("tests/reference/decoders").join(name).canonicalize().unwrap();
        let data = json!({ "type": "text", "path": self::folder().join("texts.txt"), "batch_size": 5 });
        let model = json!({ "type": "hf_checkpoint", "path": model, "dtype": dtype });
        let (summary, _) = analysed(folder.path(), &model, &data, &json!({}));
        let reading = &summary["reading"];
        let share = reading["top_token_agreement"].as_f64().unwrap();
        assert!(share >= 0.99, "{name} {dtype}: {reading}");
        assert!(reading["largest_logit_difference"].as_f64().unwrap() < 0.07, "{name} {dtype}: {reading}");
    }
}

#[test]
fn an_embedding_in_place_of_a_map_is_warned_of_wherever_it_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), crate::common::sentences(12)).unwrap();
    let model = json!({ "type": "hf_checkpoint", "path": reference("minilm") });
    let data = json!({ "type": "text", "path": "texts.txt", "batch_size": 6 });
    let (summary, out) =
        analysed(folder.path(), &model, &data, &json!({ "tied_embedding": true, "cards": 3 }));
    assert_eq!(summary["vocabulary_map"], "token embedding");
    assert_eq!(summary["reading"]["unchecked"], "the map is not the model's");
    let warning = summary["warnings"][0].as_str().unwrap();
    assert!(warning.contains("no predictions of the model"), "{warning}");
    for figure in ["composition", "agreement", "rank", "memory_cards"] {
        let caption = json_file(&out.join(format!("figures/{figure}.json")))["caption"].to_string();
        assert!(caption.contains("no predictions of the model"), "{figure}: {caption}");
    }
    // Without it, what needs a vocabulary is left out, and nothing is to be warned of.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), crate::common::sentences(12)).unwrap();
    let (summary, out) = analysed(folder.path(), &model, &data, &json!({}));
    assert_eq!((summary.get("warnings"), summary.get("reading")), (None, None));
    assert!(!out.join("tables/composition.csv").exists());
}

/// All decoders of the references.
const ALL: [&str; 15] = [
    "gemma2",
    "gemma3",
    "gemma3-vision",
    "gpt2",
    "gpt2-scaled",
    "gpt_neox",
    "gpt_neox-sequential",
    "llama",
    "llama-dynamic",
    "llama-linear",
    "llama-llama3",
    "llama-yarn",
    "mistral",
    "qwen2",
    "qwen3",
];

/// Recorded without a plan: what the lens makes of the last stream is what transformers computes.
#[test]
fn the_last_stream_of_every_decoder_gives_the_logits_of_transformers() {
    for name in ALL {
        let folder = Path::new(ROOT).join("tests/reference/decoders").join(name);
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let expected: BTreeMap<_, _> = from_safetensors(&bytes).unwrap().0.into_iter().collect();
        let context = LoadContext::new(Path::new("."), Device::Cpu);
        let model = HfCheckpoint::new(&folder).load(&context).unwrap();
        let int64 = |name: &str| {
            let value = &expected[name];
            let shape: Vec<i64> = value.shape().iter().map(|&n| n as i64).collect();
            let row = Tensor::from_slice(value.i64().unwrap()).unwrap();
            (name.to_owned(), row.reshape(&shape).unwrap())
        };
        let inputs = NamedTensors(vec![int64("input_ids"), int64("attention_mask")]);
        let mut tracker = DispatchTracker::new().unwrap();
        for (name, tensor) in model.parameters() {
            tracker.name_parameter(&name, &tensor);
        }
        for (name, tensor) in &inputs.0 {
            tracker.name_input(name, tensor);
        }
        let mut forward = || -> Result<(), BoxError> {
            model.forward(&inputs)?;
            Ok(())
        };
        let graph = tracker.discover(&mut forward).unwrap();
        let lens = Lens::find(graph.as_ref(), &Structure::of(graph.as_ref())).unwrap();
        let kept = tracker.track(&[lens.stream()].into_iter().collect(), &mut forward).unwrap();
        let stream = kept.tensor(lens.stream()).unwrap().unwrap();
        let weights = LoadedWeights::of(model.as_ref(), graph.as_ref());
        let lens = lens.load(&weights).unwrap();
        let read = lens.logits_of(stream.f32().unwrap(), From::Stream).unwrap();

        let (mask, logits) = (expected["attention_mask"].i64().unwrap(), expected["logits"].view());
        let logits = logits.f32().unwrap().chunks(lens.tokens());
        let mut compared = 0;
        let rows = read.chunks(lens.tokens()).zip(logits).zip(mask).filter(|(_, mask)| **mask == 1);
        for ((row, logits), _) in rows {
            Tolerance::ACTIVATION.check(row, logits).unwrap_or_else(|e| panic!("{name}: {e}"));
            let top = |all: &[f32]| all.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            assert_eq!(top(row), top(logits), "{name}");
            compared += 1;
        }
        assert_eq!(compared, mask.iter().sum::<i64>(), "{name}");
    }
}
