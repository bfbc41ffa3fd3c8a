//! Few heads, short texts, no vocabulary, and everything that has to be refused.

mod common;

use std::slice::from_ref;

use common::{PLAIN, Text, batch, column, numbers, prepared, run, tensor, track, vocabulary};
use fmrai_core::analyzer::{AnalyzerConfig, AnalyzerError, ModelView, Registry, State};
use fmrai_core::batch::Batch;
use fmrai_core::graph::TensorId;
use fmrai_core::report::Values;
use fmrai_core::structure::{AttentionKind, Structure};
use fmrai_core::testing::{MemoryActivations, check_config, empty_graph, padded_sample, self_attention};
use fmrai_plugins::attention_clustering::{AttentionClusteringConfig, Thresholds};
use fmrai_plugins::attention_patterns::AttentionPatternsConfig;

fn uniform(n: usize) -> Vec<f32> {
    vec![1.0 / n as f32; n * n]
}

/// Each query looks `by` positions ahead, around the end.
fn shifted(n: usize, by: usize) -> Vec<f32> {
    (0..n * n).map(|i| if i % n == (i / n + by) % n { 1.0 } else { 0.0 }).collect()
}

fn text(n: usize, attention: Vec<Vec<f32>>) -> Text {
    Text { tokens: vec![0; n], attention }
}

fn both() -> [Box<dyn AnalyzerConfig>; 2] {
    [Box::new(AttentionPatternsConfig::default()), Box::new(AttentionClusteringConfig::default())]
}

#[test]
fn configs() {
    check_config::<AttentionPatternsConfig>("attention_patterns").unwrap();
    check_config::<AttentionClusteringConfig>("attention_clustering").unwrap();
}

#[test]
fn registered_analyzers() {
    let registry = Registry::linked().unwrap();
    let names: Vec<_> = registry.iter().map(|e| e.about.name).collect();
    assert_eq!(
        names,
        [
            "ablation",
            "activation_patching",
            "attention_clustering",
            "attention_patterns",
            "attention_view",
            "attribution_patching",
            "circuit",
            "direct_logit_attribution",
            "ffn_key_value",
            "head_detection",
            "input_attribution",
            "logit_lens",
            "neuron_view",
            "path_patching",
            "steering",
        ]
    );
}

#[test]
fn impossible_configs_name_the_field() {
    let clustering = AttentionClusteringConfig::default;
    let thresholds = |first| Thresholds { first, ..Default::default() };
    let cases: [(&str, Box<dyn AnalyzerConfig>); 9] = [
        ("smoothing", Box::new(AttentionPatternsConfig { smoothing: 1.0 })),
        ("smoothing", Box::new(AttentionPatternsConfig { smoothing: f64::NAN })),
        ("smoothing", Box::new(AttentionClusteringConfig { smoothing: -0.1, ..clustering() })),
        ("starts", Box::new(AttentionClusteringConfig { starts: 10_001, ..clustering() })),
        ("max_iterations", Box::new(AttentionClusteringConfig { max_iterations: 0, ..clustering() })),
        ("eps", Box::new(AttentionClusteringConfig { eps: 0.0, ..clustering() })),
        ("clusters", Box::new(AttentionClusteringConfig { clusters: Some(0), ..clustering() })),
        ("max_clusters", Box::new(AttentionClusteringConfig { max_clusters: 1, ..clustering() })),
        (
            "thresholds.first",
            Box::new(AttentionClusteringConfig { thresholds: thresholds(1.5), ..clustering() }),
        ),
    ];
    for (field, config) in cases {
        assert_eq!(config.build().err().unwrap().field, field, "{config:?}");
    }
}

#[test]
fn models_without_self_attention_are_unsuitable() {
    let mut crossed = self_attention(&[2]);
    crossed.attention[0].kind = AttentionKind::CrossAttention;
    let cases = [
        (Structure::default(), "this model has no attention, the analysis needs self-attention"),
        (
            crossed,
            "this model has no self-attention, only 1 cross-attention blocks, the analysis needs self-attention",
        ),
    ];
    let graph = empty_graph().unwrap();
    for (structure, message) in &cases {
        for config in both() {
            let model = ModelView { graph: &graph, structure, vocabulary: None, weights: None };
            let error = config.build().unwrap().prepare(&model).unwrap_err();
            assert!(matches!(error, AnalyzerError::Unsuitable { .. }));
            assert_eq!(error.to_string(), *message);
        }
    }
}

#[test]
fn nothing_seen_is_not_enough_data() {
    for config in both() {
        let mut analyzer = prepared(&*config, &[2], None);
        assert!(matches!(analyzer.analyze(), Err(AnalyzerError::NotEnoughData { .. })));
        // Neither an empty batch nor empty texts are data.
        track(&mut *analyzer, &[], &[2], 0, PLAIN).unwrap();
        track(&mut *analyzer, &[text(0, vec![vec![]; 2])], &[2], 0, PLAIN).unwrap();
        assert!(matches!(analyzer.analyze(), Err(AnalyzerError::NotEnoughData { .. })));
    }
}

#[test]
fn known_patterns_and_labels() {
    let n = 8;
    let mut first = vec![0.0; n * n];
    (0..n).for_each(|query| first[query * n] = 1.0);
    let mut text = text(n, vec![shifted(n, 0), shifted(n, 1), shifted(n, n - 1), first, uniform(n)]);
    text.tokens[n - 1] = 1;
    text.tokens[3] = 2;
    let thresholds = Thresholds { entropy: Some(2.0), ..Default::default() };
    let config = AttentionClusteringConfig { thresholds, ..Default::default() };
    let report = run(&config, &[text.clone()], &[3, 2], 1, PLAIN);
    let Values::Text(labels) = column(&report, "heads", "pattern") else { panic!("no texts") };
    assert_eq!(labels, &["other", "next", "previous", "first", "broad"]);
    let Values::Text(labels) = column(&report, "heads", "label") else { panic!("no texts") };
    assert_eq!(labels, &["L0H0", "L0H1", "L0H2", "L1H0", "L1H1"]);

    let report = run(&AttentionPatternsConfig::default(), &[text], &[3, 2], 1, PLAIN);
    assert_eq!(tensor(&report, "share.next").shape(), [2, 3]);
    let next = numbers(&report, "share.next");
    assert_eq!(next[1], 1.0);
    assert!(next[5].is_nan(), "layer 1 has no third head");
    assert_eq!(numbers(&report, "share.separator_from_separator")[0], 1.0);
    assert_eq!(numbers(&report, "share.separator_from_rest")[0], 0.0);
    assert_eq!(numbers(&report, "share.punctuation")[4], 0.125);
    assert_eq!(report.summary["heads_above_half_next"], 1);
    assert_eq!(report.summary["strongest"]["share.next"][0]["head"], "L0H1");
}

#[test]
fn without_a_vocabulary_its_parts_are_left_out() {
    let mut analyzer = prepared(&AttentionPatternsConfig::default(), &[2], None);
    track(&mut *analyzer, &[text(4, vec![uniform(4), shifted(4, 1)])], &[2], 0, PLAIN).unwrap();
    let report = analyzer.analyze().unwrap();
    assert!(report.tensors.iter().all(|t| !t.name.contains("separator") && !t.name.contains("punctuation")));
    assert_eq!(report.summary["left_out"].as_array().unwrap().len(), 4);
    assert_eq!(report.figures[0].panels.len(), 4);
}

#[test]
fn texts_of_one_token_have_no_neighbours() {
    let one = text(1, vec![vec![1.0]; 3]);
    let report = run(&AttentionPatternsConfig::default(), from_ref(&one), &[3], 1, PLAIN);
    assert!(report.tensors.iter().all(|t| t.name != "share.previous" && t.name != "share.next"));
    assert_eq!(numbers(&report, "entropy"), [0.0; 3]);
    let report = run(&AttentionClusteringConfig::default(), from_ref(&one), &[3], 1, PLAIN);
    assert_eq!(numbers(&report, "distances"), [0.0; 9]);
    // A longer text defines them alone, and halves the mean of what both define.
    let both = [one, text(2, vec![shifted(2, 1), uniform(2), uniform(2)])];
    let report = run(&AttentionPatternsConfig::default(), &both, &[3], 2, PLAIN);
    assert_eq!(numbers(&report, "share.next"), [1.0, 0.5, 0.5]);
    assert_eq!(numbers(&report, "share.self"), [0.5, 0.75, 0.75]);
}

#[test]
fn few_or_identical_heads_make_few_clusters() {
    let n = 6;
    let heads = [uniform(n), shifted(n, 1), shifted(n, 2)];
    let clusters = |attention: Vec<Vec<f32>>, clusters| {
        let layers = [attention.len()];
        let config = AttentionClusteringConfig { clusters, ..Default::default() };
        let report = run(&config, &[text(n, attention)], &layers, 1, PLAIN);
        assert!(numbers(&report, "coordinates").iter().all(|x| x.is_finite()));
        assert!(numbers(&report, "silhouette").iter().all(|x| (-1.0..=1.0).contains(x)));
        tensor(&report, "clusters").i64().unwrap().to_vec()
    };
    assert_eq!(clusters(heads[..1].to_vec(), None), [0]);
    assert_eq!(clusters(heads[..1].to_vec(), Some(3)), [0]);
    assert_eq!(clusters(heads[..2].to_vec(), None), [0, 0]);
    assert_eq!(clusters(heads[..2].to_vec(), Some(5)), [0, 1]);
    assert_eq!(clusters(vec![heads[0].clone(); 5], None), [0; 5]);
    assert_eq!(clusters(vec![heads[0].clone(); 5], Some(2)), [0; 5]);
    let groups = [1, 0, 1, 1, 0].map(|i: usize| heads[i].clone());
    assert_eq!(clusters(groups.to_vec(), None), [0, 1, 0, 0, 1]);
}

#[test]
fn numbers_that_are_not_finite_leave_the_state_alone() {
    for config in both() {
        for (bad, message) in [
            (f32::NAN, "attention probabilities of layer 1 hold 2 NaN or infinite numbers in sample 41"),
            (f32::INFINITY, "attention probabilities of layer 1 hold 2 NaN or infinite numbers in sample 41"),
            (-0.5, "attention probabilities of layer 1 hold 2 numbers outside [0, 1] in sample 41"),
        ] {
            let mut analyzer = prepared(&*config, &[1, 2], None);
            let good = text(3, vec![uniform(3); 3]);
            track(&mut *analyzer, from_ref(&good), &[1, 2], 0, PLAIN).unwrap();
            let before = analyzer.state().unwrap();
            let mut broken = good.clone();
            broken.attention[2][4] = bad;
            broken.attention[1][0] = bad;
            let error = track(&mut *analyzer, &[good, broken], &[1, 2], 40, PLAIN).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(analyzer.state().unwrap(), before);
        }
    }
}

#[test]
fn tensors_of_another_form_are_refused() {
    let samples = [padded_sample(5, &[0, 0, 0], 1)];
    let shapes: [&[usize]; 6] =
        [&[1, 2, 3, 3], &[1, 3, 4, 4], &[2, 2, 4, 4], &[1, 2, 4, 5], &[4, 4], &[3, 4, 4]];
    for config in both() {
        for shape in shapes {
            let mut analyzer = prepared(&*config, &[2], None);
            let data = vec![0.25; shape.iter().product()];
            let activations = MemoryActivations::new().with_f32(TensorId(0), shape, data).unwrap();
            let error = analyzer.track_batch(&Batch::new(0, &samples, &activations)).unwrap_err();
            assert!(matches!(error, AnalyzerError::Tensor { tensor: TensorId(0), .. }), "{shape:?}: {error}");
        }
        let mut analyzer = prepared(&*config, &[2], None);
        let error = analyzer.track_batch(&Batch::new(0, &samples, &MemoryActivations::new())).unwrap_err();
        assert!(matches!(error, AnalyzerError::NotCaptured(TensorId(0))));
        let mut analyzer = prepared(&*config, &[1], Some(&vocabulary()));
        let (mut samples, activations) = batch(&[text(3, vec![uniform(3)])], &[1], 0, PLAIN);
        samples[0].token_ids.pop();
        let error = analyzer.track_batch(&Batch::new(0, &samples, &activations)).unwrap_err();
        assert!(error.to_string().contains("2 tokens at 3 positions"), "{error}");
    }
}

#[test]
fn foreign_states_are_refused_and_change_nothing() {
    for (config, other) in [(0usize, 1usize), (1, 0)] {
        let seen = |layers: &[usize]| {
            let mut analyzer = prepared(&*both()[config], layers, None);
            let attention = vec![uniform(3); layers.iter().sum()];
            track(&mut *analyzer, &[text(3, attention)], layers, 0, PLAIN).unwrap();
            analyzer
        };
        let mut analyzer = seen(&[1, 2]);
        let before = analyzer.state().unwrap();
        let mut foreign = vec![
            prepared(&*both()[other], &[1, 2], None).state().unwrap(),
            seen(&[2, 1]).state().unwrap(),
            seen(&[3]).state().unwrap(),
            State { version: before.version + 1, ..before.clone() },
        ];
        // States of earlier versions have no shares by chance; all else has to be there.
        for name in before.tensors.keys().filter(|name| *name != "pattern_chance") {
            let mut state = before.clone();
            state.tensors.remove(name);
            foreign.push(state);
        }
        let mut smoothed = before.clone();
        smoothed.document["smoothing"] = 0.5.into();
        foreign.push(smoothed);
        for state in &foreign {
            assert!(matches!(analyzer.merge(state), Err(AnalyzerError::State(_))), "{state:?}");
        }
        assert_eq!(analyzer.state().unwrap(), before);
    }
}

#[test]
fn a_state_without_shares_by_chance_is_taken_in_and_leaves_them_unknown() {
    let config = AttentionPatternsConfig::default();
    let mut analyzer = prepared(&config, &[2], None);
    track(&mut *analyzer, &[text(3, vec![uniform(3); 2])], &[2], 0, PLAIN).unwrap();
    let mut earlier = analyzer.state().unwrap();
    let drawn = |report: &fmrai_core::report::Report| {
        let text = serde_json::to_string(&report.figures[0]).unwrap();
        text.contains("[\"uniform attention\"")
    };
    assert!(drawn(&analyzer.analyze().unwrap()));
    earlier.tensors.remove("pattern_chance");
    earlier.version = 2; // the last one in which there was no chance
    analyzer.merge(&earlier).unwrap();
    let report = analyzer.analyze().unwrap();
    assert_eq!(report.summary["texts"], 2);
    assert!(!drawn(&report), "half of the texts tell nothing of chance");
    // What is not known can be stored and read again.
    let state = analyzer.state().unwrap();
    analyzer.merge(&state).unwrap();
}

#[test]
fn equal_runs_give_equal_reports() {
    let (texts, layers) = common::reference_texts("synthetic");
    for config in both() {
        let once = run(&*config, &texts, &layers, 2, PLAIN);
        let again = run(&*config, &texts, &layers, 2, PLAIN);
        let json = |r: &fmrai_core::report::Report| serde_json::to_string(&r.summary).unwrap();
        assert_eq!(json(&once), json(&again));
        assert_eq!(once.tables, again.tables);
    }
}
