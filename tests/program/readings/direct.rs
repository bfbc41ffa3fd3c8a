//! Direct logit attribution.

use fmrai_core::analyzer::{Analyzer, AnalyzerConfig};
use fmrai_core::report::{Report, Values};
use fmrai_core::testing::check_contract;
use fmrai_plugins::direct_logit_attribution::{DirectLogitAttributionConfig, Target};

use super::recording::{Expected, decoder, distance, numbers, record, report};

/// Within this of PyTorch in float64.
const NEAR: f64 = 1e-5;

fn make() -> Box<dyn Analyzer> {
    DirectLogitAttributionConfig::default().build().unwrap()
}

fn with_neurons() -> Box<dyn Analyzer> {
    DirectLogitAttributionConfig { neurons: 10_000, ..Default::default() }.build().unwrap()
}

fn by_next_token() -> Box<dyn Analyzer> {
    let target = Some(Target::NextToken);
    DirectLogitAttributionConfig { target, ..Default::default() }.build().unwrap()
}

/// All parts of a report together.
fn total(report: &Report) -> f64 {
    let parts = report.tensors.iter().filter(|tensor| tensor.name.starts_with("contribution."));
    parts.flat_map(|tensor| tensor.value.f64().unwrap()).filter(|x| x.is_finite()).sum()
}

#[test]
fn parts_of_a_logit_difference_are_those_of_pytorch() {
    for model in ["gpt2", "llama", "qwen3", "gemma3"] {
        let expected = Expected::of(model);
        for (size, left) in [(2, false), (6, true)] {
            // Padding before a text moves the learned positions of GPT-2.
            let left = left && model != "gpt2";
            let recorded = record(&decoder(model), &expected.pairs(), size, left, &[&make]);
            let report = report(&recorded, make());
            let mut worst = Vec::new();
            for name in ["head", "ffn", "embedding", "bias"] {
                let found = numbers(&report, &format!("contribution.{name}"));
                worst.push((name, distance(found, &expected.mean(&format!("dla.{name}")))));
            }
            let error = numbers(&report, "error")[0];
            println!("{model} by {size}: {worst:?}, error {error:e}");
            assert!(worst.iter().all(|(_, distance)| *distance < NEAR), "{model}: {worst:?}");
            assert!(error < NEAR, "{model}: {error}");
            assert!((total(&report) - numbers(&report, "logit")[0]).abs() < NEAR, "{model}");
            assert_eq!(report.summary["warnings"], serde_json::json!([]), "{model}");
        }
    }
}

/// Kinds of blocks: parallel ones, soft-caps, scales, biases.
#[test]
fn parts_sum_to_the_logits_of_every_decoder() {
    for model in [
        "gpt2",
        "gpt2-scaled",
        "gpt_neox",
        "gpt_neox-sequential",
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
        "gemma2",
        "gemma3",
    ] {
        let texts = Expected::of("gpt2").texts();
        let recorded = record(&decoder(model), &texts, 3, false, &[&with_neurons]);
        let report = report(&recorded, with_neurons());
        let logit = numbers(&report, "logit")[0];
        assert!((total(&report) - logit).abs() < 1e-4, "{model}: {} of {logit}", total(&report));
        assert_eq!(report.summary["warnings"], serde_json::json!([]), "{model}");
        assert_eq!(report.summary["soft_cap"], model == "gemma2", "{model}");
        // Neurons and the bias behind them are what a block adds; without one they are all of it.
        let neurons = report.tables.iter().find(|table| table.name() == "neurons").unwrap();
        let column =
            |name: &str| &neurons.columns().iter().find(|column| column.name == name).unwrap().values;
        let (Values::Int(layers), Values::Float(all)) = (column("layer"), column("contribution")) else {
            panic!("{model}")
        };
        assert!(!layers.is_empty(), "{model}");
        if !model.starts_with("gpt") {
            for (layer, ffn) in numbers(&report, "contribution.ffn").iter().enumerate() {
                let own = layers.iter().zip(all).filter(|(l, _)| **l == layer as i64).map(|(_, x)| x);
                let sum: f64 = own.sum();
                assert!((sum - ffn).abs() < 1e-4, "{model} {layer}: {sum} of {ffn}");
            }
        }
    }
}

#[test]
fn of_pairs_the_next_tokens_of_clean_texts_count_where_they_are_asked_for() {
    let expected = Expected::of("llama");
    let pairs = expected.pairs();
    let clean: Vec<_> = pairs
        .iter()
        .step_by(2)
        .cloned()
        .map(|mut text| {
            text.pair = None;
            text
        })
        .collect();
    let own = report(&record(&decoder("llama"), &pairs, 4, false, &[&make]), by_next_token());
    let alone = report(&record(&decoder("llama"), &clean, 3, true, &[&make]), make());
    assert!(distance(numbers(&own, "contribution.head"), numbers(&alone, "contribution.head")) < 1e-5);
    assert_eq!(own.summary["positions"], alone.summary["positions"]);
}

#[test]
fn the_contract_holds() {
    let recorded = record(&decoder("gemma3"), &Expected::of("gemma3").pairs(), 2, true, &[&with_neurons]);
    check_contract(&|| Ok(with_neurons()), &recorded).unwrap();
    let recorded = record(&decoder("gpt2"), &Expected::of("gpt2").texts(), 2, false, &[&make]);
    check_contract(&|| Ok(make()), &recorded).unwrap();
}
