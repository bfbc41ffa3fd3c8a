//! Key-value memories: configs, and data and models that do not fit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod memories;

use std::sync::Arc;

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, ModelView, State, Weights};
use fmrai_core::batch::Batch;
use fmrai_core::report::figure::{Card, Plot};
use fmrai_core::report::{Column, Report, Values};
use fmrai_core::structure::{ActivationFunction, Experts, FeedForwardKind, Structure};
use fmrai_core::tensor::{TensorData, TensorValue};
use fmrai_core::testing::{check_config, empty_graph};
use fmrai_plugins::ffn_key_value::FfnKeyValueConfig;
use memories::{
    CHANNELS, Form, Layer, Loaded, TABLE, TOKENS, Text, activation, batch, prepared, structure, track,
    values, with_vocabulary,
};

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
fn layers_that_are_asked_for_are_as_among_all_and_keep_their_numbers() {
    let texts: Vec<Text> = (0..3).map(|id| text(id, 7)).collect();
    let report = |layers: Option<Vec<usize>>| {
        let config = FfnKeyValueConfig { layers, ..FfnKeyValueConfig::default() };
        let mut analyzer = prepared(&config, &structure(&LAYERS), None, None);
        track(&mut *analyzer, &texts, &LAYERS, Form::default());
        analyzer.analyze().unwrap()
    };
    let rows = |report: &Report, layer: i64| -> Vec<String> {
        let table = report.tables.iter().find(|table| table.name() == "neurons").unwrap();
        let columns = table.columns();
        let Values::Int(layers) = &columns[0].values else { panic!("layers are whole numbers") };
        let cell = |column: &Column, at: usize| match &column.values {
            Values::Int(all) => all[at].to_string(),
            Values::Float(all) => all[at].to_bits().to_string(),
            Values::Text(all) => all[at].clone(),
        };
        let row = |at: usize| columns.iter().map(|column| cell(column, at) + " ").collect();
        layers.iter().enumerate().filter(|(_, number)| **number == layer).map(|(at, _)| row(at)).collect()
    };
    let (all, second) = (report(None), report(Some(vec![1])));
    assert_eq!(rows(&second, 1), rows(&all, 1));
    assert_eq!((rows(&second, 1).len(), rows(&second, 0).len()), (18, 0));
    assert_eq!(second.summary["layer_numbers"], serde_json::json!([1]));
    assert!(!all.summary.contains_key("layer_numbers"));
    let unknown = FfnKeyValueConfig { layers: Some(vec![0, 2]), ..FfnKeyValueConfig::default() };
    let error = refused(&structure(&LAYERS), &unknown);
    assert!(
        error.contains("no feed-forward block of layer 2") && error.contains("layers from 0 to 1"),
        "{error}"
    );
    let none = FfnKeyValueConfig { layers: Some(Vec::new()), ..FfnKeyValueConfig::default() };
    let error = none.build().map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "layers is [], valid is a list of at least one layer");
}

#[test]
fn the_config_is_documented_and_checked() {
    check_config::<FfnKeyValueConfig>("ffn_key_value").unwrap();
    let refused = |config: FfnKeyValueConfig| config.build().map(|_| ()).unwrap_err().to_string();
    let none = refused(FfnKeyValueConfig { triggers: 0, ..FfnKeyValueConfig::default() });
    assert_eq!(none, "triggers is 0, valid is a whole number from 1 to 1000");
    for (config, field) in [
        (FfnKeyValueConfig { contexts: 101, ..FfnKeyValueConfig::default() }, "contexts"),
        (FfnKeyValueConfig { cards: 101, ..FfnKeyValueConfig::default() }, "cards"),
    ] {
        assert_eq!(refused(config), format!("{field} is 101, valid is a whole number from 0 to 100"));
    }
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

/// A state's tensor with one number changed.
fn changed(state: &State, name: &str, change: impl FnOnce(&mut Vec<i64>)) -> State {
    let mut state = state.clone();
    let tensor = &state.tensors[name];
    let (mut numbers, shape) = (tensor.i64().unwrap().to_vec(), tensor.shape().to_vec());
    change(&mut numbers);
    let shape = if shape.len() == 1 { vec![numbers.len()] } else { shape };
    state.tensors.insert(name.to_owned(), TensorValue::new(shape, TensorData::I64(numbers)).unwrap());
    state
}

#[test]
fn states_whose_parts_contradict_each_other_are_refused() {
    let mut analyzer = new();
    track(&mut *analyzer, &[text(0, 3), text(1, 30), text(2, 4)], &LAYERS, Form::default());
    let state = analyzer.state().unwrap();
    let mut unordered = state.clone();
    let TensorData::F32(mut sizes) = state.tensors["positive.sizes"].data().clone() else {
        panic!("not float32")
    };
    sizes.swap(0, 1);
    let sizes = TensorValue::new([sizes.len()], TensorData::F32(sizes)).unwrap();
    unordered.tensors.insert("positive.sizes".to_owned(), sizes);
    let refused = [
        unordered,
        changed(&state, "positive.texts", |n| n[1] = n[0]),
        changed(&state, "positive.window_lengths", |n| n[0] = 33),
        changed(&state, "active", |n| n[0] = 38),
        changed(&state, "active", |n| n[0] = i64::MAX),
        changed(&state, "texts.ends", |n| n.truncate(5)),
        changed(&state, "texts.ends", |n| n.push(1)),
        changed(&state, "texts.lengths", |n| n[0] = i64::MAX),
        changed(&state, "positive.lengths", |n| n[0] = -1),
    ];
    for (i, lame) in refused.into_iter().enumerate() {
        let mut fresh = new();
        let empty = fresh.state().unwrap();
        assert!(fresh.merge(&lame).is_err(), "state {i} is taken");
        assert_eq!(fresh.state().unwrap(), empty, "state {i} leaves something behind");
    }
    // Counts as large as they can be are no reason to panic.
    let mut many = state.clone();
    many.document["seen"] = serde_json::json!(u64::MAX);
    let many = changed(&many, "next_tokens", |n| n[1] = i64::MAX);
    let many = changed(&many, "positions", |n| n.fill(i64::MAX));
    let mut fresh = new();
    for _ in 0..4 {
        fresh.merge(&many).unwrap();
    }
    assert!(fresh.analyze().is_ok());
}

fn cards(report: &Report) -> Vec<Card> {
    let figure = report.figures.iter().find(|figure| figure.name == "memory_cards");
    let Some(figure) = figure else { return Vec::new() };
    let Plot::Passages(passages) = &figure.panels[0].plot else { panic!("not passages") };
    passages.cards.clone()
}

/// One text of 40 tokens: neuron 0 of layer 0 is largest at position 30, and the card is cut on both sides.
#[test]
fn cards_show_the_text_around_a_trigger() {
    let mut long = text(5, 40);
    for (i, x) in long.coefficients[0].iter_mut().enumerate() {
        *x = if i == 30 * 3 { 8.0 } else { x.abs() };
    }
    // At a position that does not count anything may stand, also beside a trigger.
    long.special[31] = true;
    long.coefficients[0][31 * 3] = f32::INFINITY;
    let config = FfnKeyValueConfig { special_tokens: false, ..FfnKeyValueConfig::default() };
    let mut analyzer = prepared(&config, &structure(&LAYERS), None, None);
    track(&mut *analyzer, &[long], &LAYERS, Form { left: true, extra: 2, joined: false });
    let report = analyzer.analyze().unwrap();
    let all = cards(&report);
    assert_eq!(all.len(), 12);
    let card = all.iter().find(|card| card.title == "layer 0 neuron 0").unwrap();
    let [passage] = &card.passages[..] else { panic!("one text, one passage") };
    assert_eq!((passage.label.as_str(), passage.marked), ("8.00", Some(23)));
    assert!(passage.cut_before && passage.cut_after);
    assert_eq!(passage.tokens.len(), 32);
    let values: Vec<f64> = passage.tokens[23..25].iter().map(|token| token.value).collect();
    assert!(values[0] == 1.0 && values[1].is_nan(), "{values:?}");
    let store = report.store.unwrap();
    let contexts = store.relations.iter().find(|r| r.table.name() == "contexts").unwrap();
    let Values::Text(lists) = &contexts.table.columns()[5].values else { panic!("not text") };
    let list: Vec<Option<f64>> = serde_json::from_str(&lists[0]).unwrap();
    assert_eq!((list[23], list[24], list.len()), (Some(8.0), None, 32));

    for none in
        [FfnKeyValueConfig { cards: 0, ..config.clone() }, FfnKeyValueConfig { contexts: 0, ..config }]
    {
        let mut analyzer = prepared(&none, &structure(&LAYERS), None, None);
        track(&mut *analyzer, &[text(0, 3)], &LAYERS, Form::default());
        assert_eq!(cards(&analyzer.analyze().unwrap()), []);
    }
}

#[test]
fn values_that_all_say_the_same_are_warned_of() {
    // Vectors of length 1 along an axis; the last token has none.
    let rows = |axes: Vec<usize>| {
        let data = axes.iter().flat_map(|axis| (0..CHANNELS).map(move |c| f32::from(u8::from(c == *axis))));
        TensorValue::new([axes.len(), CHANNELS], TensorData::F32(data.collect())).unwrap()
    };
    let warnings = |of: &dyn Fn(usize) -> usize| {
        let made = LAYERS.iter().enumerate();
        let made = made.map(|(layer, l)| (values(layer), rows((0..l.neurons).map(of).collect())));
        let table = rows((0..TOKENS).collect());
        let weights: Arc<dyn Weights> = Arc::new(Loaded(made.chain([(TABLE, table)]).collect()));
        let structure = with_vocabulary(structure(&LAYERS), TOKENS);
        let config = FfnKeyValueConfig { composition_positions: 0, ..FfnKeyValueConfig::default() };
        let mut analyzer = prepared(&config, &structure, None, Some(&weights));
        track(&mut *analyzer, &[text(0, 3)], &LAYERS, Form::default());
        analyzer.analyze().unwrap().summary["warnings"].to_string()
    };
    let all = warnings(&|_| 2);
    assert!(all.contains("\\\"#2\\\" is the most probable token of 100 % of all values"), "{all}");
    assert!(all.contains("with `final_norm`"), "{all}");
    assert_eq!(warnings(&|neuron| neuron % CHANNELS), "[]");
}

#[test]
fn what_can_be_queried_early_is_the_same_behind_c_functions() {
    let mut linked = new();
    assert_eq!(linked.interim().unwrap(), None);
    let kinds = fmrai_core::abi::loopback().unwrap();
    let kind = kinds.iter().find(|kind| kind.description().name == "ffn_key_value").unwrap();
    let config = kind.complete(&serde_json::Map::new()).unwrap();
    let mut foreign = kind.build(&config).unwrap().into_analyzer().unwrap();
    let (structure, graph) = (structure(&LAYERS), empty_graph().unwrap());
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    foreign.prepare(&model).unwrap();
    assert_eq!(foreign.interim().unwrap(), None);
    for analyzer in [&mut linked, &mut foreign] {
        track(&mut **analyzer, &[text(0, 3), text(1, 30)], &LAYERS, Form::default());
    }
    let store = linked.interim().unwrap().unwrap();
    assert!(store.relations.iter().any(|r| r.table.name() == "triggers" && r.table.rows() > 0));
    // NaN, as in the skewness of neurons that never change, is not equal to itself.
    assert_eq!(format!("{:?}", foreign.interim().unwrap().unwrap()), format!("{store:?}"));
}
