//! Bad input, from the plan to the words on the screen: whose fault it is, what was found, what would be valid. What can be known before a run
//! is told by `fmrai check`.

use std::collections::HashMap;
use std::path::Path;

use fmrai_core::tensor::{TensorValue, to_safetensors};
use serde_json::{Value, json};

use super::program::{decoder, pairs, reference, texts};
use crate::common::{ROOT, assert_exit, err, fmrai, out};

/// What `fmrai check` or `fmrai run` says of a plan, and its exit code.
fn said(command: &str, folder: &Path, data: &Value, analyses: &Value) -> (i32, String) {
    let plan = json!({
        "format": 1, "model": decoder("gpt2", "fused"), "data": data, "analyses": analyses, "output": "out",
    });
    let file = folder.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let output = fmrai(&[command, file.to_str().unwrap()]);
    (output.status.code().unwrap(), out(&output) + &err(&output))
}

/// The pairs of the reference, and one more line.
fn with_line(folder: &Path, change: &Value) -> Value {
    let file = folder.join("pairs.jsonl");
    let good = reference("gpt2", "pairs.jsonl");
    let good = std::fs::read_to_string(good).unwrap();
    let mut last: Value = serde_json::from_str(good.lines().next().unwrap()).unwrap();
    for (name, value) in change.as_object().unwrap() {
        last[name] = value.clone();
    }
    std::fs::write(&file, format!("{}\n{last}\n", good.trim_end())).unwrap();
    json!({ "type": "pairs", "path": file, "batch_size": 2 })
}

/// Mistakes of the plan itself, and what the model or the first batch cannot do: before a run, with the exit code that a run would have.
#[test]
fn check_names_what_a_run_would_fail_of() {
    let folder = tempfile::tempdir().unwrap();
    let (pairs, texts) = (pairs("gpt2", 2), texts("gpt2", 2));
    let any = {
        let folder = folder.path().join("any");
        std::fs::create_dir(&folder).unwrap();
        let mut data =
            with_line(&folder, &json!({ "clean": "the cats sat by ", "corrupted": "the rat sat by " }));
        data["lengths"] = json!("any");
        data["batch_size"] = json!(100);
        data
    };
    let ablation = |fields: Value| {
        let mut analysis = json!({ "type": "ablation", "sites": [] });
        analysis.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        analysis
    };
    let steer = |fields: Value| {
        let mut analysis = json!({ "type": "steering" });
        analysis.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        analysis
    };
    let receiver = |receiver: Value| json!({ "type": "path_patching", "receivers": [receiver] });
    let cases: Vec<(&Value, Value, i32, &str)> = vec![
        // A site, layer, head or neuron that the model lacks.
        (
            &pairs,
            json!({ "type": "ablation", "sites": ["heads"] }),
            2,
            "analyses[0].sites[0]: is the text \"heads\", needed \"head\", \"ffn\", \"attention\" or \"block\"",
        ),
        (
            &pairs,
            ablation(json!({ "groups": { "g": [[9, 0]] } })),
            1,
            "this model has 2 layers, the analysis needs heads {0} in layer 9, which the group \"g\" names",
        ),
        (
            &pairs,
            ablation(json!({ "groups": { "g": [[0, 99]] } })),
            1,
            "this model has 4 heads in layer 0, counted from 0, the analysis needs heads {99} in layer 0, which the group \"g\" names",
        ),
        (
            &pairs,
            ablation(json!({ "neurons": [[0, 64]] })),
            1,
            "this model has 64 neurons in layer 0, the analysis needs neuron 64, which is to be ablated; they are counted from 0",
        ),
        (
            &pairs,
            ablation(json!({ "neurons": [[2, 0]] })),
            1,
            "this model has no feed-forward block in layer 2, the analysis needs one, since neurons of it are to be ablated",
        ),
        (
            &pairs,
            receiver(json!({ "layer": 9, "head": 0, "input": "query" })),
            1,
            "this model has no query of head L9H0, which `receivers` names, the analysis needs a layer of 0 to 1",
        ),
        (
            &pairs,
            receiver(json!({ "layer": 1, "head": 9, "input": "key" })),
            1,
            "this model has no key of head L1H9, which `receivers` names, the analysis needs a head of 0 to 3 in that layer",
        ),
        (
            &pairs,
            receiver(json!({ "layer": 1, "head": 0, "input": "querry" })),
            2,
            "analyses[0].receivers[0].input: is the text \"querry\", needed \"query\", \"key\", \"value\" or \"ffn\"",
        ),
        (
            &pairs,
            json!({ "type": "input_attribution", "baseline": "token:999" }),
            1,
            "this model has no token 999, which `baseline` names, the analysis needs one of 0 to 43",
        ),
        (
            &pairs,
            json!({ "type": "head_detection", "repeats": { "ids": [[1, 2, 999]] } }),
            1,
            "this model has no token 999, which `repeats.ids` names, the analysis needs tokens of 0 to 43",
        ),
        // Edits that exclude each other, or that are twice there.
        (
            &pairs,
            ablation(json!({ "groups": { "g": [[0, 1], [0, 1]] } })),
            2,
            "analyses[0].groups: is a group \"g\" with head 1 of layer 0 twice, needed groups of different heads",
        ),
        (
            &pairs,
            ablation(json!({ "neurons": [[0, 1], { "layer": 0, "neurons": [1] }] })),
            2,
            "analyses[0].neurons: is a list with neuron 1 of layer 0 twice, needed a list of different neurons",
        ),
        // An objective whose gradient is 0 everywhere.
        (
            &pairs,
            json!({ "type": "circuit", "method": "eap", "metric": "kl" }),
            2,
            "analyses[0].metric: is kl, whose gradient vanishes on the clean run, needed another metric, or the method `eap_ig`, `exact` or `acdc`",
        ),
        (
            &pairs,
            json!({ "type": "attribution_patching", "metric": "kl", "direction": "noise" }),
            2,
            "analyses[0].metric: is kl, whose gradient vanishes on the clean run, needed another metric, `\"direction\": \"denoise\"`, or `steps` of 1 or more",
        ),
        // Directions that do not fit the stream.
        (
            &pairs,
            steer(json!({ "direction": [1.0, 2.0, 3.0] })),
            1,
            "`direction` has shape [3], this model, of 2 layers and a stream of 16 channels, needs [16], [2, 16] or [3, 16]",
        ),
        (&pairs, steer(json!({ "direction": { "path": "nothing.safetensors" } })), 1, "`direction`: "),
        // Marks.
        (
            &pairs,
            steer(json!({ "positions": "subjekt" })),
            1,
            "the data have no mark \"subjekt\" in pair 3 (\"nobody asks us\"): its marks are subject, the analysis needs that mark in every pair, \
             since the direction is taken from there",
        ),
        (
            &pairs,
            json!({ "type": "activation_patching", "corruption": { "kind": "gaussian", "mark": "subjekt" } }),
            1,
            "its marks are subject, the analysis needs that mark in every pair, since its tokens are made noisy",
        ),
        // Single texts where pairs are needed, and pairs of different lengths.
        (
            &texts,
            json!({ "type": "activation_patching" }),
            1,
            "the data have single texts, the analysis needs pairs of a clean and a corrupted text: data of the type `pairs`",
        ),
        (&texts, json!({ "type": "circuit" }), 1, "the data have single texts"),
        (&texts, json!({ "type": "ablation", "metric": "loss" }), 1, "the data have single texts"),
        (
            &texts,
            json!({ "type": "input_attribution", "metric": "kl", "of": "corrupted" }),
            1,
            "the data have single texts, the analysis needs pairs of texts for the metric kl",
        ),
        (
            &any,
            json!({ "type": "activation_patching" }),
            1,
            "the data have 16 tokens in the clean text of pair 5 (\"the cats sat by \") and 15 in the corrupted one, the analysis needs as many in \
             both texts of every pair, since an activation is taken from the same position",
        ),
        (&any, json!({ "type": "path_patching" }), 1, "16 tokens in the clean text of pair 5"),
        (&any, json!({ "type": "circuit" }), 1, "16 tokens in the clean text of pair 5"),
        (&any, json!({ "type": "attribution_patching" }), 1, "16 tokens in the clean text of pair 5"),
        (
            &any,
            json!({ "type": "ablation", "metric": "kl" }),
            1,
            "16 tokens in the clean text of pair 5 (\"the cats sat by \") and 15 in the corrupted one, the analysis needs as many in both texts of \
             every pair for the metric kl",
        ),
        // Results that an earlier run does not have.
        (
            &pairs,
            ablation(
                json!({ "groups": { "g": { "from": "heads", "run": "nowhere", "table": "heads", "by": "induction", "top": 1 } } }),
            ),
            2,
            "analyses[0].groups.g: ",
        ),
    ];
    for (data, analysis, code, words) in cases {
        let (found, text) = said("check", folder.path(), data, &json!([analysis]));
        assert_eq!(found, code, "{analysis}\n{text}");
        assert!(text.contains(words), "{analysis}\n{words}\n{text}");
        assert_eq!(text.contains("plan is valid"), code == 0, "{text}");
    }
}

/// Records that cannot be: the line is named, and what would be valid.
#[test]
fn records_that_cannot_be_are_named_by_their_line() {
    let folder = tempfile::tempdir().unwrap();
    for (change, words) in [
        (
            json!({ "answer": "cat" }),
            "pairs.jsonl:6: field \"answer\": \"cat\" is 3 tokens, \"c\", \"a\", \"t\", one is needed",
        ),
        (
            json!({ "wrong": "cat" }),
            "pairs.jsonl:6: field \"wrong\": \"cat\" is 3 tokens, \"c\", \"a\", \"t\", one is needed",
        ),
        (json!({ "answer": "" }), "pairs.jsonl:6: field \"answer\": \"\" has no tokens, one is needed"),
        (
            json!({ "clean": "the cats sat by " }),
            "pairs.jsonl:6: the clean text has 16 tokens and the corrupted one 15, but both need the same number, so that their positions can \
             be compared: change a text, or allow it with \"lengths\": \"any\"",
        ),
        (
            json!({ "marks": { "subject": [4, 99] } }),
            "pairs.jsonl:6: mark \"subject\" is the tokens [4, 99], the clean text has [0, 15] alone",
        ),
        (
            json!({ "marks": { "subject": "dog" } }),
            "pairs.jsonl:6: mark \"subject\": \"dog\" does not stand in the clean text",
        ),
    ] {
        let data = with_line(folder.path(), &change);
        let (code, text) = said("check", folder.path(), &data, &json!([{ "type": "activation_patching" }]));
        assert_eq!(code, 2, "{change}\n{text}");
        assert!(text.contains(words), "{change}\n{words}\n{text}");
    }
}

/// What only a pass can tell ends the analysis that it is of, with the edit that is at fault.
#[test]
fn numbers_that_an_edit_makes_infinite_are_no_results() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = pairs("gpt2", 2);
    for (strength, words) in [
        (1e39, "needed a finite number that float32 holds, up to 3.403e38"),
        (3e38, "is NaN or infinite, after the edit of tensor #"),
    ] {
        let analyses = json!([
            { "type": "steering", "strengths": [strength], "direction": vec![1.0; 16] },
            { "type": "ablation" },
        ]);
        let (code, text) = said("run", folder.path(), &pairs, &analyses);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(words), "{words}\n{text}");
        // The other analysis has its results.
        assert!(folder.path().join("out/ablation/summary.json").exists());
        std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    }
}

#[test]
fn edits_of_generated_texts_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = ROOT.to_owned() + "/tests/reference/decoders/gpt2";
    let edit = |text: &str| vec!["--edit".to_owned(), text.to_owned()];
    let file = folder.path().join("narrow.safetensors");
    let value = TensorValue::new([3], vec![1.0f32, 2.0, 3.0].into()).unwrap();
    let bytes = to_safetensors([("direction", &value)], HashMap::new()).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let file = file.to_str().unwrap();
    let steer = |more: &[&str]| -> Vec<String> {
        ["--steer", file, "--layer", "1"].iter().chain(more).map(|text| (*text).to_owned()).collect()
    };
    for (arguments, words) in [
        (steer(&[]), "--steer: the direction has 3 channels, the stream has 16"),
        (
            edit(r#"{"site": "head", "layer": 3, "heads": [1], "with": "zero"}"#),
            "--edit: there is no layer 3, the model has 2",
        ),
        (
            edit(r#"{"site": "head", "layer": 0, "heads": [9], "with": "zero"}"#),
            "--edit: there is no head 9 in layer 0, which has 4",
        ),
        (
            edit(r#"{"site": "neuron", "layer": 0, "neurons": [99], "with": "zero"}"#),
            "--edit: there is no neuron 99 in layer 0, which has 64",
        ),
        (
            edit(r#"{"site": "ffn", "layer": 0, "with": {"scale": 1e38}}"#),
            "the model gives NaN after 7 tokens with what --steer and --edit change: needed are a smaller --strength, or edits that change less",
        ),
    ] {
        let mut all = vec!["generate", &model, "--prompt", "the cat", "--max-new-tokens", "2"];
        all.extend(arguments.iter().map(String::as_str));
        let output = fmrai(&all);
        assert_exit(&output, 2);
        assert!(err(&output).contains(words), "{words}\n{}", err(&output));
        // The prompt that was told ends with its line.
        assert!(err(&output).starts_with("error: "), "{}", err(&output));
        assert!(out(&output).is_empty() || out(&output).ends_with('\n'), "{:?}", out(&output));
    }
}
