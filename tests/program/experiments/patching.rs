//! Activation and attribution patching.

use fmrai_core::experiment::ExperimentConfig;
use fmrai_core::tolerance::Tolerance;
use fmrai_plugins::activation_patching::{ActivationPatchingConfig, Corruption};
use fmrai_plugins::attribution_patching::AttributionPatchingConfig;
use fmrai_plugins::sites::{SiteChoice, SiteKind};
use serde_json::json;

use super::lab::{difference, merged, samples};
use super::program::{FORMS, MODELS, decoder, distance, expected, pairs, refused, run, texts};

/// Within this of PyTorch in float64, and, where a small difference is divided by, of a law.
const NEAR: f64 = 1e-5;
const LAW: f64 = 1e-4;

const SITES: [&str; 11] = [
    "residual.before",
    "residual.between",
    "residual.after",
    "attention_output",
    "ffn_output",
    "head",
    "query",
    "key",
    "value",
    "probabilities",
    "head.position",
];

fn of_reference(prefix: &str, site: &str) -> String {
    format!("{prefix}.{}", site.replace("head.position", "head_position"))
}

#[test]
fn what_is_recovered_is_that_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        for (form, size) in [(FORMS[0], 5), (FORMS[1], 2)] {
            let analysis = json!({ "type": "activation_patching", "sites": SITES });
            let found = run(&decoder(model, form), &pairs(model, size), &analysis);
            for site in SITES {
                let numbers = found.numbers(&format!("recovered.{site}"));
                let far = distance(numbers, expected[&of_reference("recovered", site)].f64().unwrap());
                assert!(far < NEAR, "{model} {form} by {size}, {site}: {far:e}");
            }
            assert!(found.has_figure("recovered_residual_before") && found.has_figure("recovered_head"));
        }
    }
}

#[test]
fn windows_metrics_and_the_other_direction_are_those_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        let of = |analysis| run(&decoder(model, FORMS[1]), &pairs(model, 4), &analysis);
        let found = of(json!({ "type": "activation_patching", "sites": ["ffn_output"], "window": 3 }));
        let far = distance(
            found.numbers("recovered.ffn_output"),
            expected["recovered.residual_window"].f64().unwrap(),
        );
        assert!(far < NEAR, "{model} window: {far:e}");
        let cases = [
            ("noised.head", "logit_difference", "noise"),
            ("patched_kl.head", "kl", "denoise"),
            ("patched_loss.head", "loss", "denoise"),
            ("patched_probability.head", "probability", "denoise"),
        ];
        for (name, metric, direction) in cases {
            let found = of(json!({
                "type": "activation_patching", "sites": ["head"], "metric": metric, "direction": direction
            }));
            let each = &expected[name];
            let (pairs, cells) = (each.shape()[0], each.shape()[1] * each.shape()[2]);
            let each = each.f64().unwrap();
            let mean = |cell: usize| (0..pairs).map(|p| each[p * cells + cell]).sum::<f64>() / pairs as f64;
            let means: Vec<f64> = (0..cells).map(mean).collect();
            let far = distance(found.numbers("patched.head"), &means);
            assert!(far < NEAR, "{model} {name}: {far:e}");
        }
    }
}

#[test]
fn attributions_are_those_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        for form in FORMS {
            let analysis =
                json!({ "type": "attribution_patching", "sites": SITES, "exact": form == "fused" });
            let found = run(&decoder(model, form), &pairs(model, 3), &analysis);
            for site in SITES {
                let numbers = found.numbers(&format!("attribution.{site}"));
                let far = distance(numbers, expected[&of_reference("attribution", site)].f64().unwrap());
                assert!(far < NEAR, "{model} {form} {site}: {far:e}");
            }
            for site in ["query", "key"] {
                let numbers = found.numbers(&format!("corrected.{site}"));
                let reference = expected[&format!("attribution_qkfix.{site}")].f64().unwrap();
                assert!(distance(numbers, reference) < NEAR, "{model} {form} corrected {site}");
            }
        }
        let analysis =
            json!({ "type": "attribution_patching", "sites": ["head"], "steps": 5, "exact": true });
        let found = run(&decoder(model, FORMS[1]), &pairs(model, 3), &analysis);
        let far = distance(found.numbers("exact.head"), expected["recovered.head"].f64().unwrap());
        assert!(far < NEAR, "{model} exact: {far:e}");
        let far = distance(found.numbers("attribution.head"), expected["attribution_ig.head"].f64().unwrap());
        assert!(far < NEAR, "{model} integrated: {far:e}");
    }
}

/// Gradients, edits and readings of weights, where no weight stays in memory between passes.
#[test]
fn weights_that_are_read_again_in_each_pass_change_no_number() {
    let exactly = Tolerance { absolute: 0.0, relative: 0.0 };
    let patched = |model| pairs(model, 3);
    for (model, analysis, data) in [
        ("llama", json!({ "type": "attribution_patching", "sites": SITES }), patched("llama")),
        ("llama", json!({ "type": "input_attribution" }), texts("llama", 2)),
        ("gpt2", json!({ "type": "activation_patching", "sites": ["head"] }), patched("gpt2")),
    ] {
        let mut source = decoder(model, "fused");
        let kept = run(&source, &data, &analysis);
        source["weight_bytes"] = json!(0);
        let remade = run(&source, &data, &analysis);
        for (name, tensor) in &kept.tensors {
            let Ok(numbers) = tensor.f64() else {
                assert_eq!(tensor, &remade.tensors[name]);
                continue;
            };
            let same = exactly.check(remade.numbers(name), numbers);
            same.unwrap_or_else(|error| panic!("{model} {analysis} {name}: {error}"));
        }
        assert_eq!(kept.tensors.len(), remade.tensors.len());
    }
}

#[test]
fn everything_patched_at_once_is_the_clean_run() {
    for model in MODELS {
        // All of the stream at a layer: nothing is left of the corrupted text.
        let analysis = json!({ "type": "activation_patching", "sites": ["residual.before.layer", "residual.after.layer"] });
        let found = run(&decoder(model, FORMS[1]), &pairs(model, 4), &analysis);
        for site in ["residual.before.layer", "residual.after.layer"] {
            let far = found
                .numbers(&format!("recovered.{site}"))
                .iter()
                .map(|x| (x - 1.0).abs())
                .fold(0.0, f64::max);
            assert!(far < NEAR, "{model} {site}: {far:e}");
        }
    }
}

#[test]
fn noise_belongs_to_the_text_and_its_mark() {
    let corruption = json!({ "kind": "gaussian", "sigma": 3.0, "samples": 3, "mark": "subject", "seed": 5 });
    let analysis = json!({ "type": "activation_patching", "sites": ["residual.before", "residual.before.layer"], "corruption": corruption });
    let of = |size| run(&decoder("gpt2", FORMS[1]), &pairs("gpt2", size), &analysis);
    let [one, all] = [of(1), of(5)];
    assert!(distance(one.numbers("patched.residual.before"), all.numbers("patched.residual.before")) < NEAR);
    assert!(distance(one.numbers("corrupted"), one.numbers("clean")) > 1e-3, "noise does something");
    let far =
        all.numbers("recovered.residual.before.layer").iter().map(|x| (x - 1.0).abs()).fold(0.0, f64::max);
    assert!(far < NEAR, "the whole stream without noise: {far:e}");
    let none =
        json!({ "type": "activation_patching", "corruption": { "kind": "gaussian", "mark": "nowhere" } });
    let message = refused(&decoder("gpt2", FORMS[1]), &pairs("gpt2", 2), &none);
    assert!(message.contains("\"nowhere\""), "{message}");
}

#[test]
fn merging_gives_what_one_pass_gives() {
    let sites = [SiteKind::ResidualBefore, SiteKind::Head, SiteKind::Query].map(SiteChoice::of).to_vec();
    let patching = ActivationPatchingConfig { sites: sites.clone(), ..ActivationPatchingConfig::default() };
    let noisy = ActivationPatchingConfig {
        sites: sites.clone(),
        corruption: Corruption::Gaussian { sigma: 2.0, samples: 2, mark: "subject".to_owned(), seed: 1 },
        ..ActivationPatchingConfig::default()
    };
    let attribution =
        AttributionPatchingConfig { sites, exact: true, ..AttributionPatchingConfig::default() };
    let configs: [&dyn ExperimentConfig; 3] = [&patching, &noisy, &attribution];
    for model in ["llama"] {
        for config in configs {
            let [one, other, whole] = merged(model, &samples(model, true), 4, &|| config.build().unwrap());
            let far = difference(&one, &whole).max(difference(&other, &whole));
            assert!(far < LAW, "{model} {config:?}: {far:e}");
        }
    }
}

#[test]
fn data_that_are_no_pairs_are_refused_by_name() {
    for kind in ["activation_patching", "attribution_patching"] {
        let message = refused(&decoder("gpt2", FORMS[1]), &texts("gpt2", 2), &json!({ "type": kind }));
        assert!(
            message.contains("the data have single texts") && message.contains("data of the type `pairs`"),
            "{message}"
        );
    }
    let unknown = json!({ "type": "activation_patching", "sites": ["residual"] });
    let message = refused(&decoder("gpt2", FORMS[1]), &pairs("gpt2", 2), &unknown);
    assert!(message.contains("residual.before"), "{message}");
}
