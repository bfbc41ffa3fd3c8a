//! Runs that go through their data more than once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fmrai_core::analyzer::RegisteredConfig;
use fmrai_core::testing::padded_sample;
use fmrai_host::error::Error;
use fmrai_host::run::Run;
use fmrai_models::HfCheckpoint;
use fmrai_plugins::ablation::{AblationConfig, With};
use fmrai_plugins::attention_patterns::AttentionPatternsConfig;
use fmrai_plugins::steering::SteeringConfig;
use fmrai_torch::Tensor;
use fmrai_torch::data::{Batches, Counts, DataError, InputBatch, RegisteredDataSource};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::NamedTensors;
use serde_json::json;

use super::program::pairs;
use crate::common::{ROOT, contents};

fn mean() -> Box<dyn RegisteredConfig> {
    Box::new(AblationConfig { with: With::Mean, ..AblationConfig::default() })
}

fn started(output: &Path) -> Run {
    let model = Path::new(ROOT).join("tests/reference/decoders/gpt2").canonicalize().unwrap();
    let data: Box<dyn RegisteredDataSource> = serde_json::from_value(pairs("gpt2", 2)).unwrap();
    Run::new()
        .model_source(Box::new(HfCheckpoint::new(model)))
        .data_source(data)
        .config("mean", mean())
        .config("patterns", Box::new(AttentionPatternsConfig::default()))
        .config("steering", Box::new(SteeringConfig::default()))
        .output(output)
}

/// Three batches, twice: wherever it is stopped, and how often, the results are the same, file by file.
#[test]
fn a_run_goes_on_in_the_sweep_in_which_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let outcome = started(&whole).run().unwrap();
    assert!(outcome.analyses.iter().all(|(_, answer)| answer.is_ok()), "{:?}", outcome.analyses);
    assert_eq!((outcome.counts.texts, outcome.exit() as i32), (10, 0));
    let of = |path: &Path| {
        let mut files = contents(path);
        // These name the folder.
        files.remove(Path::new("plan.json"));
        files.remove(Path::new("summary.json"));
        files.remove(Path::new("report.html"));
        files
    };
    let summary = crate::common::json_file(&whole.join("summary.json"));
    assert_eq!(summary["data"]["batches"], json!(3), "{summary}");
    for first in 1..6 {
        let stopped = folder.path().join(format!("stopped-{first}"));
        for at in [first, first + 2] {
            let resumed = if stopped.exists() { started(&stopped).resume() } else { started(&stopped) };
            match resumed.stop(move |batches| batches == at).run() {
                Err(Error::Interrupted { batches }) => assert_eq!(batches, at),
                Ok(_) => assert!(at >= 6),
                Err(error) => panic!("{error}"),
            }
        }
        if !stopped.join("summary.json").exists() {
            started(&stopped).resume().run().unwrap();
        }
        let (found, wanted) = (of(&stopped), of(&whole));
        let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&wanted), "stopped after {first}");
        for (name, bytes) in &wanted {
            assert!(found[name] == *bytes, "{} differs, stopped after {first}", name.display());
        }
    }
}

/// A batch that is handed over.
struct Ready(Option<InputBatch>);

impl Batches for Ready {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        Ok(self.0.take())
    }

    fn counts(&self) -> Counts {
        Counts::default()
    }

    fn progress(&self) -> (u64, u64) {
        (0, 0)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(Vec::new())
    }
}

#[test]
fn batches_that_can_be_read_once_are_not_read_twice() {
    let ids = [5_i64, 9, 7, 12];
    let tensor = |data: &[i64]| Tensor::from_slice(data).unwrap().reshape(&[1, 4]).unwrap();
    let inputs = NamedTensors(vec![
        ("input_ids".to_owned(), tensor(&ids)),
        ("attention_mask".to_owned(), tensor(&[1; 4])),
    ]);
    let samples = vec![padded_sample(0, &ids.map(|id| u32::try_from(id).unwrap()), 0)];
    let batch = InputBatch { index: 0, samples, inputs, whole: Vec::new(), filler: 0 };
    let model = Path::new(ROOT).join("tests/reference/decoders/gpt2").canonicalize().unwrap();
    let outcome = Run::new()
        .model_source(Box::new(HfCheckpoint::new(model)))
        .batches(Box::new(Ready(Some(batch))))
        .config("mean", mean())
        .config("zero", Box::new(AblationConfig::default()))
        .run()
        .unwrap();
    let failure = outcome.answer("mean").unwrap().as_ref().unwrap_err();
    assert!(failure.message.contains("more than once"), "{failure:?}");
    assert!(outcome.answer("zero").unwrap().is_ok());
}
