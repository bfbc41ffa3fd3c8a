//! The attention that is kept to be looked at: which texts, how much of them, and the merge law.

#![allow(clippy::panic, reason = "helpers of tests are tests")]

mod common;

use common::{Form, PLAIN, Text, column, prepared, run, tensor, texts, track, vocabulary};
use fmrai_core::analyzer::{Analyzer, AnalyzerConfig, State};
use fmrai_core::report::Values;
use fmrai_core::tensor::TensorValue;
use fmrai_core::testing::check_config;
use fmrai_plugins::attention_view::AttentionViewConfig;
use proptest::prelude::*;

/// Two layers, the second with more heads.
const LAYERS: [usize; 2] = [1, 2];

fn config() -> AttentionViewConfig {
    AttentionViewConfig::default()
}

/// Each query looks at itself with this share, and evenly at all tokens with the rest.
fn text(n: usize, shares: [f32; 3]) -> Text {
    let row = |share: f32| {
        let cell = move |i: usize| (1.0 - share) / n as f32 + if i / n == i % n { share } else { 0.0 };
        (0..n * n).map(cell).collect()
    };
    Text { tokens: vec![0; n], attention: shares.map(row).to_vec() }
}

fn floats(value: &TensorValue) -> &[f32] {
    match value.data() {
        fmrai_core::tensor::TensorData::F32(numbers) => numbers,
        other => panic!("{:?}", other.dtype()),
    }
}

#[test]
fn every_head_of_the_first_texts_is_kept() {
    check_config::<AttentionViewConfig>("attention_view").unwrap();
    let all = [text(3, [0.2, 0.4, 0.6]), text(2, [1.0, 0.0, 0.5])];
    let report = run(&config(), &all, &LAYERS, 1, Form { extra: 2, left: true, joined: false });
    let kept = tensor(&report, "attention.0");
    assert_eq!(kept.shape(), [2, 2, 3, 3]);
    let numbers = floats(kept);
    assert!((numbers[0] - (0.8 / 3.0 + 0.2)).abs() < 5e-4, "rounded to three digits");
    assert!(numbers[9].is_nan(), "the first layer has one head");
    assert!((numbers[18] - (0.6 / 3.0 + 0.4)).abs() < 5e-4);
    assert_eq!(tensor(&report, "attention.1").shape(), [2, 2, 2, 2]);
    assert_eq!(*column(&report, "tokens", "text"), Values::Int(vec![0, 0, 0, 1, 1]));
    let words = ["word"; 5].map(String::from).to_vec();
    assert_eq!(*column(&report, "tokens", "shown"), Values::Text(words));
    assert_eq!(report.figures[0].panels.len(), 2);
}

#[test]
fn what_is_kept_is_bounded() {
    let all: Vec<Text> = (0..6).map(|_| text(8, [0.5; 3])).collect();
    let shapes = |config: &AttentionViewConfig| {
        let report = run(config, &all, &LAYERS, 2, PLAIN);
        let shapes = report.tensors.iter().map(|t| (t.name.clone(), t.value.shape()[3])).collect::<Vec<_>>();
        (shapes, report.summary["cut_texts"].clone(), report.summary["left_out_texts"].clone())
    };
    let named =
        |names: &[&str], n: usize| names.iter().map(|i| (format!("attention.{i}"), n)).collect::<Vec<_>>();
    let (found, cut, left) = shapes(&AttentionViewConfig { texts: 2, max_tokens: 5, ..config() });
    assert_eq!(found, named(&["0", "1"], 5));
    assert_eq!((cut, left), (serde_json::json!([0, 1]), serde_json::json!(0)));
    // 3 heads x 5 x 5 fit twice into 150.
    let (found, _, left) = shapes(&AttentionViewConfig { max_tokens: 5, max_values: 150, ..config() });
    assert_eq!((found, left), (named(&["0", "1"], 5), serde_json::json!(2)));
    // The first text is cut to what fits: 3 x 4 x 4.
    let (found, ..) = shapes(&AttentionViewConfig { max_values: 60, ..config() });
    assert_eq!(found, named(&["0"], 4));
    let (found, ..) = shapes(&AttentionViewConfig { numbers: vec![5, 3], ..config() });
    assert_eq!(found, named(&["3", "5"], 8));
}

#[test]
fn a_choice_that_nothing_fits_is_told() {
    let report = run(
        &AttentionViewConfig { containing: "cat".into(), ..config() },
        &[text(2, [0.5; 3])],
        &LAYERS,
        1,
        PLAIN,
    );
    assert!(report.tensors.is_empty() && report.figures.is_empty());
    assert_eq!(
        report.summary["warnings"][0],
        "no text of the data was chosen, so there is nothing to look at"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (field, config) in [
        ("texts", AttentionViewConfig { texts: 0, ..config() }),
        ("max_tokens", AttentionViewConfig { max_tokens: 5000, ..config() }),
        ("max_values", AttentionViewConfig { max_values: 0, ..config() }),
    ] {
        let Err(error) = config.build() else { panic!("{field} was taken") };
        assert_eq!(error.field, field);
    }
}

#[test]
fn a_state_of_other_settings_is_refused() {
    let one = prepared(&config(), &LAYERS, None).state().unwrap();
    let mut other = prepared(&AttentionViewConfig { texts: 3, ..config() }, &LAYERS, None);
    assert!(other.merge(&one).is_err());
    let mut broken = one;
    broken.document["texts"] = serde_json::json!({ "0": { "tokens": [0], "shown": ["a"], "of": 1 } });
    assert!(prepared(&config(), &LAYERS, None).merge(&broken).is_err(), "tokens without numbers");
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(48))]

    #[test]
    fn merging_parts_is_one_pass(
        all in texts(3, 1..8),
        cut in 0usize..8,
        most in 1usize..4,
        turned in any::<bool>(),
    ) {
        let cut = cut.min(all.len());
        let config = AttentionViewConfig { texts: most, max_tokens: 3, ..config() };
        let of = |part: &[Text], first: usize| {
            let mut analyzer = prepared(&config, &LAYERS, Some(&vocabulary()));
            for (i, text) in part.iter().enumerate() {
                track(&mut *analyzer, std::slice::from_ref(text), &LAYERS, (first + i) as u64, PLAIN).unwrap();
            }
            analyzer
        };
        let whole: Box<dyn Analyzer> = of(&all, 0);
        let mut states = [of(&all[..cut], 0).state().unwrap(), of(&all[cut..], cut).state().unwrap()];
        if turned {
            states.reverse();
        }
        let mut merged = prepared(&config, &LAYERS, Some(&vocabulary()));
        for state in &states {
            merged.merge(&State::from_bytes(&state.to_bytes().unwrap()).unwrap()).unwrap();
        }
        prop_assert_eq!(merged.state().unwrap().to_bytes().unwrap(), whole.state().unwrap().to_bytes().unwrap());
    }
}
