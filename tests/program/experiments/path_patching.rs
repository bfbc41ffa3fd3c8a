//! Path patching.

use fmrai_core::experiment::{Experiment, ExperimentConfig};
use fmrai_plugins::path_patching::{Input, PathPatchingConfig, Receiver, ReceiverInput};
use serde_json::{Value, json};

use super::lab::{difference, merged, samples};
use super::program::{FORMS, MODELS, decoder, distance, expected, pairs, refused, run};

/// Within this of PyTorch in float64, and of a law.
const NEAR: f64 = 1e-5;
const LAW: f64 = 1e-4;

#[test]
fn paths_from_heads_to_the_logits_are_those_of_pytorch() {
    let analysis = json!({ "type": "path_patching", "senders": ["head"], "through_ffn": false });
    // The reference keeps the scale of the norm behind Gemma's attention, which is computed anew here.
    for model in ["gpt2", "llama", "qwen3"] {
        let expected = expected(model);
        let each = &expected["path.head_to_logits"];
        let (count, heads) = (each.shape()[0], each.shape()[1] * each.shape()[2]);
        let each = each.f64().unwrap();
        let mean = |head| (0..count).map(|pair| each[pair * heads + head]).sum::<f64>() / count as f64;
        let means: Vec<f64> = (0..heads).map(mean).collect();
        for (form, size) in [(FORMS[0], 10), (FORMS[1], 4)] {
            let found = run(&decoder(model, form), &pairs(model, size), &analysis);
            let far = distance(found.numbers("patched.head"), &means);
            println!("{model} {form} by {size}: {far:.1e}");
            assert!(far < NEAR, "{model} {form} by {size}: {far:e}");
            assert!(found.has_figure("effect_head"));
        }
    }
}

#[test]
fn all_senders_together_give_the_other_text() {
    for model in MODELS {
        for direction in ["noise", "denoise"] {
            let through_ffn = direction == "noise";
            let analysis =
                json!({ "type": "path_patching", "direction": direction, "through_ffn": through_ffn });
            let found = run(&decoder(model, "fused"), &pairs(model, 4), &analysis);
            let other = if direction == "noise" { "corrupted" } else { "clean" };
            let far = distance(found.numbers("patched.all"), found.numbers(other));
            assert!(far < LAW, "{model} {direction}: {far:e}");
            let far = (found.numbers("share.all")[0] - 1.0).abs();
            assert!(far < LAW, "{model} {direction}: {far:e}");
        }
    }
}

#[test]
fn what_does_not_come_before_a_receiver_gives_nothing_to_it() {
    for model in MODELS {
        let receivers = json!([{ "layer": 0, "head": 1, "input": "value" }, { "layer": 0, "input": "ffn" }]);
        let analysis = json!({ "type": "path_patching", "receivers": receivers, "through_ffn": false });
        let found = run(&decoder(model, "fused"), &pairs(model, 4), &analysis);
        let heads = found.tensors["effect.head"].shape()[1];
        let effects = found.numbers("effect.head");
        assert!(effects[heads..].iter().all(|effect| *effect == 0.0), "{model}: {effects:?}");
        // Its own heads come before the feed-forward block of a layer.
        assert!(effects[..heads].iter().all(|effect| *effect != 0.0), "{model}: {effects:?}");
        assert!(found.numbers("effect.ffn").iter().all(|effect| *effect == 0.0), "{model}");
        assert!(found.numbers("effect.embedding")[0].abs() > 1e-6);
    }
}

#[test]
fn into_the_first_layer_there_is_one_path() {
    // The embedding alone reaches the inputs of the first heads, so a path from it is a patch of the input.
    for (model, head) in [("gpt2", 2), ("llama", 3), ("gemma3", 1)] {
        for input in ["query", "key", "value"] {
            let patch = json!({ "type": "activation_patching", "sites": [input], "direction": "noise" });
            let patched = run(&decoder(model, "fused"), &pairs(model, 4), &patch);
            let name = format!("patched.{input}");
            let heads = patched.tensors[&name].shape()[1];
            let wanted = patched.numbers(&name)[head * heads / 4];
            let receivers = json!([{ "layer": 0, "head": head, "input": input }]);
            let path = json!({ "type": "path_patching", "senders": ["embedding"], "receivers": receivers });
            let found = run(&decoder(model, "fused"), &pairs(model, 4), &path);
            let far = (found.numbers("patched.embedding")[0] - wanted).abs();
            assert!(far < NEAR, "{model} {input}: {far:e}");
        }
    }
}

fn inputs() -> Value {
    json!({ "type": "path_patching", "receivers": [
        { "layer": 1, "head": 2, "input": "query" }, { "layer": 1, "head": 3, "input": "key" },
        { "layer": 1, "input": "ffn" } ] })
}

#[test]
fn neither_batches_nor_the_form_of_attention_matter() {
    for model in ["gpt2", "qwen3"] {
        for through_ffn in [false, true] {
            let mut analysis = inputs();
            analysis["through_ffn"] = json!(through_ffn);
            let one = run(&decoder(model, "eager"), &pairs(model, 2), &analysis);
            let other = run(&decoder(model, "fused"), &pairs(model, 10), &analysis);
            for name in ["patched.head", "effect.ffn", "share.embedding", "share.all"] {
                let far = distance(one.numbers(name), other.numbers(name));
                assert!(far < LAW, "{model} {name}: {far:e}");
            }
        }
    }
}

fn make() -> Box<dyn Experiment> {
    let input = ReceiverInput { layer: 1, head: Some(1), input: Input::Value };
    let config = PathPatchingConfig { receivers: vec![Receiver::Input(input)], ..Default::default() };
    config.build().unwrap()
}

#[test]
fn the_merge_law_holds() {
    for model in ["gpt2", "gemma3"] {
        let [one, other, whole] = merged(model, &samples(model, true), 4, &make);
        assert!(difference(&one, &whole) < LAW, "{model}");
        assert!(difference(&other, &whole) < LAW, "{model}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let said = |config: Value| {
        let mut analysis = config;
        analysis["type"] = json!("path_patching");
        refused(&decoder("gpt2", "fused"), &pairs("gpt2", 4), &analysis)
    };
    let head = |layer: usize, head: usize| json!({ "layer": layer, "head": head, "input": "query" });
    for (config, word) in [
        (json!({ "senders": [] }), "some of head, ffn and embedding"),
        (json!({ "senders": ["head", "head"] }), "head twice"),
        (json!({ "receivers": [] }), "logits alone"),
        (json!({ "receivers": ["logits", head(0, 0)] }), "logits together with inputs"),
        (json!({ "receivers": [{ "layer": 0, "input": "key" }] }), "the input key without a head"),
        (json!({ "receivers": [{ "layer": 0, "head": 1, "input": "ffn" }] }), "the input ffn of head 1"),
        (json!({ "receivers": [head(2, 0)] }), "no query of head L2H0, which `receivers` names"),
        (json!({ "receivers": [head(1, 4)] }), "no query of head L1H4, which `receivers` names"),
    ] {
        let said = said(config);
        assert!(said.contains(word), "{said}");
    }
}
