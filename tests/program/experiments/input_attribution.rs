//! Input attribution.

use fmrai_core::experiment::{Experiment, ExperimentConfig};
use fmrai_plugins::input_attribution::{InputAttributionConfig, Which};
use serde_json::{Value, json};

use super::lab::{difference, logits, merged, samples, show};
use super::program::{FORMS, MODELS, Results, decoder, distance, expected, pairs, refused, run, texts};

/// Within this of PyTorch in float64, and gradients within that.
const NEAR: f64 = 1e-5;
const GRADIENTS: f64 = 1e-4;

/// As the references are made.
fn fifty() -> Value {
    json!({ "type": "input_attribution", "n_steps": 50, "max_steps": 50 })
}

#[test]
fn attributions_are_those_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        for (form, size) in FORMS.into_iter().zip([2, 10]) {
            let found = run(&decoder(model, form), &pairs(model, size), &fifty());
            for (name, near) in [
                ("saliency", GRADIENTS),
                ("input_x_gradient", GRADIENTS),
                ("integrated_gradients", GRADIENTS),
                ("integrated_gradients.gap", GRADIENTS),
                ("rollout", NEAR),
            ] {
                let far = distance(found.numbers(name), expected[name].f64().unwrap());
                println!("{model} {form} by {size} {name}: {far:.1e}");
                assert!(far < near, "{model} {form} by {size} {name}: {far:e}");
            }
            assert!(found.has_figure("attributions") && found.has_figure("marks"));
        }
    }
}

/// For each text, what its attributions sum to, and what they should.
fn sums(found: &Results) -> Vec<(f64, f64)> {
    let values = found.numbers("integrated_gradients");
    let width = found.tensors["integrated_gradients"].shape()[1];
    let sum = |row: &[f64]| row.iter().filter(|x| x.is_finite()).sum::<f64>();
    let (columns, rows) = found.table("texts");
    // Texts may hold commas; these columns are counted from the end.
    let back = |name: &str| columns.len() - columns.iter().position(|column| column == name).unwrap();
    let of = |row: &[String], name: &str| row[row.len() - back(name)].parse::<f64>().unwrap();
    let pairs = values.chunks(width).zip(&rows);
    pairs.map(|(row, cells)| (sum(row), of(cells, "metric") - of(cells, "metric_at_baseline"))).collect()
}

#[test]
fn integrated_gradients_are_complete_from_every_baseline() {
    // An RMS norm makes of next to nothing something: from zero, nearly all happens next to it.
    for (model, baseline) in [("gpt2", "mean"), ("llama", "zero"), ("gemma3", "token:7")] {
        let analysis = json!({ "type": "input_attribution", "methods": ["integrated_gradients"], "baseline": baseline,
            "n_steps": 8, "max_steps": 512, "bound": 1e-3, "texts": 3 });
        let found = run(&decoder(model, "fused"), &pairs(model, 4), &analysis);
        let errors = found.numbers("completeness_error");
        for ((sum, wanted), error) in sums(&found).into_iter().zip(errors) {
            assert!(
                (sum - wanted).abs() <= 1.1e-3 * wanted.abs() + 1e-5,
                "{model} {baseline}: {sum} {wanted}"
            );
            assert!(*error <= 1e-3, "{model} {baseline}: {error}");
        }
        let largest = errors.iter().copied().fold(0.0, f64::max);
        let of_all = found.summary["completeness_error"]["max"].as_f64().unwrap();
        assert!(of_all >= largest && of_all <= 1e-3, "{of_all} {largest}");
    }
}

#[test]
fn what_does_not_add_up_is_told() {
    let analysis = json!({ "type": "input_attribution", "methods": ["integrated_gradients"], "n_steps": 2, "max_steps": 2,
        "bound": 1e-6 });
    let found = run(&decoder("llama", "fused"), &pairs("llama", 4), &analysis);
    let warnings = found.summary["warnings"].to_string();
    assert!(warnings.contains("do not add up to within 0.000001 after 2 steps"), "{warnings}");
}

#[test]
fn rows_of_the_rollout_sum_to_one() {
    let analysis = json!({ "type": "input_attribution", "methods": ["rollout"] });
    let found = run(&decoder("qwen3", "fused"), &texts("qwen3", 4), &analysis);
    let longest = found.tensors["rollout"].shape()[2];
    for row in found.numbers("rollout").chunks(longest) {
        let own: Vec<f64> = row.iter().copied().filter(|x| x.is_finite()).collect();
        assert!(own.is_empty() || (own.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
    }
    assert!(!found.tensors.contains_key("saliency"));
}

fn make() -> Box<dyn Experiment> {
    let config = InputAttributionConfig { texts: 3, n_steps: 4, max_steps: 8, ..Default::default() };
    config.build().unwrap()
}

#[test]
fn the_merge_law_holds_and_the_first_texts_are_kept() {
    for model in ["gpt2", "gemma3"] {
        let mut all = samples(model, true);
        for backwards in [false, true] {
            let [one, other, whole] = merged(model, &all, 4, &make);
            assert!(difference(&one, &whole) < 1e-4, "{model}");
            assert!(difference(&other, &whole) < 1e-4, "{model}");
            let ids = whole.tensors.iter().find(|tensor| tensor.name == "text").unwrap();
            assert_eq!(ids.value.i64().unwrap(), [0, 2, 4], "{backwards}");
            let shares = whole.tables.iter().find(|table| table.name() == "marks").unwrap();
            assert_eq!(shares.columns()[0].values.len(), 4);
            // Pairs from the last one on.
            all = all.chunks(2).rev().flatten().cloned().collect();
        }
    }
}

#[test]
fn of_texts_the_prediction_of_the_model_is_attributed() {
    let all = samples("llama", false);
    let mut experiments = vec![make()];
    show("llama", &[&all[..4], &all[4..]], &mut experiments, &|_| 0);
    let report = experiments[0].analyze().unwrap();
    let table = report.tables.iter().find(|table| table.name() == "texts").unwrap();
    let column = |name: &str| &table.columns().iter().find(|column| column.name == name).unwrap().values;
    for (at, sample) in all[..3].iter().enumerate() {
        let (logits, positions, tokens) = logits("llama", std::slice::from_ref(sample));
        let last = &logits[(positions - 1) * tokens..];
        let best = (0..tokens).max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap();
        let fmrai_core::report::Values::Text(right) = column("right") else { panic!() };
        let fmrai_core::report::Values::Float(metric) = column("metric") else { panic!() };
        assert_eq!(right[at], format!("#{best}"));
        assert!((metric[at] - f64::from(last[best])).abs() < 1e-4);
    }
}

#[test]
fn of_texts_the_last_token_can_be_attributed() {
    let analysis = json!({ "type": "input_attribution", "methods": ["saliency", "rollout"], "target": "last_token",
        "metric": "loss", "texts": 2 });
    let found = run(&decoder("gpt2", "fused"), &texts("gpt2", 3), &analysis);
    let (columns, rows) = found.table("texts");
    let at = |name: &str| columns.iter().position(|column| column == name).unwrap();
    assert_eq!(rows.len(), 2);
    let [tokens, answer] =
        ["tokens", "answer_position"].map(|name| rows[0][at(name)].parse::<usize>().unwrap());
    assert_eq!(tokens, answer + 2);
    // What comes after the answer's place cannot matter to a decoder.
    let width = found.tensors["saliency"].shape()[1];
    let last = found.numbers("saliency")[..width][tokens - 1];
    assert!(last == 0.0, "{last}");
    assert_eq!(found.summary["texts"], json!(6.0));
}

#[test]
fn the_other_texts_of_pairs_can_be_attributed() {
    let config = InputAttributionConfig {
        of: Which::Corrupted,
        metric: serde_json::from_value(json!("kl")).unwrap(),
        ..Default::default()
    };
    let mut experiments = vec![config.build().unwrap()];
    let all = samples("gpt2", true);
    show("gpt2", &[&all], &mut experiments, &|_| 0);
    let report = experiments[0].analyze().unwrap();
    let ids = report.tensors.iter().find(|tensor| tensor.name == "text").unwrap();
    assert_eq!(ids.value.i64().unwrap(), [1, 3, 5, 7, 9]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (config, said) in [
        (json!({ "methods": [] }), "methods: is"),
        (json!({ "methods": ["saliency", "saliency"] }), "methods: is"),
        (json!({ "baseline": "pad" }), "baseline: is pad"),
        (json!({ "baseline": "token:999999" }), "no token 999999"),
        (json!({ "n_steps": 0 }), "n_steps: is 0"),
        (json!({ "max_steps": 3 }), "max_steps: is 3"),
        (json!({ "bound": 0 }), "bound: is 0"),
        (json!({ "metric": "kl" }), "metric: is kl"),
    ] {
        let mut analysis = config.clone();
        analysis["type"] = json!("input_attribution");
        let text = refused(&decoder("gpt2", "fused"), &pairs("gpt2", 2), &analysis);
        assert!(text.contains(said), "{config}: {text}");
    }
    let analysis = json!({ "type": "input_attribution", "metric": "kl", "of": "corrupted" });
    let text = refused(&decoder("gpt2", "fused"), &texts("gpt2", 2), &analysis);
    assert!(text.contains("pairs of texts for the metric kl"), "{text}");
}
