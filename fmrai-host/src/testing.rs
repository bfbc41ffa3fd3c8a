//! Analyzers and folders for the tests of this crate.

use std::path::{Path, PathBuf};

use fmrai_core::analyzer::{
    Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State,
};
use fmrai_core::batch::Batch;
use fmrai_core::graph::{Origin, TensorId};
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::{DType, TensorData, TensorValue};
use fmrai_core::tracker::CaptureRequest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[path = "../../tests/common/contents.rs"]
mod contents;
pub(crate) use contents::contents;

/// In which unit a test analyzer counts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unit {
    /// Texts.
    #[default]
    Texts,
    /// Tokens.
    Tokens,
}

/// Sums up the last tensor of the graph.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TestSums {
    /// Factor of the sum; more than 0.
    scale: f64,
    /// What is counted.
    unit: Unit,
    /// The most batches to look at; all where absent.
    limit: Option<u32>,
}

impl Default for TestSums {
    fn default() -> Self {
        Self { scale: 1.0, unit: Unit::Texts, limit: None }
    }
}

impl AnalyzerConfig for TestSums {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        if self.scale > 0.0 {
            return Ok(Box::new(Sums { config: self.clone(), tensor: None, sum: 0.0, count: 0 }));
        }
        Err(ConfigError { field: "scale", found: self.scale.to_string(), valid: "a number above 0".into() })
    }
}

fmrai_core::register_analyzer!(TestSums, name: "test_sums", summary: "sum of the last tensor");

struct Sums {
    config: TestSums,
    tensor: Option<TensorId>,
    sum: f64,
    count: u64,
}

impl Analyzer for Sums {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let made = |o: &Origin| matches!(o, Origin::Operation { .. });
        let last = model.graph.tensors().iter().rev();
        self.tensor = last.filter(|t| made(&t.origin) && t.dtype == DType::Float32).map(|t| t.id).next();
        Ok(self.tensor.into_iter().collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        if let Some(id) = self.tensor {
            let tensor =
                batch.tensor(id)?.f32().map_err(|source| AnalyzerError::Tensor { tensor: id, source })?;
            self.sum += tensor.iter().map(|x| f64::from(*x).abs()).sum::<f64>();
        }
        self.count += match self.config.unit {
            Unit::Texts => batch.samples().len() as u64,
            Unit::Tokens => batch.samples().iter().map(|s| s.token_ids.len() as u64).sum(),
        };
        Ok(())
    }
}

impl Analysis for Sums {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new("test_sums", 1, json!({ "count": self.count }));
        let sum = TensorValue::new([1], TensorData::F64(vec![self.sum])).unwrap();
        state.tensors.insert("sum".into(), sum);
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect("test_sums", 1)?;
        self.sum += state.tensor("sum", &[1])?.f64().unwrap()[0];
        self.count += state.document["count"].as_u64().unwrap();
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let sum = self.sum * self.config.scale;
        let columns = vec![Column::new("sum", Some("units"), Values::Float(vec![sum, f64::NAN]))];
        let value = TensorValue::new([1], TensorData::F64(vec![sum])).unwrap();
        Ok(Report {
            summary: Map::from_iter([("count".into(), json!(self.count)), ("sum".into(), json!(sum))]),
            tables: vec![Table::new("sums", columns).unwrap()],
            tensors: vec![NamedTensor::new("sum", &["one"], Some("units"), value)],
            ..Report::default()
        }
        .with_gaps(&["sums"]))
    }
}

/// Fails in a stage of its choice.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TestFailing {
    /// The stage.
    stage: String,
    /// Whether it panics.
    panics: bool,
    /// The only batch that it fails on; all where absent.
    batch: Option<u64>,
}

impl AnalyzerConfig for TestFailing {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        Ok(Box::new(self.clone()))
    }
}

fmrai_core::register_analyzer!(TestFailing, name: "test_failing", summary: "fails");

impl TestFailing {
    fn at(&self, stage: &str) -> Result<(), AnalyzerError> {
        match self.stage == stage {
            true if self.panics => panic!("as told"),
            true => Err(AnalyzerError::Other("as told".into())),
            false => Ok(()),
        }
    }
}

impl Analyzer for TestFailing {
    fn prepare(&mut self, _: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.at("prepare").map(|()| CaptureRequest::none())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        if self.batch.is_some_and(|only| only != batch.index()) { Ok(()) } else { self.at("track_batch") }
    }
}

impl Analysis for TestFailing {
    fn state(&self) -> Result<State, AnalyzerError> {
        self.at("state").map(|()| State::new("test_failing", 1, Value::Null))
    }

    fn merge(&mut self, _: &State) -> Result<(), AnalyzerError> {
        self.at("merge")
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        self.at("analyze")?;
        let table = Table::new("same", vec![]).unwrap();
        let tables = if self.stage == "report" { vec![table.clone(), table] } else { vec![table] };
        Ok(Report { tables, ..Report::default() })
    }
}

/// Two folders hold the same but for `run.json`; a file that differs is named, with its text.
pub(crate) fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (contents(found), contents(expected));
    let names =
        |files: &std::collections::BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (file, bytes) in &expected {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
        assert!(found[file] == *bytes, "{}:\n{}\n---\n{}", file.display(), text(&found[file]), text(bytes));
    }
}

/// The small BERT of the reference data.
pub(crate) fn reference_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/models/bert")
}
