//! Head detection.

use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Experiment, ExperimentConfig};
use fmrai_plugins::head_detection::{HeadDetectionConfig, InContextLearning};
use serde_json::{Value, json};

use super::lab::{difference, logits, merged, samples, show};
use super::program::{FORMS, MODELS, decoder, distance, expected, refused, run, texts};

/// Within this of PyTorch in float64.
const NEAR: f64 = 1e-5;

/// The repeated tokens of the references.
fn ids(model: &str) -> Value {
    let ids = &expected(model)["repeated.ids"];
    ids.i64().unwrap().chunks(ids.shape()[1]).map(|row| json!(row)).collect()
}

#[test]
fn scores_are_those_of_pytorch() {
    for model in MODELS {
        let expected = expected(model);
        for (form, size) in FORMS.into_iter().zip([2, 6]) {
            let analysis = json!({ "type": "head_detection", "repeats": { "ids": ids(model) } });
            let found = run(&decoder(model, form), &texts(model, size), &analysis);
            let on_texts = ["previous_token", "previous_token_pooled", "duplicate_token", "induction"];
            let repeated = on_texts.map(|name| format!("repeated.{name}"));
            let of_weights = ["copying", "composition.q", "composition.k", "composition.v"];
            let all = on_texts.iter().map(|name| (*name).to_owned());
            let all = all.chain(repeated).chain(of_weights.map(str::to_owned));
            for name in all {
                let far = distance(found.numbers(&name), expected[&name].f64().unwrap());
                println!("{model} {form} {name}: {far:.1e}");
                assert!(far < NEAR, "{model} {form} {name}: {far:e}");
            }
            assert_eq!(found.summary["warnings"], json!([]), "{model}");
            for figure in ["head_scores", "copying", "composition"] {
                assert!(found.has_figure(figure), "{figure}");
            }
        }
    }
}

#[test]
fn the_table_has_every_score_of_every_head() {
    let analysis = json!({ "type": "head_detection", "in_context_learning": { "early": 2, "late": 12 } });
    let found = run(&decoder("llama", "fused"), &texts("llama", 3), &analysis);
    let (columns, rows) = found.table("heads");
    let wanted = [
        "layer",
        "head",
        "label",
        "previous_token",
        "previous_token_pooled",
        "duplicate_token",
        "induction",
        "repeated.previous_token",
        "repeated.previous_token_pooled",
        "repeated.duplicate_token",
        "repeated.induction",
        "prefix_matching",
        "copying",
    ];
    assert_eq!(columns, wanted);
    let heads = found.tensors["induction"].shape().iter().product::<usize>();
    assert_eq!(rows.len(), heads);
    assert!(found.tensors.contains_key("in_context_learning"));
    assert!(found.tensors.contains_key("repeated.in_context_learning"));
    let ids = &found.tensors["repeated.ids"];
    let &[rows, tokens] = ids.shape() else { panic!() };
    // The model takes 64 tokens, of which one begins the row.
    assert_eq!((rows, tokens), (8, 1 + 2 * 25), "{}", found.summary);
    for row in ids.i64().unwrap().chunks(tokens) {
        assert_eq!(row[1..26], row[26..]);
    }
    let prefix = found.numbers("prefix_matching");
    assert!(prefix.iter().all(|score| (0.0..=1.0).contains(score)), "{prefix:?}");
}

#[test]
fn compositions_can_be_set_against_random_ones() {
    let with = |draws: usize| {
        let analysis =
            json!({ "type": "head_detection", "scores": ["composition"], "baseline": { "draws": draws } });
        run(&decoder("gpt2", "fused"), &texts("gpt2", 6), &analysis)
    };
    let (plain, against) = (with(0), with(20));
    let by = against.numbers("composition.baseline")[0];
    assert!((0.01..0.5).contains(&by), "{by}");
    for (name, expected) in [("composition.q", 0.0), ("composition.v", 0.0)] {
        let pairs = plain.numbers(name).iter().zip(against.numbers(name));
        let differences: Vec<f64> = pairs.filter(|(a, _)| **a != expected).map(|(a, b)| a - b).collect();
        assert!(differences.iter().all(|d| (d - differences[0]).abs() < 1e-9), "{name}");
    }
}

fn make() -> Box<dyn Experiment> {
    let mut config = HeadDetectionConfig::default();
    config.repeats.length = 10;
    config.in_context_learning = InContextLearning { early: 2, late: 10 };
    config.build().unwrap()
}

#[test]
fn the_merge_law_holds_in_batches_of_any_size() {
    for model in ["gpt2", "gemma3"] {
        let [one, other, whole] = merged(model, &samples(model, false), 2, &make);
        assert!(difference(&one, &whole) < 1e-6, "{model}");
        assert!(difference(&other, &whole) < 1e-6, "{model}");
    }
}

#[test]
fn in_context_learning_is_a_difference_of_losses() {
    let all = samples("qwen3", false);
    let long: Vec<Sample> = all.into_iter().filter(|sample| sample.token_ids.len() > 10).collect();
    let loss = |sample: &Sample, token: usize| {
        let (logits, _, tokens) = logits("qwen3", std::slice::from_ref(sample));
        let row: Vec<f64> =
            logits[(token - 1) * tokens..token * tokens].iter().map(|x| f64::from(*x)).collect();
        row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[sample.token_ids[token] as usize]
    };
    let wanted: f64 = long.iter().map(|s| loss(s, 10) - loss(s, 2)).sum::<f64>() / long.len() as f64;
    let mut experiments = vec![make()];
    show("qwen3", &[&long], &mut experiments, &|_| 0);
    let report = experiments[0].analyze().unwrap();
    let found = report.tensors.iter().find(|tensor| tensor.name == "in_context_learning").unwrap();
    assert!((found.value.f64().unwrap()[0] - wanted).abs() < 1e-5, "{found:?} {wanted}");
    assert_eq!(report.summary["in_context_learning"]["texts"], json!(long.len() as f64));
}

#[test]
fn what_a_model_lacks_is_named_and_the_rest_goes_on() {
    let model = json!({ "type": "hf_checkpoint", "path": crate::common::reference("bert") });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.txt");
    std::fs::write(&file, crate::common::sentences(4)).unwrap();
    let data = json!({ "type": "text", "path": file, "batch_size": 2 });
    let found = run(&model, &data, &json!({ "type": "head_detection" }));
    let warnings = found.summary["warnings"].to_string();
    assert!(warnings.contains("copying") && warnings.contains("no map to a vocabulary"), "{warnings}");
    assert!(found.tensors.contains_key("composition.v") && found.tensors.contains_key("induction"));
    assert!(!found.tensors.contains_key("copying") && !found.tensors.contains_key("in_context_learning"));
}

#[test]
fn configs_that_make_no_sense_are_refused_by_field() {
    for (config, said) in [
        (json!({ "scores": [] }), "scores: is empty"),
        (json!({ "repeats": { "times": 1 } }), "repeats.times\"]: is 1"),
        (json!({ "repeats": { "rows": 0 } }), "repeats.rows\"]: is 0"),
        (json!({ "repeats": { "ids": [[1, 2], [3]] } }), "repeats.ids\"]: is"),
        (json!({ "repeats": { "length": 4_000_000 } }), "repeats.length\"]: is"),
        (json!({ "in_context_learning": { "early": 9, "late": 9 } }), "in_context_learning: is 9 and 9"),
    ] {
        let mut analysis = config.clone();
        analysis["type"] = json!("head_detection");
        let text = refused(&decoder("gpt2", "fused"), &texts("gpt2", 2), &analysis);
        assert!(text.contains(said), "{config}: {text}");
    }
    // A token that a plan names and the model does not have is told, with those that there are.
    let analysis = json!({ "type": "head_detection", "repeats": { "ids": [[0, 999_999]] } });
    let text = refused(&decoder("gpt2", "fused"), &texts("gpt2", 2), &analysis);
    assert!(text.contains("no token 999999") && text.contains("tokens of 0 to"), "{text}");
}
