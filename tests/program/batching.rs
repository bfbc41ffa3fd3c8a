//! Analyses do not depend on how samples share batches: each run is compared with one of batch size 1, and, where samples were
//! computed one by one by NumPy, with that (`tests/reference/attention/streams.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{ROOT, assert_exit, err, fmrai, json_file, reference, sentences};
use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use serde_json::{Value, json};

/// Numbers computed in float16, whose sums depend on the sizes of what is multiplied.
const HALF: Tolerance = Tolerance { absolute: 5e-3, relative: 0.0 };

type Tensors = BTreeMap<String, TensorValue>;

fn tensors(file: &Path) -> Tensors {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    from_safetensors(&bytes).unwrap().0.into_iter().collect()
}

fn numbers(value: &TensorValue) -> Vec<f64> {
    match value.data() {
        TensorData::F32(numbers) => numbers.iter().map(|n| f64::from(*n)).collect(),
        TensorData::F64(numbers) => numbers.clone(),
        TensorData::I64(numbers) => numbers.iter().map(|n| *n as f64).collect(),
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The folder of results of a model on data, `batch_size` samples at a time.
    fn run(&self, model: &Value, data: &Value, batch_size: usize, analyses: &Value) -> PathBuf {
        let mut data = data.clone();
        data["batch_size"] = json!(batch_size);
        let name = format!("of_{batch_size}");
        let plan = json!({ "format": 1, "model": model, "data": data, "analyses": analyses, "output": name });
        let file = self.0.path().join(format!("{name}.json"));
        std::fs::write(&file, plan.to_string()).unwrap();
        let output = fmrai(&["run", "--force", file.to_str().unwrap()]);
        assert_exit(&output, 0);
        assert!(!err(&output).contains("panicked"), "{}", err(&output));
        self.0.path().join(name)
    }

    /// Both analyses of attention give the same with all samples together and one by one.
    fn check(&self, model: &Value, data: &Value, batch_size: usize, tolerance: Tolerance) -> PathBuf {
        let analyses = json!([
            { "type": "attention_patterns" }, { "type": "attention_clustering", "starts": 1 }
        ]);
        let together = self.run(model, data, batch_size, &analyses);
        let alone = self.run(model, data, 1, &analyses);
        for (analysis, names) in [("attention_patterns", None), ("attention_clustering", Some("distances"))] {
            let file = |folder: &Path| folder.join(analysis).join("tensors.safetensors");
            let (found, expected) = (tensors(&file(&together)), tensors(&file(&alone)));
            assert!(found.keys().eq(expected.keys()), "{analysis}: {:?} {:?}", found.keys(), expected.keys());
            for (name, found) in found.iter().filter(|(name, _)| names.is_none_or(|n| n == *name)) {
                let check = tolerance.check(&numbers(found), &numbers(&expected[name]));
                check.unwrap_or_else(|e| panic!("{analysis} {name}: {e}"));
            }
        }
        together
    }

    fn texts(&self, lengths: &[usize]) -> Value {
        let words = ["the", "weather", "keeper", "wrote", "a", "book"];
        let line =
            |n: &usize| (0..*n).map(|i| words[(i * i + n) % words.len()]).collect::<Vec<_>>().join(" ");
        let file = self.0.path().join("texts.txt");
        std::fs::write(&file, lengths.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
        json!({ "type": "text", "path": file })
    }
}

fn stream(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/reference/attention/streams").join(name).canonicalize().unwrap()
}

/// A program of `streams.py`, against batch size 1 and against NumPy.
fn check_program(program: &str, data: &str, tolerance: Tolerance) -> (Place, PathBuf) {
    let place = Place::new();
    let model = json!({ "type": "exported_program", "path": stream(&format!("{program}.pt2")) });
    let data_of = json!({ "type": "tensors", "path": stream(&format!("{data}.safetensors")) });
    let results = place.check(&model, &data_of, 8, tolerance);
    let expected = tensors(&stream(&format!("{data}.expected.safetensors")));
    let found = tensors(&results.join("attention_patterns/tensors.safetensors"));
    let of_layers =
        expected.iter().filter(|(name, _)| name.starts_with("share") || name.starts_with("entropy"));
    for (name, expected) in of_layers {
        let found = found.get(name).unwrap_or_else(|| panic!("{data}: no {name}"));
        assert_eq!(found.shape(), expected.shape(), "{data} {name}");
        let check = tolerance.check(&numbers(found), &numbers(expected));
        check.unwrap_or_else(|e| panic!("{data} {name}: {e}"));
    }
    let mut layers = csv::Reader::from_path(results.join("attention_patterns/tables/layers.csv")).unwrap();
    let column = layers.headers().unwrap().iter().position(|h| h.starts_with("uniform_entropy")).unwrap();
    let uniform: Vec<f64> = layers.records().map(|r| r.unwrap()[column].parse().unwrap()).collect();
    tolerance.check(&uniform, &numbers(&expected["uniform_entropy"])).unwrap();
    if let Some(expected) = expected.get("distances") {
        let found = tensors(&results.join("attention_clustering/tensors.safetensors"));
        tolerance.check(&numbers(&found["distances"]), &numbers(expected)).unwrap();
    }
    (place, results)
}

fn summary(results: &Path, analysis: &str) -> Value {
    json_file(&results.join(analysis).join("summary.json"))["summary"].clone()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn each_side_of_an_encoder_decoder_is_read_at_its_own_positions() {
    for data in ["encoder_decoder", "decoder_shorter"] {
        let (place, results) = check_program("encoder_decoder", data, Tolerance::ACTIVATION);
        let told = summary(&results, "attention_patterns");
        assert_eq!(told["sequences"][0]["tokens_of"], "input_ids", "{told}");
        assert_eq!(told["sequences"][1]["tokens_of"], "decoder_input_ids", "{told}");
        assert_eq!(told["sequences"][1]["layers"], json!([2, 3]));
        assert_eq!(names(&told["left_out"]).iter().filter(|n| n.starts_with("cross_attention")).count(), 2);
        // Heads of one sequence are set against each other, those of the other when asked for.
        let expected = tensors(&stream(&format!("{data}.expected.safetensors")));
        let found = tensors(&results.join("attention_clustering/tensors.safetensors"));
        let close = |found: &TensorValue, name: &str| {
            Tolerance::ACTIVATION.check(&numbers(found), &numbers(&expected[name])).unwrap();
        };
        close(&found["distances"], "distances.input_ids");
        let told = summary(&results, "attention_clustering");
        assert!(names(&told["left_out"]).contains(&"attention[2]"), "{told}");
        let model = json!({ "type": "exported_program", "path": stream("encoder_decoder.pt2") });
        let files = json!({ "type": "tensors", "path": stream(&format!("{data}.safetensors")) });
        let decoder =
            json!([{ "type": "attention_clustering", "starts": 1, "tokens_of": "decoder_input_ids" }]);
        let results = place.run(&model, &files, 3, &decoder);
        let found = tensors(&results.join("attention_clustering/tensors.safetensors"));
        close(&found["distances"], "distances.decoder_input_ids");
    }
}

#[test]
fn sinks_have_a_share_of_their_own() {
    for name in ["sinks", "sinks_first"] {
        let (_place, results) = check_program(name, name, Tolerance::ACTIVATION);
        let found = tensors(&results.join("attention_patterns/tensors.safetensors"));
        assert!(numbers(&found["share.sink"]).iter().all(|share| (0.0..1.0).contains(share)));
        let told = summary(&results, "attention_patterns");
        assert_eq!(told["visible"][0]["keys"], "causal", "{told}");
        assert_eq!(told["visible"][1]["keys"], "window of 2 before and 0 after", "{told}");
        assert_eq!(told["zero_by_construction"], json!(["share.next"]), "{told}");
        assert!(
            told["strongest"].get("share.next").is_none() && told["strongest"].get("share.sink").is_some()
        );
    }
}

#[test]
fn tokens_that_the_model_adds_are_no_tokens_of_the_text() {
    check_program("class_token", "class_token", Tolerance::ACTIVATION);
}

#[test]
fn rows_that_are_no_distributions_are_counted_and_left_out() {
    let (_place, results) = check_program("zeros", "zeros", Tolerance::ACTIVATION);
    let told = summary(&results, "attention_patterns");
    // Sample 2, masked whole: 6 queries of 2 heads.
    assert_eq!(told["rows_left_out"]["rows"], 12, "{told}");
    assert_eq!(told["rows_left_out"]["zeros"], 12, "{told}");
    assert_eq!(told["rows_left_out"]["first_sample"], 2, "{told}");
    assert_eq!(told["texts"], 3, "{told}");
    assert_eq!(summary(&results, "attention_clustering")["texts"], 3);
}

fn decoder(name: &str, dtype: &str) -> Value {
    let path = Path::new(ROOT).join("tests/reference/decoders").join(name).canonicalize().unwrap();
    json!({ "type": "hf_checkpoint", "path": path, "dtype": dtype })
}

/// Causal attention in windows of six tokens, some texts longer and some shorter than that.
#[test]
fn windowed_decoders() {
    let place = Place::new();
    let texts = place.texts(&[12, 2, 7, 1]);
    let results = place.check(&decoder("mistral", "float32"), &texts, 8, Tolerance::ACTIVATION);
    let told = summary(&results, "attention_patterns");
    assert_eq!(told["visible"][0]["keys"], "window of 5 before and 0 after", "{told}");
    // Neither drawn nor ranked: the next token, and the entropy of the first.
    assert_eq!(told["zero_by_construction"], json!(["share.next", "entropy.first_token"]), "{told}");
    let figure = json_file(&results.join("attention_patterns/figures/entropy.json"));
    assert_eq!(figure["panels"].as_array().unwrap().len(), 1, "{figure}");
    assert!(
        !json_file(&results.join("attention_patterns/figures/patterns.json"))
            .to_string()
            .contains("next token")
    );
    assert!(told["strongest"].get("share.next").is_none(), "{told}");
}

/// In float16 a window of padding alone gave NaN, which spread to real tokens.
#[test]
fn windowed_decoders_in_float16() {
    let place = Place::new();
    let texts = place.texts(&[20, 3]);
    place.check(&decoder("mistral", "float16"), &texts, 2, HALF);
}

#[test]
fn encoders() {
    let place = Place::new();
    let texts = place.0.path().join("sentences.txt");
    std::fs::write(&texts, sentences(6)).unwrap();
    let data = json!({ "type": "text", "path": texts });
    let bert = json!({ "type": "hf_checkpoint", "path": reference("bert") });
    let results = place.check(&bert, &data, 4, Tolerance::ACTIVATION);
    let told = summary(&results, "attention_patterns");
    assert_eq!(told["visible"][0]["keys"], "all", "{told}");
    assert_eq!(told["zero_by_construction"], json!([]));
    assert_eq!(told["rows_left_out"], Value::Null);

    let minilm = Path::new(ROOT).join(".fmrai/models/all-MiniLM-L6-v2");
    if !minilm.is_dir() {
        println!("skipped: {} is not there", minilm.display());
        return;
    }
    place.check(&json!({ "type": "hf_checkpoint", "path": minilm }), &data, 3, Tolerance::ACTIVATION);
}
