//! Rows that are no distributions, and attention that cannot see all tokens.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod common;

use std::slice::from_ref;

use common::{Form, PLAIN, Text, numbers, prepared, run, tensor, track};
use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, AnalyzerError, ModelView};
use fmrai_core::report::figure::Plot;
use fmrai_core::structure::Visible;
use fmrai_core::testing::{empty_graph, self_attention};
use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::attention_clustering::AttentionClusteringConfig;
use fmrai_plugins::attention_patterns::AttentionPatternsConfig;

fn uniform(n: usize) -> Vec<f32> {
    vec![1.0 / n as f32; n * n]
}

/// Each query sees all keys up to its own alike.
fn triangle(n: usize) -> Vec<f32> {
    (0..n * n).map(|i| if i % n <= i / n { 1.0 / (i / n + 1) as f32 } else { 0.0 }).collect()
}

fn text(n: usize, attention: Vec<Vec<f32>>) -> Text {
    Text { tokens: vec![0; n], attention }
}

fn both() -> [Box<dyn AnalyzerConfig>; 2] {
    [Box::new(AttentionPatternsConfig::default()), Box::new(AttentionClusteringConfig::default())]
}

/// A text of four tokens whose first head has a row of zeros and one with a share for padding.
fn broken() -> Text {
    let mut text = text(4, vec![uniform(4), uniform(4)]);
    text.attention[0][4..8].fill(0.0);
    text.attention[0][8] = 0.1;
    text
}

#[test]
fn they_are_left_out_and_counted() {
    let masked = text(4, vec![vec![0.0; 16]; 2]);
    let texts = [text(4, vec![uniform(4); 2]), masked, broken()];
    let report = run(&AttentionPatternsConfig::default(), &texts, &[2], 3, PLAIN);
    // Two texts of uniform rows, whatever is left out.
    Tolerance::STATISTIC.check(numbers(&report, "entropy"), &[4f64.ln(); 2]).unwrap();
    Tolerance::STATISTIC.check(numbers(&report, "share.self"), &[0.25; 2]).unwrap();
    let told = &report.summary["rows_left_out"];
    for (name, expected) in [("rows", 10), ("of", 24), ("zeros", 9), ("first_sample", 1)] {
        assert_eq!(told[name], expected, "{told}");
    }
    assert_eq!(report.summary["texts"], 2);
    assert_eq!(report.summary["tokens"], 8);
    assert!(
        report.figures[0].caption.contains("10 of 24 rows are no distributions"),
        "{}",
        report.figures[0].caption
    );
    let report = run(&AttentionClusteringConfig::default(), &texts, &[2], 3, PLAIN);
    assert_eq!(numbers(&report, "distances"), [0.0; 4]);
    assert_eq!(report.summary["texts"], 2);
}

#[test]
fn parts_and_batches_give_what_one_pass_gives() {
    let texts = [broken(), text(2, vec![uniform(2); 2]), text(3, vec![vec![0.0; 9], uniform(3)]), broken()];
    for config in both() {
        let mut whole = prepared(&*config, &[2], None);
        track(&mut *whole, &texts, &[2], 0, PLAIN).unwrap();
        let mut merged = prepared(&*config, &[2], None);
        for (i, text) in texts.iter().enumerate().rev() {
            let mut part = prepared(&*config, &[2], None);
            let form = Form { extra: i, left: i % 2 == 0, joined: i > 1 };
            track(&mut *part, from_ref(text), &[2], i as u64, form).unwrap();
            merged.merge(&part.state().unwrap()).unwrap();
        }
        let (one, other) = (merged.state().unwrap(), whole.state().unwrap());
        for (name, value) in &one.tensors {
            match (value.f64(), other.tensors[name].f64()) {
                (Ok(a), Ok(b)) => Tolerance::REORDERED.check(a, b).unwrap(),
                _ => assert_eq!(*value, other.tensors[name], "{name}"),
            }
        }
    }
}

#[test]
fn a_text_without_any_row_is_no_data() {
    for config in both() {
        let mut analyzer = prepared(&*config, &[1], None);
        track(&mut *analyzer, &[text(3, vec![vec![0.0; 9]])], &[1], 7, PLAIN).unwrap();
        let error = analyzer.analyze().unwrap_err();
        assert!(matches!(error, AnalyzerError::NotEnoughData { .. }));
        assert!(error.to_string().contains("the first in sample 7"), "{error}");
    }
}

fn seeing(config: &dyn AnalyzerConfig, visible: Visible, layers: &[usize]) -> Box<dyn Analyzer> {
    let mut analyzer = config.build().unwrap();
    let (graph, mut structure) = (empty_graph().unwrap(), self_attention(layers));
    structure.attention.iter_mut().for_each(|block| block.visible = visible);
    let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
    analyzer.prepare(&model).unwrap();
    analyzer
}

fn ln(keys: &[f64]) -> f64 {
    keys.iter().map(|n| n.ln()).sum::<f64>() / keys.len() as f64
}

#[test]
fn entropies_are_held_against_what_can_be_attained() {
    let causal = ln(&[1.0, 2.0, 3.0, 4.0]);
    let window = ln(&[1.0, 2.0, 2.0, 2.0]);
    let one = Visible::Window { before: Some(1), after: Some(0) };
    for (visible, rows, expected, words) in [
        (Visible::Causal, triangle(4), causal, "causal"),
        (Visible::Unknown, triangle(4), causal, "causal (observed)"),
        (Visible::Unknown, uniform(4), 4f64.ln(), "unknown"),
        (Visible::Full, triangle(4), 4f64.ln(), "all"),
        (one, triangle(4), window, "window of 1 before and 0 after"),
    ] {
        let mut analyzer = seeing(&AttentionPatternsConfig::default(), visible, &[1]);
        track(&mut *analyzer, &[text(4, vec![rows])], &[1], 0, PLAIN).unwrap();
        let report = analyzer.analyze().unwrap();
        let found = report.summary["uniform_entropy"].as_f64().unwrap();
        Tolerance::STATISTIC.check(&[found], &[expected]).unwrap();
        assert_eq!(report.summary["visible"][0]["keys"], words);
        let entropy = report.figures.iter().find(|f| f.name == "entropy").unwrap();
        let Plot::Lines(lines) = &entropy.panels[0].plot else { panic!("no lines") };
        Tolerance::STATISTIC.check(&[lines.references[0].1], &[expected]).unwrap();
    }
}

#[test]
fn what_can_only_be_zero_is_neither_drawn_nor_ranked() {
    let mut analyzer = seeing(&AttentionPatternsConfig::default(), Visible::Causal, &[2]);
    track(&mut *analyzer, &[text(5, vec![triangle(5); 2])], &[2], 0, PLAIN).unwrap();
    let report = analyzer.analyze().unwrap();
    let titles: Vec<&str> =
        report.figures.iter().flat_map(|f| &f.panels).map(|panel| panel.title.as_str()).collect();
    assert!(titles.contains(&"previous token"), "{titles:?}");
    assert!(!titles.contains(&"next token") && !titles.contains(&"entropy, first token"), "{titles:?}");
    assert!(report.summary["strongest"].get("share.next").is_none());
    assert_eq!(
        report.summary["zero_by_construction"],
        serde_json::json!(["share.next", "entropy.first_token"])
    );
    // What was measured stays in the tables.
    assert_eq!(numbers(&report, "share.next"), [0.0; 2]);
    assert_eq!(tensor(&report, "entropy.first_token").shape(), [1, 2]);
}

/// A causal head that sees all it can alike is as broad as one of an encoder that sees all alike.
#[test]
fn broad_heads_of_decoders() {
    let n = 60;
    for (visible, rows) in [(Visible::Full, uniform(n)), (Visible::Causal, triangle(n))] {
        let config = AttentionClusteringConfig::default();
        let mut analyzer = seeing(&config, visible, &[2]);
        track(&mut *analyzer, &[text(n, vec![rows.clone(), rows])], &[2], 0, PLAIN).unwrap();
        let report = analyzer.analyze().unwrap();
        assert_eq!(report.summary["patterns"]["broad"], 2, "{visible:?}");
    }
}
