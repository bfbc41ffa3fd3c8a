//! What a call across the plugin ABI costs: an analyzer that does nothing but look at its tensors, called directly and
//! behind its own C functions, on batches of eight texts with two tensors each.
#![allow(clippy::unwrap_used, reason = "a bench that cannot run should say so")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fmrai_core::abi::loopback;
use fmrai_core::analyzer::{
    Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State,
};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::graph::TensorId;
use fmrai_core::report::Report;
use fmrai_core::testing::{MemoryActivations, empty_graph, padded_sample, self_attention};
use fmrai_core::tracker::CaptureRequest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Looks at its tensors.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Look {}

impl AnalyzerConfig for Look {
    fn build(&self) -> Result<Box<dyn Analyzer>, ConfigError> {
        Ok(Box::new(Looked(0.0)))
    }
}

fmrai_core::register_analyzer!(Look, name: "bench_look", summary: "looks at its tensors");

struct Looked(f32);

impl Analyzer for Looked {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        Ok(model.structure.attention.iter().map(|a| a.probabilities).collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        for id in [TensorId(0), TensorId(1)] {
            let view = batch.tensor(id)?;
            self.0 += view.f32().map_err(|source| AnalyzerError::Tensor { tensor: id, source })?[0];
        }
        self.0 += f32::from(u8::try_from(batch.samples().len()).unwrap_or(0));
        Ok(())
    }
}

impl Analysis for Looked {
    fn state(&self) -> Result<State, AnalyzerError> {
        Ok(State::new("bench_look", 1, serde_json::Value::Null))
    }

    fn merge(&mut self, _: &State) -> Result<(), AnalyzerError> {
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        Ok(Report::default())
    }
}

fn abi(criterion: &mut Criterion) {
    let (graph, structure) = (empty_graph().unwrap(), self_attention(&[12, 12]));
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    let tokens: Vec<u32> = (0..32).collect();
    let samples: Vec<Sample> = (0..8).map(|id| padded_sample(id, &tokens, 0)).collect();
    let tensor = || vec![0.5; 8 * 12 * 32 * 32];
    let kept = MemoryActivations::new().with_f32(TensorId(0), [8, 12, 32, 32], tensor()).unwrap();
    let kept = kept.with_f32(TensorId(1), [8, 12, 32, 32], tensor()).unwrap();

    let found = loopback().unwrap().into_iter().find(|a| a.description().name == "bench_look").unwrap();
    let mut group = criterion.benchmark_group("track_batch");
    for (name, mut analyzer) in [
        ("called directly", Look {}.build().unwrap()),
        ("behind C functions", found.build(&serde_json::Map::new()).unwrap().into_analyzer().unwrap()),
    ] {
        analyzer.prepare(&model).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| analyzer.track_batch(black_box(&Batch::new(0, &samples, &kept))).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, abi);
criterion_main!(benches);
