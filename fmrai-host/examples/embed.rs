//! A run of values: a model, data and an analyzer that a program has in memory, and the report handed back. No file is read
//! or written. `cargo run -p fmrai-host --example embed`
#![expect(clippy::print_stdout, reason = "an example tells what it found")]

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::graph::{Origin, TensorId};
use fmrai_core::report::Report;
use fmrai_core::tensor::DType;
use fmrai_core::tracker::CaptureRequest;
use fmrai_host::plan::Parity;
use fmrai_host::run::Run;
use fmrai_torch::data::{Batches, Counts, DataError, InputBatch};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{Axis, InputSpec, Model, ModelError, ModelInfo, NamedTensors};
use fmrai_torch::text::Tokenizer;
use fmrai_torch::{Tensor, TorchError};
use serde_json::{Map, json};

/// Length of the model's input and output.
const WIDTH: i64 = 3;

/// `y = softmax(x W)`.
struct Shares {
    info: ModelInfo,
    weight: Tensor,
}

impl Shares {
    fn new() -> Result<Self, TorchError> {
        let weight = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 2.0, 0.0, 1.0, 1.0, 2.0, 0.0])?;
        let info = ModelInfo {
            source: "embed".to_owned(),
            architecture: "shares".to_owned(),
            path: "memory".into(),
            files: Vec::new(),
            parameters: 9,
            dtype: DType::Float32,
            max_tokens: None,
            quantisation: None,
            remade_bytes: 0,
            unused_weights: Vec::new(),
            non_finite_weights: Vec::new(),
            warnings: Vec::new(),
        };
        Ok(Self { info, weight: weight.reshape(&[WIDTH, WIDTH])? })
    }
}

impl Model for Shares {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        vec![("weight".to_owned(), self.weight.clone())]
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        None
    }

    fn inputs(&self) -> Vec<InputSpec> {
        let axes = vec![Axis::Range { min: 1, max: None }, Axis::Fixed(WIDTH)];
        let name = "x".to_owned();
        vec![InputSpec { name, dtype: Some(DType::Float32), axes: Some(axes), required: true, values: None }]
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        let missing = || ModelError::Inputs { found: "nothing".to_owned(), needed: "`x`".to_owned() };
        let x = inputs.get("x").ok_or_else(missing)?;
        Ok(NamedTensors(vec![("y".to_owned(), x.matmul(&self.weight)?.softmax(-1)?)]))
    }
}

/// Rows in memory, each a batch of its own.
struct Rows {
    rows: Vec<[f32; 3]>,
    next: u64,
}

impl Batches for Rows {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        let index = self.next;
        let Some(row) = usize::try_from(index).ok().and_then(|i| self.rows.get(i)) else { return Ok(None) };
        self.next += 1;
        let x = Tensor::from_slice(row)?.reshape(&[1, WIDTH])?;
        let inputs = NamedTensors(vec![("x".to_owned(), x)]);
        Ok(Some(InputBatch {
            index,
            samples: vec![Sample::new(index)],
            inputs,
            whole: Vec::new(),
            filler: 0,
        }))
    }

    fn counts(&self) -> Counts {
        Counts { texts: self.next, ..Counts::default() }
    }

    fn progress(&self) -> (u64, u64) {
        (self.next, self.rows.len() as u64)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(Vec::new())
    }
}

/// The largest share of any sample.
#[derive(Default)]
struct Largest {
    tensor: Option<TensorId>,
    largest: f32,
}

impl Analyzer for Largest {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let made = |origin: &Origin| matches!(origin, Origin::Operation { .. });
        let last = model.graph.tensors().iter().rev().find(|tensor| made(&tensor.origin));
        self.tensor = last.map(|tensor| tensor.id);
        Ok(self.tensor.into_iter().collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let Some(tensor) = self.tensor else { return Ok(()) };
        let shares = batch.tensor(tensor)?;
        let shares = shares.f32().map_err(|source| AnalyzerError::Tensor { tensor, source })?;
        self.largest = shares.iter().copied().fold(self.largest, f32::max);
        Ok(())
    }
}

impl Analysis for Largest {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(State::new("largest", 1, json!({ "largest": self.largest })))
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect("largest", 1)?;
        let other: Option<f32> = serde_json::from_value(state.document["largest"].clone()).ok();
        self.largest = self.largest.max(other.unwrap_or(0.0));
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let summary = Map::from_iter([("largest".to_owned(), json!(self.largest))]);
        Ok(Report { summary, ..Report::default() })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let outcome = Run::new()
        .model(Box::new(Shares::new()?))
        .batches(Box::new(Rows { rows: vec![[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.5, 0.5, 3.0]], next: 0 }))
        .analyzer("largest", Box::new(Largest::default()))
        .parity(Parity::Every)
        .run()?;
    println!("samples: {}, outputs differ: {}", outcome.counts.texts, outcome.outputs_differ());
    for (name, answer) in &outcome.analyses {
        match answer {
            Ok(report) => println!("{name}: {}", json!(report.summary)),
            Err(failure) => println!("{name} failed in {}: {}", failure.stage, failure.message),
        }
    }
    Ok(())
}
