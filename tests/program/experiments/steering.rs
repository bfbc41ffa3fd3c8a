//! Steering.

use std::path::Path;

use fmrai_core::experiment::{Change, Edit, Experiment, ExperimentConfig};
use fmrai_core::tensor::TensorValue;
use fmrai_plugins::steering::SteeringConfig;
use fmrai_torch::generate::{EditFrom, EditedModel, TextEdit};
use fmrai_torch::model::{CausalModel, Continuation};
use fmrai_torch::no_grad;
use serde_json::json;

use super::lab::{difference, load, merged_twice, samples};
use super::program::{FORMS, MODELS, decoder, distance, expected, pairs, reference, refused, run, texts};
use crate::common::{ROOT, fmrai, out};

/// Within this of PyTorch in float64.
const NEAR: f64 = 1e-5;

#[test]
fn directions_and_their_effects_are_those_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        for (form, size) in FORMS.into_iter().zip([2, 10]) {
            let found = run(&decoder(model, form), &pairs(model, size), &json!({ "type": "steering" }));
            for name in ["direction", "effect", "ablated", "strengths"] {
                let far = distance(found.numbers(name), expected[&format!("steering.{name}")].f64().unwrap());
                println!("{model} {form} {name}: {far:.1e}");
                assert!(far < NEAR, "{model} {form} {name}: {far:e}");
            }
            let (corrupted, effect) = (found.numbers("corrupted")[0], found.numbers("effect"));
            assert!(effect.chunks(5).all(|layer| layer[2] == corrupted), "{effect:?}");
            for figure in ["effect", "ablated", "norm"] {
                assert!(found.has_figure(figure), "{figure}");
            }
        }
    }
}

#[test]
fn a_direction_that_is_given_has_the_same_effect() {
    let model = decoder("gpt2", "fused");
    let own = run(&model, &pairs("gpt2", 4), &json!({ "type": "steering" }));
    let of_file =
        json!({ "path": reference("gpt2", "expected.safetensors"), "tensor": "steering.direction" });
    let value = &own.tensors["direction"];
    let rows: Vec<&[f64]> = value.f64().unwrap().chunks(value.shape()[1]).collect();
    for given in [of_file, json!(rows), json!(rows[..2])] {
        let found = run(&model, &pairs("gpt2", 4), &json!({ "type": "steering", "direction": given }));
        for name in ["effect", "ablated"] {
            assert!(distance(found.numbers(name), own.numbers(name)) < NEAR, "{name}");
        }
    }
    let one = run(&model, &pairs("gpt2", 4), &json!({ "type": "steering", "direction": rows[1] }));
    assert!(distance(&one.numbers("effect")[5..], &own.numbers("effect")[5..]) < NEAR);
    assert_eq!(one.tensors["direction"].shape(), [value.shape()[1]]);
}

#[test]
fn positions_and_batches() {
    let model = decoder("qwen3", "fused");
    let of = |positions: &str, size: usize| {
        let analysis = json!({ "type": "steering", "positions": positions, "strengths": [3, 0, -0.5] });
        run(&model, &pairs("qwen3", size), &analysis)
    };
    let last = of("last", 4);
    for positions in ["all", "subject"] {
        let (one, four) = (of(positions, 2), of(positions, 8));
        for (name, value) in &one.tensors {
            assert!(distance(value.f64().unwrap(), four.numbers(name)) < NEAR, "{positions} {name}");
        }
        assert!(distance(one.numbers("direction"), last.numbers("direction")) > 0.01, "{positions}");
    }
    let (columns, rows) = last.table("effect");
    let wanted =
        ["layer", "strength", "effect", "standard_error", "change", "change_standard_error", "texts"];
    assert_eq!(columns, wanted);
    assert_eq!((rows[1][1].as_str(), rows[1][4].as_str()), ("0.0", "0.0"));
}

#[test]
fn where_both_texts_are_the_same_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let lines = std::fs::read_to_string(reference("llama", "pairs.jsonl")).unwrap();
    let first = lines.lines().next().unwrap(); // Its two texts end with the same token.
    std::fs::write(&path, format!("{first}\n")).unwrap();
    let data = json!({ "type": "pairs", "path": path, "batch_size": 2 });
    let found = run(&decoder("llama", "fused"), &data, &json!({ "type": "steering" }));
    assert_eq!(found.numbers("norm")[0], 0.0);
    assert_eq!(found.numbers("ablated")[0], found.numbers("clean")[0]);
    assert!(found.numbers("effect")[..5].iter().all(|effect| *effect == found.numbers("corrupted")[0]));
    let warning = found.summary["warnings"][0].as_str().unwrap();
    assert!(warning.contains("the same stream before layer 0"), "{warning}");
}

fn make() -> Box<dyn Experiment> {
    SteeringConfig { strengths: vec![1.0, 0.0], ..SteeringConfig::default() }.build().unwrap()
}

#[test]
fn the_merge_law_holds_in_batches_of_any_size() {
    for (model, size) in [("gpt2", 2), ("gemma3", 4)] {
        let [one, other, whole] = merged_twice(model, &samples(model, true), size, &make);
        assert!(difference(&one, &whole) < NEAR && difference(&other, &whole) < NEAR, "{model}");
    }
}

#[test]
fn what_cannot_be_steered_is_said() {
    let data = || pairs("llama", 4);
    let cases = [
        (texts("llama", 3), json!({ "type": "steering" }), "data of the type `pairs`"),
        (data(), json!({ "type": "steering", "strengths": [] }), "1 to 1000 of them"),
        (data(), json!({ "type": "steering", "strengths": [1, 1] }), "twice"),
        (data(), json!({ "type": "steering", "positions": "nowhere" }), "no mark \"nowhere\" in pair"),
        (data(), json!({ "type": "steering", "direction": [1, 2] }), "`direction` has shape [2]"),
        (data(), json!({ "type": "steering", "direction": [[1], [2, 3]] }), "differ in length"),
        (
            data(),
            json!({ "type": "steering", "direction": { "path": "none.safetensors" } }),
            "none.safetensors",
        ),
        (
            data(),
            json!({ "type": "steering", "direction": { "path": reference("llama", "expected.safetensors") } }),
            "has no tensor \"direction\"",
        ),
    ];
    for (data, analysis, message) in cases {
        let said = refused(&decoder("llama", "fused"), &data, &analysis);
        assert!(said.contains(message), "{analysis}: {said}");
    }
}

/// The direction of a layer, times a strength, added to the stream before it.
fn steered<'m>(
    model: &'m dyn fmrai_torch::model::Model,
    layer: usize,
    strength: f64,
    name: &str,
    from: EditFrom,
) -> EditedModel<'m> {
    let direction = expected(name)["steering.direction"].clone();
    let channels = direction.shape()[1];
    let row = direction.f64().unwrap()[layer * channels..(layer + 1) * channels].to_vec();
    EditedModel::new(model, move |_, sites| {
        let block =
            sites.blocks.get(layer).ok_or_else(|| format!("there are {} layers", sites.blocks.len()))?;
        let value = TensorValue::new([1, 1, channels], row.clone().into()).unwrap();
        let site = sites.stream(block.before().ok_or("no stream")?);
        Ok(vec![TextEdit { edit: Edit::new(site, Change::Add(value, strength)), from }])
    })
    .unwrap()
}

/// Logits that a text is continued with are those of passes over all of it: of PyTorch for one pass, and of each other for texts that are read
/// in several.
#[test]
fn texts_are_continued_as_whole_passes_are_steered() {
    let _no_grad = no_grad();
    for name in MODELS {
        let model = load(name);
        let expected = expected(name);
        let all = samples(name, true);
        for (layer, at) in [(0, 4), (1, 0), (1, 3)] {
            let strength = expected["steering.strengths"].f64().unwrap()[at];
            let everywhere = steered(model.as_ref(), layer, strength, name, EditFrom::Start);
            let mut sum = 0.0;
            for pair in all.chunks(2) {
                let logits = everywhere.begin().next_logits(&pair[1].token_ids).unwrap();
                let of = pair[1].pair.as_ref().unwrap();
                let mean = |tokens: &[u32]| {
                    tokens.iter().map(|token| f64::from(logits[*token as usize])).sum::<f64>()
                        / tokens.len() as f64
                };
                sum += mean(&of.right) - mean(&of.wrong);
            }
            let wanted = expected["steering.effect"].f64().unwrap()[layer * 5 + at];
            let found = sum / (all.len() / 2) as f64;
            assert!(
                (found - wanted).abs() < NEAR,
                "{name} layer {layer} strength {strength}: {found} {wanted}"
            );

            // All of it at once, and a part of it first and then token by token.
            let ids = &all[0].token_ids;
            let whole = everywhere.begin().next_logits(ids).unwrap();
            for first in [1, 2, ids.len() - 1] {
                let mut text = everywhere.begin();
                let stepped = continued(text.as_mut(), ids, first);
                close(&whole, &stepped, name);
                // From the end of the prompt on, the tokens before it are as they are.
                let from_end = steered(model.as_ref(), layer, strength, name, EditFrom::PromptEnd);
                let mut text = from_end.begin();
                let stepped = continued(text.as_mut(), ids, first);
                let plain = continued(model.causal().unwrap().begin().as_mut(), ids, first);
                if strength != 0.0 {
                    let far = stepped.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(far > 1e-4, "{name}: {far}");
                }
                if first == 1 {
                    close(&whole, &stepped, name);
                }
            }
        }
    }
}

fn continued(text: &mut dyn Continuation, ids: &[u32], first: usize) -> Vec<f32> {
    let mut logits = text.next_logits(&ids[..first]).unwrap();
    for token in &ids[first..] {
        logits = text.next_logits(&[*token]).unwrap();
    }
    logits
}

fn close(one: &[f32], other: &[f32], name: &str) {
    let far = one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "{name}: {far}");
}

#[test]
fn the_program_steers_and_edits_what_it_writes() {
    let text = |name: &str, more: &[&str]| {
        let path = Path::new(ROOT).join("tests/reference/decoders").join(name);
        let mut arguments =
            vec!["generate", path.to_str().unwrap(), "--prompt", "the rain", "--max-new-tokens", "20"];
        arguments.extend(more);
        let output = fmrai(&arguments);
        (output.status.code(), out(&output), crate::common::err(&output))
    };
    for name in MODELS {
        let file = reference(name, "expected.safetensors");
        let file = format!("{}:steering.direction", file.display());
        let plain = text(name, &[]);
        assert_eq!(plain.0, Some(0), "{}", plain.2);
        let steer = |more: &[&str]| text(name, &[&["--steer", &file, "--layer", "1"], more].concat());
        for from in ["start", "prompt-end"] {
            assert_eq!(steer(&["--strength", "0", "--edit-from", from]), plain, "{name}");
            let strong = steer(&["--strength", "-40", "--edit-from", from]);
            assert_eq!(strong.0, Some(0), "{}", strong.2);
            assert_ne!(strong.1, plain.1, "{name}");
        }
        for (edit, same) in [
            (r#"{"site":"head","layer":0,"heads":[1,0],"with":{"scale":1}}"#, true),
            (r#"{"site":"neuron","layer":1,"neurons":[0],"with":{"scale":1}}"#, true),
            (r#"{"site":"ffn","layer":1,"with":{"scale":1}}"#, true),
            (r#"{"site":"attention","layer":0,"with":{"scale":1}}"#, true),
            (r#"{"site":"block","layer":0,"with":{"scale":-3}}"#, false),
        ] {
            let found = text(name, &["--edit", edit, "--edit-from", "start"]);
            assert_eq!(found.0, Some(0), "{}", found.2);
            assert_eq!(found.1 == plain.1, same, "{name} {edit}");
        }
    }
    let file = reference("gpt2", "expected.safetensors").display().to_string();
    let of = |name: &str| format!("{file}:{name}");
    let head = r#"{"site":"head","layer":0,"heads":[9],"with":"zero"}"#;
    let layer = r#"{"site":"ffn","layer":9,"with":"zero"}"#;
    let direction = of("steering.direction");
    for (more, message) in [
        (vec!["--steer", "none.safetensors", "--layer", "0"], "none.safetensors"),
        (vec!["--steer", &file, "--layer", "0"], "has several tensors and none called `direction`"),
        (vec!["--steer", &direction], "say which one with --layer"),
        (vec!["--steer", &direction, "--layer", "3"], "has directions for 3 places"),
        (vec!["--steer", &direction, "--layer", "1", "--strength", "nan"], "a finite number is needed"),
        (vec!["--edit", head], "there is no head 9 in layer 0"),
        (vec!["--edit", layer], "there is no layer 9"),
        (vec!["--edit", "{}"], "missing field `site`"),
        (vec!["--strength", "2"], "--steer"),
    ] {
        let (code, _, said) = text("gpt2", &more);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(message), "{more:?}: {said}");
    }
}
