//! Key-value memories: configs, and data and models that do not fit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod memories;

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::structure::{ActivationFunction, Experts, FeedForwardKind, Structure};
use fmrai_core::testing::{check_config, empty_graph};
use fmrai_plugins::ffn_key_value::FfnKeyValueConfig;
use memories::{Form, Layer, Text, activation, batch, prepared, structure, track};

const LAYERS: [Layer; 2] = [
    Layer { neurons: 3, function: ActivationFunction::Relu, gated: false },
    Layer { neurons: 18, function: ActivationFunction::Gelu, gated: false },
];

fn text(id: u64, tokens: usize) -> Text {
    let numbers = |n: usize| (0..n).map(|i| (i as f32 * 0.37 + id as f32).sin()).collect();
    Text {
        id,
        tokens: (0..tokens as u32).collect(),
        special: vec![false; tokens],
        coefficients: LAYERS.iter().map(|l| numbers(tokens * l.neurons)).collect(),
    }
}

fn new() -> Box<dyn Analyzer> {
    prepared(&FfnKeyValueConfig::default(), &structure(&LAYERS), None, None)
}

fn refused(structure: &Structure, config: &FfnKeyValueConfig) -> String {
    let graph = empty_graph().unwrap();
    let model = ModelView { graph: &graph, structure, vocabulary: None, weights: None };
    config.build().unwrap().prepare(&model).unwrap_err().to_string()
}

#[test]
fn the_config_is_documented_and_checked() {
    check_config::<FfnKeyValueConfig>("ffn_key_value").unwrap();
    let refused = |config: FfnKeyValueConfig| config.build().map(|_| ()).unwrap_err().to_string();
    let none = refused(FfnKeyValueConfig { triggers: 0, ..FfnKeyValueConfig::default() });
    assert_eq!(none, "triggers is 0, valid is a whole number from 1 to 1000");
    let sigma = refused(FfnKeyValueConfig { key_sigma: f64::NAN, ..FfnKeyValueConfig::default() });
    assert_eq!(sigma, "key_sigma is NaN, valid is a number greater than 0");
}

#[test]
fn models_without_such_blocks_are_told_why() {
    let config = FfnKeyValueConfig::default();
    let needed = "the analysis needs a feed-forward block that every token goes through";
    assert_eq!(
        refused(&Structure::default(), &config),
        format!("this model has no feed-forward block, {needed}")
    );
    let mut experts = structure(&LAYERS);
    for block in &mut experts.feed_forward {
        block.kind = FeedForwardKind::Experts;
        block.experts = Some(Experts { count: 4, index: None });
    }
    assert!(refused(&experts, &config).contains("2 blocks of experts and no other"));
    // One block of experts beside a plain one is left out, and named.
    experts.feed_forward[0].kind = FeedForwardKind::Plain;
    let mut analyzer = prepared(&config, &experts, None, None);
    let (samples, activations) = batch(&[text(0, 4)], &LAYERS, Form::default());
    analyzer.track_batch(&Batch::new(0, &samples, &activations)).unwrap();
    let report = analyzer.analyze().unwrap();
    assert_eq!(report.summary["layers"], 1);
    assert_eq!(report.summary["left_out"][0]["name"], "ffn[1]");
}

#[test]
fn a_batch_with_nan_leaves_nothing_behind() {
    let mut analyzer = new();
    track(&mut *analyzer, &[text(0, 3), text(1, 2)], &LAYERS, Form::default());
    let before = analyzer.state().unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut broken = text(7, 3);
        broken.coefficients[1][20] = bad;
        let (samples, activations) = batch(&[text(6, 5), broken], &LAYERS, Form::default());
        let error = analyzer.track_batch(&Batch::new(1, &samples, &activations)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "memory coefficients of layer 1 hold 1 NaN or infinite numbers in sample 7"
        );
        assert_eq!(analyzer.state().unwrap(), before);
    }
}

#[test]
fn misshapen_tensors_are_errors() {
    let (samples, activations) = batch(&[text(0, 3)], &LAYERS, Form::default());
    for shape in [vec![54], vec![3, 3, 6], vec![1, 2, 27], vec![0, 18]] {
        let data = vec![0.5; shape.iter().product()];
        let wrong = activations.clone().with_f32(activation(1), shape.clone(), data).unwrap();
        let error = new().track_batch(&Batch::new(0, &samples, &wrong)).unwrap_err().to_string();
        assert!(error.starts_with("tensor #10: "), "{shape:?}: {error}");
    }
}

#[test]
fn states_of_other_models_and_settings_are_refused() {
    let mut analyzer = new();
    track(&mut *analyzer, &[text(0, 3)], &LAYERS, Form::default());
    let state = analyzer.state().unwrap();
    let other = prepared(&FfnKeyValueConfig::default(), &structure(&LAYERS[..1]), None, None).merge(&state);
    assert!(other.unwrap_err().to_string().contains("blocks"));
    let config = FfnKeyValueConfig { triggers: 7, ..FfnKeyValueConfig::default() };
    let fewer = prepared(&config, &structure(&LAYERS), None, None).merge(&state);
    assert_eq!(fewer.unwrap_err().to_string(), "the state's \"triggers\" is 50, needed 7");
    // Without any one of its tensors a state is refused, and nothing of it is taken in.
    for name in state.tensors.keys() {
        let mut lame = state.clone();
        lame.tensors.remove(name);
        let mut fresh = new();
        let empty = fresh.state().unwrap();
        assert!(fresh.merge(&lame).is_err(), "{name}");
        assert_eq!(fresh.state().unwrap(), empty);
    }
    assert!(new().merge(&State::new("other", 1, serde_json::Value::Null)).is_err());
}

#[test]
fn no_text_is_not_enough() {
    let error = new().analyze().unwrap_err().to_string();
    assert_eq!(error, "no position was looked at, the analysis needs at least one text");
}
