//! What cannot be used is left out where the plan allows it, and told.

use std::path::Path;

use fmrai_torch::model::{LoadContext, Model, ModelError, ModelSource, NamedTensors, RegisteredModelSource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wrapped::Wrapped;
use super::{execute_wrapped, plan};
use crate::error::{Error, Exit};
use crate::run::{Options, Outcome, Part, Work};
use crate::testing::{assert_same, contents};

/// Fails on batches of more than so many tokens.
#[derive(Debug, Serialize, Deserialize)]
struct Stumbling {
    model: Box<dyn RegisteredModelSource>,
    most: i64,
}

#[typetag::serde(name = "test_stumbling")]
impl RegisteredModelSource for Stumbling {}

impl ModelSource for Stumbling {
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
        let most = self.most;
        let pass = move |model: &dyn Model, inputs: &NamedTensors| {
            let tokens = inputs.get("input_ids").map(|ids| ids.size()[1]).unwrap_or_default();
            match tokens > most {
                true => {
                    Err(ModelError::Inputs { found: format!("{tokens} tokens"), needed: "fewer".to_owned() })
                }
                false => model.forward(inputs),
            }
        };
        Ok(Box::new(Wrapped { model: self.model.load(context)?, pass: Box::new(pass) }))
    }
}

/// Twelve texts of which two cannot be read, and two long ones.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for i in 0..12 {
        let line = match i {
            2 => "{\"text\": 7}".to_owned(),
            9 => "{\"text\": \"half".to_owned(),
            4 | 11 => json!({ "text": "far too many words in it ".repeat(3) }).to_string(),
            _ => json!({ "text": format!("text {i}") }).to_string(),
        };
        lines.extend([line.into_bytes(), b"\n\n".to_vec()]);
    }
    std::fs::write(folder.path().join("texts.jsonl"), lines.concat()).unwrap();
    folder
}

fn document(on_error: &str) -> Value {
    let mut document = plan(&json!([
        { "type": "test_sums" },
        { "type": "test_failing", "name": "one", "stage": "track_batch", "batch": 1 },
        { "type": "test_failing", "name": "all", "stage": "track_batch" },
        { "type": "test_failing", "name": "panics", "stage": "track_batch", "panics": true, "batch": 1 },
    ]));
    document["data"] = json!({ "type": "jsonl", "path": "texts.jsonl", "field": "text", "batch_size": 2 });
    document["on_error"] = json!(on_error);
    document["capture"] = json!({ "select": ["attention[0].probabilities"] });
    document
}

fn go(place: &Path, document: &Value, output: &str, work: Work, stop_after: u64) -> Result<Outcome, Error> {
    let wrap = |model| -> Box<dyn RegisteredModelSource> { Box::new(Stumbling { model, most: 10 }) };
    let stop = |batches| batches >= stop_after;
    let options = Options { work, resume: true, stop: &stop, ..Options::default() };
    execute_wrapped(place, document, output, wrap, &options)
}

#[test]
fn what_cannot_be_used_is_left_out_and_listed() {
    let place = place();
    let place = place.path();
    let stopped =
        |document: &Value| go(place, document, "stop", Work::Whole, u64::MAX).unwrap_err().to_string();
    assert!(stopped(&document("stop")).contains("texts.jsonl:5: field \"text\" is a number"));

    let document = document("skip");
    let outcome = go(place, &document, "out", Work::Whole, u64::MAX).unwrap();
    assert_eq!(outcome.exit(), Exit::AnalysisFailed);
    assert_eq!((outcome.counts.texts, outcome.counts.skipped_empty), (10, 12));
    let told = outcome.warnings.join("\n");
    for expected in [
        "2 records were left out, the first: texts.jsonl:5: field \"text\" is a number, a string is needed",
        "1 batch was left out, the first: batch 4 (samples 4 to 11): model: the model takes fewer, was given 26 tokens",
        "1 batch was refused by \"one\" and left out, the first: batch 1: as told",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    let answers: Vec<_> =
        outcome.analyses.iter().map(|(name, answer)| (name.as_str(), answer.as_ref())).collect();
    assert_eq!(answers[0].1.unwrap()["count"], 8);
    assert!(answers[1].1.is_ok());
    let all = answers[2].1.unwrap_err();
    assert_eq!(
        (all.stage.as_str(), all.message.as_str()),
        ("track_batch", "it refused all of the data; batch 0: as told")
    );
    assert_eq!(answers[3].1.unwrap_err().message, crate::held::PANICKED, "a panic may leave anything");
    let whole = contents(&place.join("out"));
    let summary: Value = serde_json::from_slice(&whole[Path::new("summary.json")]).unwrap();
    assert_eq!(summary["skipped"]["records"]["count"], 2);
    assert_eq!(
        summary["skipped"]["records"]["first"][1].as_str().unwrap().split(": ").next(),
        Some("texts.jsonl:19")
    );

    // Interrupted after each batch, and with captured batches taken away; and in parts.
    for stop_after in 1..=5 {
        go(place, &document, "again", Work::Whole, stop_after).unwrap_err();
    }
    std::fs::remove_file(place.join("again/activations/batches/000002.safetensors")).unwrap();
    go(place, &document, "again", Work::Whole, u64::MAX).unwrap();
    assert_same(&place.join("again"), &place.join("out"));
    let mut folders = Vec::new();
    for (from, to) in [(0, 2), (2, 3), (3, 6)] {
        let output = format!("part-{from}");
        let outcome =
            go(place, &document, &output, Work::Part(Part::Batches { from, to }), u64::MAX).unwrap();
        assert!(outcome.part.is_some());
        folders.push(place.join(output));
    }
    go(place, &document, "merged", Work::Merge { folders, partial: false }, u64::MAX).unwrap();
    assert_same(&place.join("merged"), &place.join("out"));
}
