//! The logit lens.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig};
use fmrai_core::testing::check_contract;
use fmrai_plugins::logit_lens::{LogitLensConfig, TextsOf};

use super::recording::{Expected, decoder, distance, numbers, record, report};

/// Within this of PyTorch in float64.
const NEAR: f64 = 1e-5;

fn make() -> Box<dyn Analyzer> {
    LogitLensConfig::default().build().unwrap()
}

#[test]
fn measures_of_every_layer_are_those_of_pytorch() {
    for model in ["gpt2", "llama", "qwen3", "gemma3"] {
        let expected = Expected::of(model);
        let mut before = None;
        for (size, left) in [(1, false), (4, false), (3, true)] {
            // Padding before a text moves the learned positions of GPT-2.
            let left = left && model != "gpt2";
            let recorded = record(&decoder(model), &expected.texts(), size, left, &[&make]);
            let report = report(&recorded, make());
            let mut worst = Vec::new();
            for name in ["probability", "rank", "entropy", "kl"] {
                worst.push((
                    name,
                    distance(numbers(&report, name), expected.numbers(&format!("lens.{name}"))),
                ));
            }
            let between = distance(numbers(&report, "between.kl"), expected.numbers("lens_between.kl"));
            worst.push(("between.kl", between));
            println!("{model} by {size}{}: {worst:?}", if left { " left" } else { "" });
            assert!(worst.iter().all(|(_, distance)| *distance < NEAR), "{model}: {worst:?}");
            let reading = &report.summary["reading"];
            assert_eq!(reading["top_token_agreement"], 1.0, "{model}: {reading}");
            assert!(reading["largest_logit_difference"].as_f64().unwrap() < NEAR, "{model}: {reading}");
            assert_eq!(
                (report.summary["target"].clone(), report.summary["warnings"].clone()),
                ("next_token".into(), serde_json::json!([]))
            );
            let grid = report.tables.iter().find(|table| table.name() == "grid").unwrap().clone();
            if let Some(before) = before.replace(grid.rows()) {
                assert_eq!(before, grid.rows(), "{model}");
            }
        }
    }
}

#[test]
fn of_pairs_all_texts_count_or_the_clean_ones() {
    let expected = Expected::of("gpt2");
    let pairs = expected.pairs();
    let clean: Vec<_> = pairs.iter().step_by(2).cloned().collect();
    let recorded = record(&decoder("gpt2"), &pairs, 4, false, &[&make]);
    let own = LogitLensConfig { of: TextsOf::Clean, ..LogitLensConfig::default() };
    let of_clean = report(&recorded, own.build().unwrap());
    let alone = report(&record(&decoder("gpt2"), &clean, 4, false, &[&make]), make());
    assert!(distance(numbers(&of_clean, "kl"), numbers(&alone, "kl")) < 1e-6);
    assert_eq!(of_clean.summary["texts"], clean.len());
    assert_eq!(report(&recorded, make()).summary["texts"], pairs.len());
    let none = record(&decoder("gpt2"), &expected.texts(), 4, false, &[&make]);
    let mut analyzer = own.build().unwrap();
    let error = fmrai_core::testing::drive(analyzer.as_mut(), &none).unwrap_err().to_string();
    assert_eq!(error, "no clean text of a pair, the analysis needs one or more");
}

#[test]
fn the_contract_holds() {
    let recorded = record(&decoder("gemma3"), &Expected::of("gemma3").texts(), 2, true, &[&make]);
    check_contract(&|| Ok(make()), &recorded).unwrap();
}
