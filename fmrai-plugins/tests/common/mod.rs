//! Texts with attention, made into batches of any form.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, AnalyzerError};
use fmrai_core::batch::{Batch, Sample, Vocabulary};
use fmrai_core::graph::TensorId;
use fmrai_core::report::{Report, Values};
use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};
use fmrai_core::testing::{MemoryActivations, empty_graph, padded_sample, self_attention};
use proptest::prelude::*;

/// A text: kinds of its tokens (0 plain, 1 separator, 2 full stop) and `[head, query, key]` for all layers' heads.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) tokens: Vec<u32>,
    pub(crate) attention: Vec<Vec<f32>>,
}

/// How texts stand in a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// Positions of padding beyond the longest text.
    pub(crate) extra: usize,
    /// Padding before the text instead of after it.
    pub(crate) left: bool,
    /// Heads and samples in one axis.
    pub(crate) joined: bool,
}

pub(crate) const PLAIN: Form = Form { extra: 0, left: false, joined: false };

pub(crate) fn vocabulary() -> Vocabulary {
    Vocabulary {
        tokens: ["word", "[SEP]", "."].map(String::from).to_vec(),
        separator: Some(1),
        ..Vocabulary::default()
    }
}

/// Samples and captured tensors of a batch. Padding holds numbers that would show in any result.
pub(crate) fn batch(
    texts: &[Text],
    layers: &[usize],
    first_id: u64,
    form: Form,
) -> (Vec<Sample>, MemoryActivations) {
    let positions = texts.iter().map(|t| t.tokens.len()).max().unwrap_or(0) + form.extra;
    let left = |text: &Text| if form.left { positions - text.tokens.len() } else { 0 };
    let samples =
        (first_id..).zip(texts).map(|(id, t)| padded_sample(id, &t.tokens, left(t))).collect::<Vec<_>>();
    let mut activations = MemoryActivations::new();
    let mut first = 0;
    for (layer, &heads) in layers.iter().enumerate() {
        let mut data = Vec::with_capacity(texts.len() * heads * positions * positions);
        for text in texts {
            let (n, left) = (text.tokens.len(), left(text));
            for head in first..first + heads {
                for query in 0..positions {
                    for key in 0..positions {
                        let valid = (left..left + n).contains(&query) && (left..left + n).contains(&key);
                        let at = || (query - left) * n + key - left;
                        data.push(if valid { text.attention[head][at()] } else { 0.77 });
                    }
                }
            }
        }
        let shape = if form.joined {
            vec![texts.len() * heads, positions, positions]
        } else {
            vec![texts.len(), heads, positions, positions]
        };
        activations = activations.with_f32(TensorId(layer as u32), shape, data).unwrap();
        first += heads;
    }
    (samples, activations)
}

/// An analyzer that has seen the model but no data.
pub(crate) fn prepared(
    config: &dyn AnalyzerConfig,
    layers: &[usize],
    vocabulary: Option<&Vocabulary>,
) -> Box<dyn Analyzer> {
    let mut analyzer = config.build().unwrap();
    let (graph, structure) = (empty_graph().unwrap(), self_attention(layers));
    let model =
        fmrai_core::analyzer::ModelView { graph: &graph, structure: &structure, vocabulary, weights: None };
    let request = analyzer.prepare(&model).unwrap();
    assert_eq!(request.tensors().len(), layers.len());
    analyzer
}

pub(crate) fn track(
    analyzer: &mut dyn Analyzer,
    texts: &[Text],
    layers: &[usize],
    first_id: u64,
    form: Form,
) -> Result<(), AnalyzerError> {
    let (samples, activations) = batch(texts, layers, first_id, form);
    analyzer.track_batch(&Batch::new(0, &samples, &activations))
}

/// The report over all texts, `size` of them in a batch.
pub(crate) fn run(
    config: &dyn AnalyzerConfig,
    texts: &[Text],
    layers: &[usize],
    size: usize,
    form: Form,
) -> Report {
    let mut analyzer = prepared(config, layers, Some(&vocabulary()));
    for (i, chunk) in texts.chunks(size).enumerate() {
        track(&mut *analyzer, chunk, layers, (i * size) as u64, form).unwrap();
    }
    analyzer.analyze().unwrap()
}

pub(crate) fn tensor<'a>(report: &'a Report, name: &str) -> &'a TensorValue {
    &report.tensors.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}")).value
}

pub(crate) fn numbers<'a>(report: &'a Report, name: &str) -> &'a [f64] {
    tensor(report, name).f64().unwrap()
}

pub(crate) fn column<'a>(report: &'a Report, table: &str, name: &str) -> &'a Values {
    let table = report.tables.iter().find(|t| t.name() == table).unwrap();
    &table.columns().iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no {name}")).values
}

/// Softmax rows with some zeros, for texts of 1 to 9 tokens.
pub(crate) fn texts(heads: usize, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Text>> {
    let text = (1usize..10).prop_flat_map(move |n| {
        let row = prop::collection::vec(0.0f32..1.0, n).prop_map(|noise| {
            let weights: Vec<f32> =
                noise.iter().map(|&x| if x < 0.2 { 0.0 } else { (6.0 * x).exp() }).collect();
            let sum: f32 = weights.iter().sum();
            let even = 1.0 / weights.len() as f32;
            weights.iter().map(|w| if sum > 0.0 { w / sum } else { even }).collect::<Vec<f32>>()
        });
        let head = prop::collection::vec(row, n).prop_map(|rows| rows.concat());
        (prop::collection::vec(0u32..3, n), prop::collection::vec(head, heads))
            .prop_map(|(tokens, attention)| Text { tokens, attention })
    });
    prop::collection::vec(text, count)
}

/// A file of `tests/reference`.
pub(crate) fn reference(path: &str) -> BTreeMap<String, TensorValue> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").join(path);
    let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    from_safetensors(&bytes).unwrap().0.into_iter().collect()
}

pub(crate) fn f32s(value: &TensorValue) -> &[f32] {
    match value.data() {
        TensorData::F32(data) => data,
        other => panic!("{}", other.dtype()),
    }
}

/// Texts and heads per layer of a case of `tests/reference/attention`.
pub(crate) fn reference_texts(case: &str) -> (Vec<Text>, Vec<usize>) {
    let stored = reference(&format!("attention/{case}.safetensors"));
    let marks = |text: usize, kind: &str| stored[&format!("text.{text}.{kind}")].i64().unwrap();
    let tokens = |text: usize| -> Vec<u32> {
        let (separator, punctuation) = (marks(text, "separator"), marks(text, "punctuation"));
        separator.iter().zip(punctuation).map(|(&s, &p)| if s == 1 { 1 } else { 2 * p as u32 }).collect()
    };
    let count = (0..).take_while(|t| stored.contains_key(&format!("text.{t}.separator"))).count();
    let shape = stored["share.self"].shape();
    let (layers, heads) = (shape[0], shape[1]);
    let model = (case != "synthetic").then(|| reference(&format!("models/{case}/expected.safetensors")));
    let text = |text: usize| {
        let tokens = tokens(text);
        let n = tokens.len();
        let mut attention = Vec::new();
        for layer in 0..layers {
            for head in 0..heads {
                attention.push(match &model {
                    None => {
                        let all = f32s(&stored[&format!("text.{text}.attention")]);
                        let start = (layer * heads + head) * n * n;
                        all[start..start + n * n].to_vec()
                    }
                    Some(model) => {
                        let value = &model[&format!("attentions.{layer}")];
                        let (padded, all) = (value.shape()[2], f32s(value));
                        let start = (text * heads + head) * padded * padded;
                        (0..n).flat_map(|q| all[start + q * padded..][..n].to_vec()).collect()
                    }
                });
            }
        }
        Text { tokens, attention }
    };
    ((0..count).map(text).collect(), vec![heads; layers])
}
