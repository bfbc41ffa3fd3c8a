//! Ablation.

use fmrai_core::experiment::{Experiment, ExperimentConfig};
use fmrai_plugins::ablation::{AblationConfig, AblationSite, With};
use serde_json::{Value, json};

use super::lab::{difference, merged, merged_twice, samples};
use super::program::{FORMS, MODELS, Results, decoder, distance, expected, pairs, refused, run, texts};
use crate::common::reference;

/// Within this of PyTorch in float64, nats.
const NEAR: f64 = 1e-5;
/// Within this of each other, in float32.
const SAME: f64 = 1e-6;

const PARTS: [&str; 4] = ["head", "ffn", "attention", "block"];

fn all(with: &str) -> Value {
    json!({ "type": "ablation", "sites": PARTS, "with": with })
}

#[test]
fn losses_added_are_those_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        let data = [(FORMS[0], texts(model, 2), ""), (FORMS[1], pairs(model, 6), "pairs.")];
        for (form, data, prefix) in data {
            let near = |found: &Results, name: &str, wanted: &str| {
                let far = distance(found.numbers(name), expected[wanted].f64().unwrap());
                println!("{model} {form} {wanted}: {far:.1e}");
                assert!(far < NEAR, "{model} {form} {wanted}: {far:e}");
            };
            let found = run(&decoder(model, form), &data, &all("zero"));
            for kind in ["", "token_"] {
                near(&found, &format!("{kind}loss"), &format!("{prefix}{kind}loss"));
                for part in PARTS {
                    let name = format!("{kind}loss_added.{part}");
                    near(&found, &name, &format!("{prefix}{name}"));
                }
            }
            let found = run(&decoder(model, form), &data, &json!({ "type": "ablation", "with": "mean" }));
            for kind in ["", "token_"] {
                near(
                    &found,
                    &format!("{kind}loss_added.head"),
                    &format!("{prefix}{kind}loss_added_mean.head"),
                );
            }
        }
    }
}

#[test]
fn batches_of_any_size_give_the_same() {
    for model in ["gpt2", "gemma3"] {
        for with in ["zero", "mean"] {
            let of = |size: usize| run(&decoder(model, "fused"), &texts(model, size), &all(with));
            let (one, four) = (of(1), of(4));
            for (name, value) in &one.tensors {
                let far = distance(value.f64().unwrap(), four.numbers(name));
                assert!(far < SAME, "{model} {with} {name}: {far:e}");
            }
        }
    }
}

#[test]
fn ablating_nothing_adds_nothing_and_parts_agree() {
    for (model, with) in [("llama", "zero"), ("gpt2", "mean"), ("qwen3", "resample")] {
        let analysis = json!({
            "type": "ablation", "with": with, "groups": { "none": [], "one": [[1, 2]], "two": [[0, 1], [1, 2]] },
            "neurons": [{ "layer": 1, "neurons": [3, 0] }, [0, 2]],
            "metric": "logit_difference", "sites": ["head"],
        });
        let found = run(&decoder(model, "eager"), &pairs(model, 4), &analysis);
        let (head, heads) = (found.numbers("loss_added.head"), found.tensors["loss_added.head"].shape()[1]);
        let group = found.numbers("loss_added.group");
        assert_eq!(group[0], 0.0, "{model}");
        assert_eq!(found.numbers("metric_added.group")[0], 0.0, "{model}");
        assert!((group[1] - head[heads + 2]).abs() < SAME, "{model}: {group:?} {head:?}");
        let metric = (found.numbers("metric_added.group")[1], found.numbers("metric_added.head")[heads + 2]);
        assert!((metric.0 - metric.1).abs() < 1e-5, "{model}: {metric:?}");
        assert!((group[2] - group[1]).abs() > 1e-4, "{model}: {group:?}");
        assert_eq!(found.tensors["loss_added.neuron"].shape(), [3]);
        let (columns, rows) = found.table("loss_added_neuron");
        assert_eq!(columns[..2], ["layer", "neuron"]);
        let places: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
        assert_eq!(places, [("1", "3"), ("1", "0"), ("0", "2")]);
        for figure in ["loss_added_head", "loss_added_group", "loss_added_neuron", "metric_added_head"] {
            assert!(found.has_figure(figure), "{figure}");
        }
    }
}

#[test]
fn patterns_that_are_kept_matter_to_layers_before_the_last() {
    for form in FORMS {
        let of = |keep: bool| {
            let analysis = json!({ "type": "ablation", "sites": ["head", "ffn"], "keep_patterns": keep });
            run(&decoder("llama", form), &texts("llama", 3), &analysis)
        };
        let (free, kept) = (of(false), of(true));
        for part in ["head", "ffn"] {
            let name = format!("loss_added.{part}");
            let (free, kept) = (free.numbers(&name), kept.numbers(&name));
            let each = free.len() / 2;
            assert!(distance(&free[each..], &kept[each..]) < SAME, "{form} {part}");
            assert!(distance(&free[..each], &kept[..each]) > 1e-4, "{form} {part}");
        }
    }
}

#[test]
fn other_texts_are_chosen_by_the_seed() {
    let of = |seed: u64, draws: usize, size: usize| {
        let analysis = json!({ "type": "ablation", "sites": ["block"], "with": "resample", "seed": seed, "draws": draws });
        run(&decoder("gpt2", "fused"), &texts("gpt2", size), &analysis)
    };
    let first = of(1, 1, 6);
    assert_eq!(first.numbers("loss_added.block"), of(1, 1, 6).numbers("loss_added.block"));
    assert_ne!(first.numbers("loss_added.block"), of(2, 1, 6).numbers("loss_added.block"));
    assert_ne!(first.numbers("loss_added.block"), of(1, 5, 6).numbers("loss_added.block"));
    let share = first.summary["resampled_share"].as_f64().unwrap();
    assert!(share > 0.5 && share < 1.0, "{share}");
    // Of six texts in batches of five, the last is alone.
    let left = of(1, 1, 5);
    assert_eq!(left.summary["texts"], 5);
    let warning = left.summary["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("1 texts were left out"), "{warning}");
    let analysis = json!({ "type": "ablation", "with": "resample" });
    let said = refused(&decoder("gpt2", "fused"), &texts("gpt2", 1), &analysis);
    assert!(said.contains("no batch with two texts"), "{said}");
}

fn make(with: With) -> Box<dyn Experiment> {
    let sites = vec![AblationSite::Head, AblationSite::Block];
    AblationConfig { sites, with, ..AblationConfig::default() }.build().unwrap()
}

#[test]
fn the_merge_law_holds_in_batches_of_any_size() {
    let [one, other, whole] = merged("gpt2", &samples("gpt2", false), 2, &|| make(With::Zero));
    assert!(difference(&one, &whole) < SAME && difference(&other, &whole) < SAME);
    for model in ["gpt2", "gemma3"] {
        for size in [1, 3] {
            let [one, other, whole] = merged_twice(model, &samples(model, false), size, &|| make(With::Mean));
            assert!(difference(&one, &whole) < SAME, "{model}");
            assert!(difference(&other, &whole) < SAME, "{model}");
        }
    }
}

#[test]
fn what_cannot_be_ablated_is_said() {
    let llama = || (decoder("llama", "fused"), texts("llama", 3));
    let cases = [
        (json!({ "type": "ablation", "sites": [] }), "sites"),
        (json!({ "type": "ablation", "sites": ["head", "head"] }), "head twice"),
        (json!({ "type": "ablation", "draws": 0 }), "1 to 1000"),
        (
            json!({ "type": "ablation", "neurons": [[0, 1], { "layer": 0, "neurons": [1] }] }),
            "neuron 1 of layer 0 twice",
        ),
        (json!({ "type": "ablation", "neurons": [[0, 100_000]] }), "neuron 100000"),
        (json!({ "type": "ablation", "neurons": [[9, 0]] }), "no feed-forward block in layer 9"),
        (json!({ "type": "ablation", "groups": { "a": [[0, 99]] } }), "which the group \"a\" names"),
        (
            json!({ "type": "ablation", "groups": { "a": [[7, 0]] } }),
            "in layer 7, which the group \"a\" names",
        ),
        (json!({ "type": "ablation", "metric": "loss" }), "data of the type `pairs`"),
    ];
    for (analysis, message) in cases {
        let (model, data) = llama();
        let said = refused(&model, &data, &analysis);
        assert!(said.contains(message), "{analysis}: {said}");
    }
    let bert = json!({ "type": "hf_checkpoint", "path": reference("bert") });
    let said = refused(&bert, &texts("llama", 3), &json!({ "type": "ablation" }));
    assert!(said.contains("the analysis needs"), "{said}");
}
