//! Circuits.

use fmrai_core::experiment::{Experiment, ExperimentConfig};
use fmrai_core::tensor::from_safetensors;
use fmrai_plugins::circuit::{CircuitConfig, Method};
use serde_json::{Value, json};

use super::lab::{difference, merged, samples, show};
use super::program::{FORMS, Results, decoder, distance, expected, pairs, reference, refused, run};

/// Within this of PyTorch in float64, and of a law.
const NEAR: f64 = 1e-5;
const LAW: f64 = 1e-4;
/// Models whose attention is added to the stream as it is.
const SUMS: [&str; 3] = ["gpt2", "llama", "qwen3"];

fn analysis(method: &str) -> Value {
    json!({ "type": "circuit", "method": method })
}

/// The first two pairs of a model: a circuit takes many passes to be run.
fn few(model: &str, size: usize) -> Value {
    let mut data = pairs(model, size);
    data["limit"] = json!(2);
    data
}

/// The names of the edges, as the references have them.
fn names(model: &str) -> Vec<String> {
    let bytes = std::fs::read(reference(model, "expected.safetensors")).unwrap();
    let metadata = from_safetensors(&bytes).unwrap().1;
    serde_json::from_str(&metadata["edges"]).unwrap()
}

fn edges(found: &Results) -> Vec<String> {
    found.table("edges").1.into_iter().map(|row| format!("{}->{}", row[0], row[1])).collect()
}

#[test]
fn scores_are_those_of_pytorch() {
    for model in SUMS {
        let expected = expected(model);
        for method in ["eap", "eap_ig"] {
            for (form, size) in [(FORMS[0], 10), (FORMS[1], 4)] {
                let mut analysis = analysis(method);
                analysis["faithfulness"] = Value::Null;
                let found = run(&decoder(model, form), &pairs(model, size), &analysis);
                let far =
                    distance(found.numbers("scores"), expected[&format!("{method}.scores")].f64().unwrap());
                println!("{model} {method} {form} by {size}: {far:.1e}");
                assert!(far < NEAR, "{model} {method} {form} by {size}: {far:e}");
                assert_eq!(edges(&found), names(model));
            }
        }
    }
}

#[test]
fn all_edges_are_the_clean_text_and_none_the_corrupted_one() {
    for (model, form) in [("gpt2", FORMS[0]), ("llama", FORMS[1])] {
        for metric in ["logit_difference", "kl"] {
            let mut analysis = analysis("eap_ig");
            analysis["metric"] = json!(metric);
            analysis["fractions"] = json!([0.05, 0.3, 1.0]);
            let found = run(&decoder(model, form), &few(model, 2), &analysis);
            let (metric, sizes) = (found.numbers("metric"), found.numbers("edges"));
            assert_eq!(*sizes.last().unwrap(), 110.0);
            let last = metric.last().unwrap() - found.numbers("clean")[0];
            assert!(last.abs() < LAW, "{model} {form}: {metric:?}");
            let faithfulness = found.numbers("faithfulness");
            assert!((faithfulness.last().unwrap() - 1.0).abs() < 1e-3);
            let left = found.numbers("edges.left");
            assert!(left.iter().zip(sizes).all(|(left, size)| left <= size));
            let circuit = &found.summary["circuit"];
            assert!(circuit["faithfulness"].as_f64().unwrap() >= 0.85, "{circuit}");
            assert!(found.has_figure("faithfulness") && found.has_figure("circuit"));
            let within = found.table("edges").1.iter().filter(|row| row[3] == "1").count();
            assert_eq!(json!(within), circuit["edges"]);
            let dot = found.summary["dot"].as_str().unwrap();
            assert_eq!(dot.matches("->").count(), within);
        }
    }
}

#[test]
fn a_circuit_without_one_edge_is_what_patching_that_edge_gives() {
    // The last edge is the weakest one, or with signs the one that matters most for the wrong answer.
    for (model, absolute) in [("gpt2", true), ("llama", false)] {
        let mut analysis = analysis("exact");
        analysis["select"] = json!({ "absolute": absolute });
        analysis["fractions"] = json!([109.0 / 110.0, 1.0]);
        analysis["faithfulness"] = Value::Null;
        let found = run(&decoder(model, "fused"), &few(model, 2), &analysis);
        let scores = found.numbers("scores");
        let last = if absolute {
            *scores.iter().min_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap()
        } else {
            scores.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        };
        let change = found.numbers("metric")[0] - found.numbers("clean")[0];
        assert_eq!(found.numbers("edges"), [109.0, 110.0]);
        assert!((change - last).abs() < LAW, "{model} {absolute}: {change} {last}");
    }
}

#[test]
fn batches_and_the_form_of_attention_do_not_matter() {
    for (model, greedy) in [("gpt2", true), ("llama", false)] {
        let mut analysis = analysis("eap_ig");
        analysis["select"] = json!({ "greedy": greedy });
        analysis["fractions"] = json!([0.1, 0.5]);
        let one = run(&decoder(model, "eager"), &few(model, 1), &analysis);
        let other = run(&decoder(model, "fused"), &few(model, 2), &analysis);
        for name in ["scores", "metric", "edges", "edges.left"] {
            let far = distance(one.numbers(name), other.numbers(name));
            assert!(far < LAW, "{model} {name}: {far:e}");
        }
        assert_eq!(one.summary["circuit"]["nodes"], other.summary["circuit"]["nodes"]);
        if greedy {
            assert_eq!(one.numbers("edges"), one.numbers("edges.left"), "{model}: upwards all is connected");
        }
    }
}

#[test]
fn acdc_takes_out_what_matters_little() {
    let mut analysis = analysis("acdc");
    analysis["tau"] = json!(1e300);
    let one = |model: &str| {
        let mut data = pairs(model, 1);
        data["limit"] = json!(1);
        data
    };
    let found = run(&decoder("gpt2", "fused"), &one("gpt2"), &analysis);
    let circuit = &found.summary["circuit"];
    assert_eq!(circuit["edges"], json!(0), "{circuit}");
    assert!(circuit["faithfulness"].as_f64().unwrap().abs() < 1e-3);
    analysis["tau"] = json!(0.002);
    let found = run(&decoder("gpt2", "fused"), &one("gpt2"), &analysis);
    let circuit = &found.summary["circuit"];
    let left = circuit["edges"].as_u64().unwrap();
    assert!(left > 0 && left < 110, "{circuit}");
    // What was kept mattered when it was tried.
    for row in found.table("edges").1.iter().filter(|row| row[3] == "1") {
        assert!(row[2].parse::<f64>().unwrap() >= 0.002, "{row:?}");
    }
}

#[test]
fn models_that_change_what_attention_adds_are_refused() {
    let said = refused(&decoder("gemma3", "fused"), &pairs("gemma3", 4), &analysis("eap"));
    assert!(said.contains("normalised or scaled before it is added in layer 0"), "{said}");
    for (field, value, word) in [
        ("fractions", json!([]), "shares above 0"),
        ("fractions", json!([0.5, 0.2]), "0.5 before 0.2"),
        ("fractions", json!([0.0]), "shares above 0"),
        ("steps", json!(0), "1 to 1000"),
        ("tau", json!(-1.0), "0 or above"),
        ("faithfulness", json!(0.0), "above 0"),
    ] {
        let mut analysis = analysis("eap");
        analysis[field] = value;
        let said = refused(&decoder("gpt2", "fused"), &pairs("gpt2", 4), &analysis);
        assert!(said.contains(word), "{said}");
    }
}

fn make(method: Method) -> Box<dyn Experiment> {
    CircuitConfig { method, steps: 2, fractions: vec![0.05, 0.3, 1.0], ..Default::default() }.build().unwrap()
}

#[test]
fn the_merge_law_holds_within_each_sweep() {
    let (model, method) = ("gpt2", Method::EapIg);
    let all = samples(model, true);
    let [one, other, whole] = merged(model, &all, 4, &|| make(method));
    assert!(difference(&one, &whole) < NEAR, "{model}");
    assert!(difference(&other, &whole) < NEAR, "{model}");

    // The second sweep, by two that have found the same in the first one.
    let batches: Vec<_> = all.chunks(4).collect();
    let mut first = vec![make(method)];
    show(model, &batches, &mut first, &|_| 0);
    let found = first[0].state().unwrap();
    let mut both = vec![make(method), make(method), make(method)];
    for experiment in &mut both {
        experiment.merge(&found).unwrap();
    }
    both.iter_mut().for_each(|experiment| experiment.next_sweep().unwrap());
    show(model, &batches, &mut both, &|batch| batch % 2);
    let state = both[0].state().unwrap();
    both[1].merge(&state).unwrap();
    both[2].merge(&state).unwrap();
    assert!(first[0].merge(&state).is_err(), "another sweep");
    first[0].next_sweep().unwrap();
    show(model, &all.chunks(2).collect::<Vec<_>>(), &mut first, &|_| 0);
    let reports = [&both[1], &first[0]].map(|experiment| experiment.analyze().unwrap());
    assert!(reports[0].tensors.iter().any(|tensor| tensor.name == "faithfulness"));
    assert!(difference(&reports[0], &reports[1]) < LAW, "{model}");
}
