//! Key-value memories of a random GPT-2 and a random Llama against their definitions in NumPy (float64).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod memories;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fmrai_core::analyzer::{AnalyzerConfig, Weights};
use fmrai_core::batch::Batch;
use fmrai_core::graph::TensorId;
use fmrai_core::report::{Report, Values};
use fmrai_core::structure::{ActivationFunction, Norm, NormKind, Structure};
use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};
use fmrai_core::testing::{MemoryActivations, padded_sample};
use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::ffn_key_value::FfnKeyValueConfig;
use memories::{
    LOGITS, Layer, Loaded, MAPPED, TABLE, activation, graph, prepared_on, stream, structure, values,
    with_vocabulary,
};

type Stored = BTreeMap<String, TensorValue>;

/// Texts in a batch.
const BATCH: usize = 9;

fn stored(case: &str) -> Stored {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/memories");
    let bytes = std::fs::read(path.join(format!("{case}.safetensors"))).unwrap();
    from_safetensors(&bytes).unwrap().0.into_iter().collect()
}

fn f32s<'a>(all: &'a Stored, name: &str) -> &'a [f32] {
    match all[name].data() {
        TensorData::F32(data) => data,
        other => panic!("{name}: {}", other.dtype()),
    }
}

const SCALE: TensorId = TensorId(2001);
const SHIFT: TensorId = TensorId(2002);

/// What the model does after its last stream.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// A norm and the map to the vocabulary.
    Norm,
    /// The map alone.
    Map,
}

/// The blocks of the model, and what it does at its end.
fn model(case: &str, layers: &[Layer], tokens: usize, end: End) -> Structure {
    let mut structure = structure(layers);
    let last = stream(layers.len() - 1)[2];
    for block in &mut structure.feed_forward {
        // A Linear has its neurons along the last axis, a Conv1D along the first.
        block.values.axis = usize::from(case == "llama");
    }
    if end == End::Map {
        return with_vocabulary(structure, tokens);
    }
    structure.norms.push(Norm {
        layer: 0,
        kind: if case == "gpt2" { NormKind::Layer } else { NormKind::Rms },
        module: String::new(),
        input: last,
        output: MAPPED,
        weight: Some(SCALE),
        bias: Some(SHIFT),
        eps: Some(if case == "gpt2" { 1e-5 } else { 1e-6 }),
        operations: Vec::new(),
    });
    with_vocabulary(structure, tokens)
}

/// The logits of a vector of the last stream, in float64.
fn logits(case: &str, all: &Stored, x: &[f32], end: End) -> Vec<f32> {
    let mut x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    if end == End::Norm {
        let n = x.len() as f64;
        let mean = if case == "gpt2" { x.iter().sum::<f64>() / n } else { 0.0 };
        let eps = if case == "gpt2" { 1e-5 } else { 1e-6 };
        let by = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + eps).sqrt();
        let (scale, shift) = (f32s(all, "norm.weight"), f32s(all, "norm.bias"));
        for ((x, scale), shift) in x.iter_mut().zip(scale).zip(shift) {
            *x = (*x - mean) / by * f64::from(*scale) + f64::from(*shift);
        }
    }
    let row = |row: &[f32]| row.iter().zip(&x).map(|(e, x)| f64::from(*e) * x).sum::<f64>() as f32;
    f32s(all, "unembedding").chunks(x.len()).map(row).collect()
}

fn run(case: &str, all: &Stored, config: &FfnKeyValueConfig, end: End) -> Report {
    let [layers, neurons] = *all["mean"].shape() else { panic!("no layers") };
    let gated = case == "llama";
    let function = if gated { ActivationFunction::Silu } else { ActivationFunction::GeluTanh };
    run_with(case, all, config, &vec![Layer { neurons, function, gated }; layers], end, end)
}

/// `end` is what the graph says, `said` what the model's logits come from.
fn run_with(
    case: &str,
    all: &Stored,
    config: &FfnKeyValueConfig,
    layers: &[Layer],
    end: End,
    said: End,
) -> Report {
    let gated = case == "llama";
    let &[tokens, channels] = all["unembedding"].shape() else { panic!("no table") };
    let structure = model(case, layers, tokens, end);
    let mut weights: BTreeMap<_, _> =
        (0..layers.len()).map(|l| (values(l), all[&format!("values.{l}")].clone())).collect();
    for (id, name) in [(TABLE, "unembedding"), (SCALE, "norm.weight"), (SHIFT, "norm.bias")] {
        weights.insert(id, all[name].clone());
    }
    let weights: Arc<dyn Weights> = Arc::new(Loaded(weights));
    let graph = graph(&structure, channels);
    let mut analyzer = prepared_on(config, &structure, &graph, None, Some(&weights));
    let lengths: Vec<usize> = all["lengths"].i64().unwrap().iter().map(|&n| n as usize).collect();
    let ids: Vec<u32> = all["tokens"].i64().unwrap().iter().map(|&t| t as u32).collect();
    let mut start = 0;
    for (index, lengths) in lengths.chunks(BATCH).enumerate() {
        let longest = lengths.iter().copied().max().unwrap();
        let mut starts = Vec::new();
        let mut samples = Vec::new();
        for (i, length) in lengths.iter().enumerate() {
            let id = (index * BATCH + i) as u64;
            samples.push(padded_sample(id, &ids[start..start + length], 0));
            starts.push((start, *length));
            start += length;
        }
        let padded = |name: &str| {
            let width = all[name].shape()[1];
            let mut data = vec![55.0; lengths.len() * longest * width];
            for (row, &(start, length)) in starts.iter().enumerate() {
                let from = &f32s(all, name)[start * width..(start + length) * width];
                data[row * longest * width..][..from.len()].copy_from_slice(from);
            }
            (vec![lengths.len(), longest, width], data)
        };
        let mut activations = MemoryActivations::new();
        for layer in 0..layers.len() {
            let [before, written, after] = stream(layer);
            let mut parts = vec![(activation(layer), "coefficients"), (written, "written"), (after, "after")];
            if gated {
                parts.push((TensorId(activation(layer).0 + 1), "gate"));
            }
            for (id, name) in parts {
                let (shape, data) = padded(&format!("{name}.{layer}"));
                activations = activations.with_f32(id, shape, data).unwrap();
            }
            let (shape, added) = padded(&format!("written.{layer}"));
            let (_, sum) = padded(&format!("after.{layer}"));
            let difference = sum.iter().zip(&added).map(|(a, w)| a - w).collect();
            activations = activations.with_f32(before, shape, difference).unwrap();
        }
        let (shape, last) = padded(&format!("after.{}", layers.len() - 1));
        let logits = last.chunks(channels).flat_map(|x| logits(case, all, x, said)).collect();
        activations = activations.with_f32(LOGITS, [shape[0], shape[1], tokens], logits).unwrap();
        analyzer.track_batch(&Batch::new(index as u64, &samples, &activations)).unwrap();
    }
    analyzer.analyze().unwrap()
}

fn tensor<'a>(report: &'a Report, name: &str) -> &'a TensorValue {
    &report.tensors.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}")).value
}

fn column(report: &Report, table: &str, name: &str) -> Vec<f64> {
    let table = report.tables.iter().find(|t| t.name() == table).unwrap();
    match &table.columns().iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no {name}")).values {
        Values::Float(values) => values.clone(),
        Values::Int(values) => values.iter().map(|&v| v as f64).collect(),
        Values::Text(_) => panic!("{name} is text"),
    }
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64]) {
    let agreement = Tolerance::STATISTIC.check(found, expected);
    assert!(agreement.is_ok(), "{what}: {agreement:?}");
}

const SHARES: [&str; 7] =
    ["residual", "agreement", "ffn", "composition", "zero_agreement", "decided", "probability"];

/// A model without a last norm, whose streams are multiplied with the table and nothing else.
fn check_without_norm(case: &str) {
    let all = stored(case);
    let config = FfnKeyValueConfig { composition_positions: 100_000, ..FfnKeyValueConfig::default() };
    let report = run(case, &all, &config, End::Map);
    for (i, name) in SHARES.iter().enumerate() {
        let share: Vec<f64> =
            all["raw.composition"].f64().unwrap().iter().skip(i).step_by(SHARES.len()).copied().collect();
        close(name, &column(&report, "composition", name), &share);
    }
}

#[test]
fn streams_are_read_as_the_model_reads_them_without_a_norm_too() {
    check_without_norm("gpt2");
    check_without_norm("llama");
}

/// A model that does something else after its last stream than its graph says: what is read would not be its own.
#[test]
fn a_map_that_does_not_give_the_models_logits_is_refused() {
    let all = stored("gpt2");
    let [layers, neurons] = *all["mean"].shape() else { panic!("no layers") };
    let layer = Layer { neurons, function: ActivationFunction::GeluTanh, gated: false };
    let config = FfnKeyValueConfig { composition_positions: 100_000, ..FfnKeyValueConfig::default() };
    let report = run_with("gpt2", &all, &config, &vec![layer; layers], End::Map, End::Norm);
    assert!(report.tables.iter().all(|table| table.name() != "composition"));
    let left_out = report.summary["left_out"].to_string();
    assert!(left_out.contains("is not the model's: its most probable token is the model's at"), "{left_out}");
    assert!(report.summary["reading"]["top_token_agreement"].as_f64().unwrap() < 0.9);
}

fn check(case: &str, final_norm: bool) {
    let all = stored(case);
    let config = FfnKeyValueConfig {
        triggers: all["triggers.positive.text"].shape()[1],
        top_tokens: 5,
        composition_positions: 100_000,
        final_norm,
        ..FfnKeyValueConfig::default()
    };
    config.build().unwrap();
    let report = run(case, &all, &config, End::Norm);
    for name in ["mean", "variance", "skewness", "active_share", "z"] {
        close(name, tensor(&report, name).f64().unwrap(), all[name].f64().unwrap());
    }
    // A plain block of GELU has a floor below 0, and no triggers there; numpy has them of any block.
    let gated = all.contains_key("gate.0");
    for sign in if gated { &["positive", "negative"][..] } else { &["positive"] } {
        for part in ["text", "position"] {
            let name = format!("triggers.{sign}.{part}");
            assert_eq!(tensor(&report, &name), &all[&name], "{name}");
        }
        let name = format!("triggers.{sign}.coefficient");
        let TensorData::F32(found) = tensor(&report, &name).data() else { panic!("{name}") };
        assert!(
            found.iter().zip(f32s(&all, &name)).all(|(a, b)| a == b || a.is_nan() && b.is_nan()),
            "{name}"
        );
    }
    let expected = |name: &str| &all[&format!("{}.{name}", if final_norm { "normed" } else { "raw" })];
    assert_eq!(tensor(&report, "values.token"), expected("token"));
    close(
        "probability",
        tensor(&report, "values.probability").f64().unwrap(),
        expected("probability").f64().unwrap(),
    );
    let ranks = expected("rank").i64().unwrap().iter().filter(|r| **r > 0).map(|&r| r as f64);
    assert_eq!(column(&report, "agreement", "next_rank"), ranks.collect::<Vec<_>>());
    for name in ["agreement_rate", "unigram_chance"] {
        close(name, &column(&report, "layers", name), expected(name).f64().unwrap());
    }
    let names = ["minimum", "lower_quartile", "median", "upper_quartile", "maximum"];
    for (i, name) in names.iter().enumerate() {
        let quartiles: Vec<f64> =
            expected("rank_quartiles").f64().unwrap().iter().skip(i).step_by(5).copied().collect();
        close(name, &column(&report, "layers", &format!("rank_{name}")), &quartiles);
    }
    // Streams are read through the last norm in any case, as the model reads them; only what is compared with values is read as these are.
    for (i, name) in SHARES.iter().enumerate() {
        let set =
            if *name == "zero_agreement" { expected("composition") } else { &all["normed.composition"] };
        let share: Vec<f64> = set.f64().unwrap().iter().skip(i).step_by(SHARES.len()).copied().collect();
        close(name, &column(&report, "composition", name), &share);
    }
    let reading = &report.summary["reading"];
    assert_eq!(reading["top_token_agreement"], 1.0);
    assert!(reading["largest_logit_difference"].as_f64().unwrap() < 1e-4, "{reading}");
    assert_eq!(report.summary["warnings"], serde_json::json!([]));
    for (i, name) in ["values", "agreeing"].iter().enumerate() {
        let counts = expected("bins").i64().unwrap().iter().skip(i).step_by(2).map(|&n| n as f64);
        assert_eq!(column(&report, "probability_bins", name), counts.collect::<Vec<_>>(), "{name}");
    }
    let neurons = all["mean"].shape()[1] as f64;
    let places = column(&report, "most_predictive", "layer").into_iter();
    let places = places.zip(column(&report, "most_predictive", "neuron")).map(|(l, n)| l * neurons + n);
    let order = expected("predictive").i64().unwrap().iter().map(|&n| n as f64);
    assert_eq!(places.collect::<Vec<_>>(), order.collect::<Vec<_>>());
    let matching = expected("matching").i64().unwrap()[0];
    assert_eq!(report.summary["most_predictive"]["matching"], matching);
}

/// What makes the comparisons above strict: lists far shorter than the data, texts that tie, ties that the end of a
/// list cuts, and values that agree.
#[track_caller]
fn tells(case: &str) {
    let all = stored(case);
    let texts = all["lengths"].shape()[0];
    let most = all["triggers.positive.text"].shape()[1];
    assert!(texts >= 300 && most * 20 < texts, "{most} of {texts} texts");
    let rows = f32s(&all, "triggers.positive.coefficient").chunks(most);
    assert!(rows.clone().any(|row| row.windows(2).any(|pair| pair[0] == pair[1])), "no tie");
    let mut starts = vec![0];
    starts.extend(all["lengths"].i64().unwrap().iter().scan(0, |end, &n| {
        *end += n as usize;
        Some(*end)
    }));
    let width = all["mean"].shape()[1];
    let cut = rows.enumerate().any(|(neuron, row)| {
        let coefficients = f32s(&all, &format!("coefficients.{}", neuron / width));
        let own = |row: usize| coefficients[row * width + neuron % width];
        let largest = starts.windows(2).map(|w| (w[0]..w[1]).map(own).fold(f32::MIN, f32::max));
        largest.filter(|x| x == &row[most - 1]).count() > row.iter().filter(|x| *x == &row[most - 1]).count()
    });
    assert!(cut, "no tie is cut");
    for set in ["raw", "normed"] {
        assert!(all[&format!("{set}.agreement_rate")].f64().unwrap().iter().any(|&rate| rate > 0.0), "{set}");
        assert!(all[&format!("{set}.matching")].i64().unwrap()[0] > 0, "{set}");
    }
}

#[test]
fn the_references_can_tell() {
    tells("gpt2");
    tells("llama");
}

#[test]
fn gpt2_as_defined() {
    check("gpt2", false);
}

#[test]
fn gpt2_through_its_last_norm_as_defined() {
    check("gpt2", true);
}

#[test]
fn llama_as_defined() {
    check("llama", false);
}

#[test]
fn llama_through_its_last_norm_as_defined() {
    check("llama", true);
}
