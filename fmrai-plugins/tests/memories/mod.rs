//! Texts with memory coefficients, made into batches of any form.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ModelView, Weights};
use fmrai_core::batch::{Batch, Sample, Vocabulary};
use fmrai_core::graph::{
    Argument, Operation, OperationId, Origin, RecordedGraph, TensorId, TensorNode, Value,
};
use fmrai_core::structure::NormKind;
use fmrai_core::structure::{
    ActivationFunction, Addition, FeedForward, FeedForwardKind, NeuronWeights, Residual, Structure,
    Unembedding, Writer,
};
use fmrai_core::tensor::{DType, TensorData, TensorError, TensorValue};
use fmrai_core::testing::{MemoryActivations, empty_graph, padded_sample};
use proptest::prelude::*;

/// A feed-forward layer of the tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    pub(crate) neurons: usize,
    pub(crate) function: ActivationFunction,
    pub(crate) gated: bool,
}

/// A text: its tokens, which of them the tokenizer added, and coefficients `[layer][token * neuron]`.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) id: u64,
    pub(crate) tokens: Vec<u32>,
    pub(crate) special: Vec<bool>,
    pub(crate) coefficients: Vec<Vec<f32>>,
}

/// How texts stand in a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// Positions of padding beyond the longest text.
    pub(crate) extra: usize,
    /// Padding before the text instead of after it.
    pub(crate) left: bool,
    /// Tokens and samples in one axis.
    pub(crate) joined: bool,
}

/// The tensor of a layer's coefficients; that of its gate is the next one.
pub(crate) fn activation(layer: usize) -> TensorId {
    TensorId(10 * layer as u32)
}

/// Channels of the streams that [`batch`] makes.
pub(crate) const CHANNELS: usize = 4;

/// Tokens of the vocabulary that [`batch`] has logits of.
pub(crate) const TOKENS: usize = 5;

/// Where the stream of a layer is: before, written, after.
pub(crate) fn stream(layer: usize) -> [TensorId; 3] {
    [2, 3, 4].map(|i| TensorId(activation(layer).0 + i))
}

/// The map to the vocabulary.
pub(crate) const TABLE: TensorId = TensorId(2000);

/// What the map to the vocabulary takes, and what it gives: the model's logits.
pub(crate) const MAPPED: TensorId = TensorId(3000);
pub(crate) const LOGITS: TensorId = TensorId(3001);

/// An operation, its arguments and what it makes.
type Call = (&'static str, Vec<(&'static str, Value)>, TensorId);

/// The graph from the last stream to the logits: the last norm of the structure, if it has one, and the map.
pub(crate) fn graph(structure: &Structure, channels: usize) -> RecordedGraph {
    let Some(map) = structure.unembedding.last() else { return empty_graph().unwrap() };
    let end = structure.residual.last().unwrap().after;
    let one = Value::Ints(vec![channels as i64]);
    let tensor = |id: Option<TensorId>| id.map_or(Value::None, Value::Tensor);
    let mut calls: Vec<Call> = Vec::new();
    let mut at = end;
    if let Some(norm) = structure.norms.last() {
        let eps = Value::Float(norm.eps.unwrap());
        let common = vec![
            ("input", Value::Tensor(end)),
            ("normalized_shape", one),
            ("weight", tensor(norm.weight)),
            ("eps", eps),
        ];
        if norm.kind == NormKind::Layer {
            let all = common.into_iter().chain([("bias", tensor(norm.bias))]).collect();
            calls.push(("aten::layer_norm", all, MAPPED));
        } else {
            // Such a norm has no shift: it is an addition of its own.
            let normed = TensorId(3002);
            calls.push(("aten::rms_norm", common, normed));
            let added = vec![("self", Value::Tensor(normed)), ("other", tensor(norm.bias))];
            calls.push(("aten::add.Tensor", added, MAPPED));
        }
        at = MAPPED;
    }
    let mapped =
        vec![("input", Value::Tensor(at)), ("weight", Value::Tensor(map.weight)), ("bias", Value::None)];
    calls.push(("aten::linear", mapped, LOGITS));
    let operations = (0u32..).zip(&calls).map(|(id, (name, arguments, output))| Operation {
        id: OperationId(id),
        name: (*name).to_owned(),
        arguments: arguments
            .iter()
            .map(|(name, value)| Argument { name: (*name).to_owned(), value: value.clone() })
            .collect(),
        outputs: vec![*output],
        module: String::new(),
        source: None,
    });
    let made = |id: TensorId| calls.iter().position(|(_, _, output)| *output == id);
    let tensors = (0..=3002).map(TensorId).map(|id| TensorNode {
        id,
        name: None,
        dtype: DType::Float32,
        shape: match id {
            _ if id == map.weight => vec![map.size as i64, channels as i64],
            LOGITS => vec![2, 3, map.size as i64],
            TensorId(2001 | 2002) => vec![channels as i64],
            _ => vec![2, 3, channels as i64],
        },
        origin: match made(id) {
            Some(operation) => Origin::Operation { operation: OperationId(operation as u32), output: 0 },
            None if (2000..2100).contains(&id.0) => Origin::Parameter,
            None => Origin::Input,
        },
        version_of: None,
        on_request: false,
    });
    RecordedGraph::new(operations.collect(), tensors.collect()).unwrap()
}

/// Weights in memory.
pub(crate) struct Loaded(pub(crate) BTreeMap<TensorId, TensorValue>);

impl Weights for Loaded {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        self.0.get(&id).cloned().map(Ok)
    }
}

/// Some values for each layer, and a map of their channels to five tokens.
pub(crate) fn weights(layers: &[Layer]) -> Arc<dyn Weights> {
    let matrix = |rows: usize| {
        let data = (0..rows * CHANNELS).map(|i| (i as f32 * 1.7).sin()).collect();
        TensorValue::new([rows, CHANNELS], TensorData::F32(data)).unwrap()
    };
    let of_layers = layers.iter().enumerate().map(|(layer, l)| (values(layer), matrix(l.neurons)));
    Arc::new(Loaded(of_layers.chain([(TABLE, matrix(TOKENS))]).collect()))
}

/// The structure with a map of the stream to a vocabulary.
pub(crate) fn with_vocabulary(mut structure: Structure, tokens: usize) -> Structure {
    structure.unembedding.push(Unembedding {
        layer: 0,
        vocabulary: true,
        module: String::new(),
        operation: OperationId(u32::MAX),
        input: MAPPED,
        output: LOGITS,
        weight: TABLE,
        axis: 0,
        size: tokens,
        tied: false,
    });
    structure
}

/// The weight of a layer's values.
pub(crate) fn values(layer: usize) -> TensorId {
    TensorId(1000 + layer as u32)
}

pub(crate) fn structure(layers: &[Layer]) -> Structure {
    let nowhere = TensorId(u32::MAX);
    let block = |(layer, l): (usize, &Layer)| {
        let weights =
            |weight| NeuronWeights { weight, axis: 0, start: 0, step: 1, groups: 1, expert_axis: None };
        FeedForward {
            layer,
            kind: if l.gated { FeedForwardKind::Gated } else { FeedForwardKind::Plain },
            shared: false,
            module: format!("layer.{layer}.mlp"),
            neurons: l.neurons,
            experts: None,
            function: l.function,
            input: nowhere,
            pre_activation: TensorId(activation(layer).0 + 1),
            linear: l.gated.then_some(nowhere),
            activation: activation(layer),
            output: nowhere,
            keys: weights(nowhere),
            gate: l.gated.then(|| weights(nowhere)),
            values: weights(values(layer)),
            operations: vec![OperationId(u32::MAX)],
            positions: None,
        }
    };
    let write = |layer: usize| {
        let [before, written, after] = stream(layer);
        Residual {
            layer,
            stream: 0,
            module: String::new(),
            operation: OperationId(u32::MAX),
            before,
            written,
            after,
            addition: Addition::Sum,
            writers: vec![Writer::FeedForward(layer)],
        }
    };
    Structure {
        feed_forward: layers.iter().enumerate().map(block).collect(),
        residual: (0..layers.len()).map(write).collect(),
        ..Structure::default()
    }
}

/// Samples and captured tensors of a batch. Padding holds numbers that would show in any result.
pub(crate) fn batch(texts: &[Text], layers: &[Layer], form: Form) -> (Vec<Sample>, MemoryActivations) {
    let positions = texts.iter().map(|t| t.tokens.len()).max().unwrap_or(0) + form.extra;
    let left = |text: &Text| if form.left { positions - text.tokens.len() } else { 0 };
    let sample = |t: &Text| Sample {
        text: (!t.id.is_multiple_of(3)).then(|| format!("text № {}", t.id).into()),
        special: t.special.clone(),
        // A letter for each token as long as there are some; added tokens have none.
        offsets: (0..t.tokens.len())
            .map(|i| if t.special[i] { 0..0 } else { i.min(6)..(i + 1).min(6) })
            .collect(),
        ..padded_sample(t.id, &t.tokens, left(t))
    };
    let samples = texts.iter().map(sample).collect();
    let mut activations = MemoryActivations::new();
    for (layer, l) in layers.iter().enumerate() {
        let mut data = Vec::new();
        for text in texts {
            let left = left(text);
            data.extend(std::iter::repeat_n(777.0, left * l.neurons));
            data.extend(&text.coefficients[layer]);
            data.extend(std::iter::repeat_n(-777.0, (positions - left - text.tokens.len()) * l.neurons));
        }
        let shape = if form.joined {
            vec![texts.len() * positions, l.neurons]
        } else {
            vec![texts.len(), positions, l.neurons]
        };
        if l.gated {
            // A gate that is open where the coefficient is below a half.
            let gate = data.iter().map(|x| 0.5 - x).collect();
            let id = TensorId(activation(layer).0 + 1);
            activations = activations.with_f32(id, shape.clone(), gate).unwrap();
        }
        activations = activations.with_f32(activation(layer), shape, data).unwrap();
        for (part, id) in stream(layer).into_iter().enumerate() {
            let mut data = Vec::new();
            for text in texts {
                for position in 0..positions {
                    let at = position.checked_sub(left(text)).filter(|at| *at < text.tokens.len());
                    let number = |channel: usize| match at {
                        Some(at) => ((text.id as usize * 31 + at * 7 + layer * 3 + part) as f32
                            + channel as f32)
                            .sin(),
                        None => 999.0,
                    };
                    data.extend((0..CHANNELS).map(number));
                }
            }
            let shape = if form.joined {
                vec![texts.len() * positions, CHANNELS]
            } else {
                vec![texts.len(), positions, CHANNELS]
            };
            activations = activations.with_f32(id, shape, data).unwrap();
        }
    }
    let mut logits = Vec::new();
    for text in texts {
        for position in 0..positions {
            let at = position.checked_sub(left(text)).filter(|at| *at < text.tokens.len());
            let number = |token: usize| match at {
                Some(at) => ((text.id as usize * 17 + at * 5) as f32 + token as f32).sin(),
                None => f32::NAN,
            };
            logits.extend((0..TOKENS).map(number));
        }
    }
    let shape = if form.joined {
        vec![texts.len() * positions, TOKENS]
    } else {
        vec![texts.len(), positions, TOKENS]
    };
    (samples, activations.with_f32(LOGITS, shape, logits).unwrap())
}

/// An analyzer that has seen the model but no data.
pub(crate) fn prepared(
    config: &dyn AnalyzerConfig,
    structure: &Structure,
    vocabulary: Option<&Vocabulary>,
    weights: Option<&Arc<dyn Weights>>,
) -> Box<dyn Analyzer> {
    let graph = graph(structure, CHANNELS);
    prepared_on(config, structure, &graph, vocabulary, weights)
}

/// The same with a graph.
pub(crate) fn prepared_on(
    config: &dyn AnalyzerConfig,
    structure: &Structure,
    graph: &RecordedGraph,
    vocabulary: Option<&Vocabulary>,
    weights: Option<&Arc<dyn Weights>>,
) -> Box<dyn Analyzer> {
    let mut analyzer = config.build().unwrap();
    let model = ModelView { graph, structure, vocabulary, weights };
    analyzer.prepare(&model).unwrap();
    analyzer
}

pub(crate) fn track(analyzer: &mut dyn Analyzer, texts: &[Text], layers: &[Layer], form: Form) {
    let (samples, activations) = batch(texts, layers, form);
    analyzer.track_batch(&Batch::new(0, &samples, &activations)).unwrap();
}

/// Texts of 1 to 9 tokens, a few of up to 44, with coefficients that often are equal, and often 0.
pub(crate) fn texts(
    layers: &'static [Layer],
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Text>> {
    let length = prop_oneof![9 => 1usize..10, 1 => 25usize..45];
    let text = length.prop_flat_map(move |n| {
        let coefficients: Vec<_> = layers
            .iter()
            .map(|l| {
                let one_sided = l.function == ActivationFunction::Relu && !l.gated;
                let least = if one_sided { 0 } else { -6 };
                prop::collection::vec((least..9).prop_map(|q: i32| 0.25 * q as f32), n * l.neurons)
            })
            .collect();
        let tokens = prop::collection::vec(0u32..5, n);
        (tokens, prop::collection::vec(any::<bool>(), n), coefficients)
    });
    prop::collection::vec(text, count).prop_map(|texts| {
        let made = (0u64..).zip(texts);
        let text = |(id, (tokens, special, coefficients))| Text { id, tokens, special, coefficients };
        made.map(text).collect()
    })
}
