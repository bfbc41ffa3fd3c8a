//! What the figures of attention say: names, lines of chance, the order of heads, and whether there are clusters.
#![allow(clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;

use common::{PLAIN, Text, numbers, run};
use fmrai_core::report::Report;
use fmrai_core::report::figure::{Figure, HeatMap, Lines, Mark, Plot, Scatter};
use fmrai_plugins::attention_clustering::{AttentionClusteringConfig, Thresholds};
use fmrai_plugins::attention_patterns::AttentionPatternsConfig;
use serde_json::json;

const TOKENS: usize = 8;

/// All attention of a query in a share at the key `by` positions ahead, around the end, the rest alike.
fn leaning(by: usize, share: f32) -> Vec<f32> {
    let rest = (1.0 - share) / (TOKENS - 1) as f32;
    let at = |i: usize| if i % TOKENS == (i / TOKENS + by) % TOKENS { share } else { rest };
    (0..TOKENS * TOKENS).map(at).collect()
}

fn text(attention: Vec<Vec<f32>>) -> Text {
    Text { tokens: vec![0; TOKENS], attention }
}

/// Two layers of six heads that all look around alike, but for the fifth of the second layer.
fn one_stands_out() -> Text {
    let mut heads: Vec<Vec<f32>> = (0..12).map(|i| leaning(0, 0.125 + 0.001 * i as f32)).collect();
    heads[10] = leaning(TOKENS - 1, 0.9);
    text(heads)
}

fn figure<'a>(report: &'a Report, name: &str) -> &'a Figure {
    report.figures.iter().find(|figure| figure.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn lines<'a>(figure: &'a Figure, title: &str) -> &'a Lines {
    let panel =
        figure.panels.iter().find(|panel| panel.title == title).unwrap_or_else(|| panic!("no {title}"));
    let Plot::Lines(lines) = &panel.plot else { panic!("no lines") };
    lines
}

fn scatter(report: &Report) -> &Scatter {
    let Plot::Scatter(plot) = &figure(report, "head_map").panels[0].plot else { panic!("no points") };
    plot
}

fn distances(report: &Report) -> &HeatMap {
    let Plot::HeatMap(map) = &figure(report, "distances").panels[0].plot else { panic!("no map") };
    map
}

#[test]
fn heads_that_stand_out_are_named_and_chance_is_drawn() {
    let report = run(&AttentionPatternsConfig::default(), &[one_stands_out()], &[6, 6], 1, PLAIN);
    let previous = lines(figure(&report, "patterns"), "previous token");
    let named: Vec<&str> =
        previous.series[0].labels.iter().map(String::as_str).filter(|label| !label.is_empty()).collect();
    assert_eq!(named, ["L1H4"]);
    assert!(previous.series.iter().all(|series| series.mark != Mark::Line), "layers are no continuum");
    // Each of the 8 keys has an eighth of uniform attention.
    assert_eq!(previous.references, [("uniform attention".to_owned(), 0.125)]);
    let findings = report.summary["findings"].as_array().unwrap();
    assert!(findings.iter().any(|line| line.as_str().unwrap().starts_with("previous token: L1H4 0.90, ")));
}

#[test]
fn every_head_has_its_number_and_the_strongest_are_named() {
    let report = run(&AttentionPatternsConfig::default(), &[one_stands_out()], &[6, 6], 1, PLAIN);
    let heads = figure(&report, "heads");
    let panel = heads
        .panels
        .iter()
        .find(|panel| panel.title.starts_with("previous token: L1H4\u{a0}0.90, "))
        .unwrap();
    let Plot::HeatMap(map) = &panel.plot else { panic!("no map") };
    let expected: Vec<String> =
        numbers(&report, "share.previous").iter().map(|x| format!("{x:.2}")).collect();
    assert_eq!(map.texts, expected);
    let (_, top) = map.scale.range.unwrap();
    assert!((top - 0.9).abs() < 1e-6, "the scale of a panel is its own: {top}");
    assert!(heads.caption.contains("Over 1 text with 8 tokens in all."), "{}", heads.caption);
}

#[test]
fn heads_that_look_alike_stand_side_by_side_on_both_sides() {
    let kinds = [0, 3, 6, 0, 3, 6, 0, 3, 6].map(|by| leaning(by, 0.8));
    let report = run(&AttentionClusteringConfig::default(), &[text(kinds.to_vec())], &[3, 3, 3], 1, PLAIN);
    let map = distances(&report);
    assert_eq!(map.rows, map.columns);
    assert_eq!(map.rows, ["L0H0", "L1H0", "L2H0", "L0H1", "L1H1", "L2H1", "L0H2", "L1H2", "L2H2"]);
    assert_eq!(map.row_groups, [0, 1, 2].map(|c| (format!("cluster {c}"), 3)));
    let shapes = scatter(&report).shapes.as_ref().unwrap();
    assert_eq!((shapes.title.as_str(), shapes.entries.len()), ("cluster", 3));
    assert_eq!(report.summary["clustering"]["apart"], json!(true));
}

#[test]
fn one_head_does_not_own_the_colours() {
    let mut heads: Vec<Vec<f32>> = (0..40).map(|i| leaning(i % 3, 0.15 + 0.002 * i as f32)).collect();
    heads[7] = leaning(5, 1.0);
    let report = run(&AttentionClusteringConfig::default(), &[text(heads)], &[40], 1, PLAIN);
    let map = distances(&report);
    let most = map.values.iter().copied().fold(0.0, f64::max);
    let (low, top) = map.scale.range.unwrap();
    assert!(low == 0.0 && top < most / 2.0, "{top} of {most}");
    let caption = &figure(&report, "distances").caption;
    assert!(caption.contains(&format!("Above {top:.2} nats")), "{caption}");
}

#[test]
fn a_division_that_is_hardly_apart_is_no_cluster() {
    // Each looks elsewhere, so that all are equally far from each other: any division of them is arbitrary.
    let heads: Vec<Vec<f32>> = (0..8).map(|i| leaning(i, 0.5)).collect();
    let report = run(&AttentionClusteringConfig::default(), &[text(heads.clone())], &[8], 1, PLAIN);
    let silhouette = report.summary["clustering"]["silhouette"].as_f64().unwrap();
    assert!(silhouette < 0.25, "{silhouette}");
    assert_eq!(report.summary["clustering"]["apart"], json!(false));
    assert!(distances(&report).row_groups.is_empty());
    assert!(scatter(&report).shapes.as_ref().is_none_or(|shapes| shapes.title != "cluster"));
    assert!(figure(&report, "head_map").caption.contains("No clusters are shown"));
    assert!(report.summary["findings"][0].as_str().unwrap().starts_with("No clusters are shown"));

    let config = AttentionClusteringConfig { clusters: Some(3), ..Default::default() };
    let report = run(&config, &[text(heads)], &[8], 1, PLAIN);
    assert_eq!(distances(&report).row_groups.len(), 3);
    assert!(figure(&report, "head_map").caption.contains("3 clusters that were asked for are hardly apart"));
}

#[test]
fn broad_is_what_is_near_the_entropy_that_a_head_can_have() {
    let heads = vec![leaning(0, 0.125), leaning(0, 0.7)];
    let labels = |thresholds| {
        let config = AttentionClusteringConfig { thresholds, ..Default::default() };
        run(&config, &[text(heads.clone())], &[2], 1, PLAIN).summary["patterns"]["broad"].clone()
    };
    // Of 8 tokens a head can have ln 8 = 2.08 nats: 3.8, the paper's number, is out of reach.
    assert_eq!(labels(Thresholds::default()), json!(1));
    assert_eq!(labels(Thresholds { entropy: Some(3.8), ..Default::default() }), json!(0));
    assert_eq!(labels(Thresholds { entropy: Some(2.0), ..Default::default() }), json!(1));
}
