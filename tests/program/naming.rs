//! Names of tensors through the program: heads, neurons, modules and outputs, what files are keyed by, `fmrai attend`, and what a plan
//! says that a model is made of.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{assert_exit, err, fmrai, json_file, out, reference, sentences};
use fmrai_core::activations::ActivationFolder;
use fmrai_core::tensor::SafetensorsIndex;
use fmrai_core::tolerance::Tolerance;
use serde_json::{Value, json};

/// The small reference BERT: 3 layers of 4 heads.
fn model() -> String {
    reference("bert").display().to_string()
}

/// The float32 tensors of a safetensors file, and its metadata.
type Content = (BTreeMap<String, (Vec<usize>, Vec<f32>)>, BTreeMap<String, String>);

fn content(file: &Path) -> Content {
    let bytes = std::fs::read(file).unwrap();
    let index = SafetensorsIndex::read(&mut bytes.as_slice(), bytes.len() as u64).unwrap();
    let tensor = |stored: &fmrai_core::tensor::StoredTensor| {
        let (start, length) =
            (usize::try_from(stored.start).unwrap(), usize::try_from(stored.bytes).unwrap());
        // Other element types are of no interest here.
        let numbers = bytes[start..start + length].chunks_exact(4);
        let numbers = numbers.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        (stored.shape.clone(), numbers.collect())
    };
    let tensors = index.tensors.iter().map(|(name, stored)| (name.clone(), tensor(stored))).collect();
    (tensors, index.metadata.into_iter().collect())
}

fn captured(folder: &Path, arguments: &[&str]) -> Content {
    let output = folder.join("captured");
    let output = output.to_str().unwrap();
    let own = model();
    let run = fmrai(&[&["capture", &own, "--output", output, "--force"], arguments].concat());
    assert_exit(&run, 0);
    content(&folder.join("captured/activations/batches/000000.safetensors"))
}

#[test]
fn files_are_keyed_by_what_was_asked_for_and_name_their_axes() {
    let folder = tempfile::tempdir().unwrap();
    let asked =
        ["encoder.layer.1", "attention[2].probabilities", "L2H1", "L2H1.query", "L0N5", "residual[0].after"];
    let mut arguments = vec!["--text", "the weather in a book", "--text", "the keeper"];
    asked.iter().for_each(|selector| arguments.extend(["--select", selector]));
    let (tensors, metadata) = captured(folder.path(), &arguments);
    assert_eq!(tensors.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), asked.into());
    let axes: Value = serde_json::from_str(&metadata["axes"]).unwrap();
    assert_eq!(axes["attention[2].probabilities"], json!(["batch", "head", "query", "key"]));
    assert_eq!(axes["L2H1"], json!(["batch", "query", "key"]));
    assert_eq!(axes["L0N5"], json!(["batch", "token"]));
    assert_eq!(axes["encoder.layer.1"], json!(["batch", "token", "channel"]));

    // The head is the very part of the whole.
    let (whole, part) = (&tensors["attention[2].probabilities"], &tensors["L2H1"]);
    let [batch, heads, queries, keys] = whole.0[..] else { panic!("{:?}", whole.0) };
    assert_eq!((part.0.as_slice(), heads), (&[batch, queries, keys][..], 4));
    let size = queries * keys;
    for row in 0..batch {
        let from = (row * heads + 1) * size;
        assert_eq!(part.1[row * size..(row + 1) * size], whole.1[from..from + size]);
    }
    let manifest = ActivationFolder::open(&folder.path().join("captured")).unwrap().manifest().clone();
    let entry = manifest.tensors.iter().find(|entry| entry.key == "encoder.layer.1").unwrap();
    assert!(entry.labels.iter().any(|label| label.starts_with("norm[")), "{:?}", entry.labels);
}

#[test]
fn what_comes_after_the_last_tensor_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), sentences(12)).unwrap();
    let capture = |name: &str, parity: &str| {
        let plan = json!({
            "format": 1, "model": { "type": "hf_checkpoint", "path": model() }, "analyses": [],
            "data": { "type": "text", "path": "texts.txt", "batch_size": 3 }, "parity": parity, "output": name,
            "capture": { "select": ["attention[0].probabilities", "encoder.layer.0"] }
        });
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, plan.to_string()).unwrap();
        assert_exit(&fmrai(&["run", file.to_str().unwrap(), "--threads", "1"]), 0);
        (0..4)
            .map(|at| {
                content(&folder.path().join(format!("{name}/activations/batches/00000{at}.safetensors")))
            })
            .collect::<Vec<_>>()
    };
    // With a comparison of every batch, all of the model runs.
    assert_eq!(capture("early", "off"), capture("whole", "every"));
}

#[test]
fn texts_come_from_the_command_line_and_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let of_text = captured(folder.path(), &["--select", "L0H0", "--text", "the keeper", "--text", "a book"]);
    let output = folder.path().join("piped");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .args(["capture", &model(), "--data", "-", "--select", "L0H0", "--output"])
        .arg(&output)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"the keeper\n\na book\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(content(&output.join("activations/batches/000000.safetensors")), of_text);
    let empty = fmrai(&[
        "capture",
        &model(),
        "--text",
        " ",
        "--select",
        "L0H0",
        "--output",
        output.to_str().unwrap(),
    ]);
    assert_exit(&empty, 2);
    assert_eq!(err(&empty), "error: --text has no tokens in it\n");
}

#[test]
fn outputs_have_the_names_that_the_model_gives_them() {
    for (file, names) in [("", &["last_hidden_state"][..]), ("model.pt2", &["last_hidden_state"])] {
        let path = reference("bert").join(file);
        let path = path.to_str().unwrap();
        for name in names.iter().chain(&["output"]) {
            let output = fmrai(&["inspect", path, "--select", name]);
            assert_exit(&output, 0);
            assert!(out(&output).contains(names[0]), "{name}: {}", out(&output));
        }
        let wrong = fmrai(&["inspect", path, "--select", "last_hiden_state"]);
        assert_exit(&wrong, 2);
        assert!(err(&wrong).contains("did you mean `last_hidden_state`?"), "{}", err(&wrong));
    }
}

#[test]
fn heads_are_shown_on_one_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let text = "the keeper wrote the weather in a book";
    let all = fmrai(&["attend", &model(), "--text", text]);
    assert_exit(&all, 0);
    let lines: Vec<String> = out(&all).lines().map(str::to_owned).collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with('L')).count(), 12, "{}", out(&all));
    let (svg, png, json, html) = (file("a.svg"), file("a.png"), file("a.json"), file("a.html"));
    let one = fmrai(&[
        "attend",
        &model(),
        "--text",
        text,
        "--head",
        "L1H2",
        "--svg",
        &svg,
        "--png",
        &png,
        "--json",
        &json,
        "--html",
        &html,
    ]);
    assert_exit(&one, 0);
    assert!(out(&one).contains("L1H2: each row is a token"), "{}", out(&one));
    let numbers = json_file(Path::new(&json));
    let head = &numbers["heads"][0];
    let count = numbers["tokens"].as_array().unwrap().len();
    assert_eq!(
        (&head["name"], head["queries"].as_u64(), head["keys"].as_u64()),
        (&json!("L1H2"), Some(count as u64), Some(count as u64))
    );
    let shares: Vec<f64> =
        head["probabilities"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    for row in shares.chunks(count) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-5);
    }
    // The same numbers as those that a capture writes.
    let (tensors, _) = captured(folder.path(), &["--select", "L1H2", "--text", text]);
    assert_eq!(tensors["L1H2"].1.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), shares);
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    assert!(std::fs::read_to_string(&html).unwrap().contains("<html"));
    for (head, words) in [
        ("L3H0", "there is no attention[3], the layers of attention are 0-2"),
        ("L1H4", "attention[1] has the heads 0 to 3"),
        ("L1N4", "a head is named like L5H1"),
    ] {
        let output = fmrai(&["attend", &model(), "--text", text, "--head", head]);
        assert_exit(&output, 2);
        assert!(err(&output).contains(words), "{}", err(&output));
    }
}

#[test]
fn a_plan_says_what_a_model_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.json");
    let program = reference("bert").join("model.pt2");
    let inspected = fmrai(&["inspect", program.to_str().unwrap(), "--structure", file.to_str().unwrap()]);
    assert_exit(&inspected, 0);
    let found = json_file(&file);
    std::fs::write(folder.path().join("texts.txt"), sentences(4)).unwrap();
    let run = |name: &str, structure: &Value| {
        let plan = json!({
            "format": 1,
            "model": { "type": "exported_program", "path": program, "tokenizer": model() },
            "data": { "type": "text", "path": "texts.txt" }, "structure": structure,
            "analyses": [{ "type": "attention_patterns" }], "capture": { "select": ["attention[*].probabilities"] },
            "output": name
        });
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, plan.to_string()).unwrap();
        fmrai(&["run", file.to_str().unwrap(), "--threads", "1"])
    };
    let attention = found["attention"].as_array().unwrap();
    let told = run("told", &json!({ "attention": [attention[1]] }));
    assert_exit(&told, 0);
    let summary = json_file(&folder.path().join("told/summary.json"));
    assert_eq!(summary["structure"]["attention"].as_array().unwrap().len(), 1);
    // What was captured then says the same without the plan that said so.
    let again = json!({
        "format": 1, "activations": "told", "analyses": [{ "type": "attention_patterns" }], "output": "again"
    });
    std::fs::write(folder.path().join("again.json"), again.to_string()).unwrap();
    assert_exit(&fmrai(&["run", folder.path().join("again.json").to_str().unwrap(), "--threads", "1"]), 0);
    let summary = json_file(&folder.path().join("again/summary.json"));
    assert_eq!(summary["structure"]["attention"].as_array().unwrap().len(), 1);
    let tables = ["told", "again"].map(|run| {
        std::fs::read_to_string(folder.path().join(run).join("attention_patterns/tables/heads.csv")).unwrap()
    });
    assert_eq!(tables[0], tables[1]);
    let unknown = run("unknown", &json!({ "atention": [] }));
    assert_exit(&unknown, 2);
    assert!(err(&unknown).contains("structure") && err(&unknown).contains("atention"), "{}", err(&unknown));
    let mut wrong = attention[1].clone();
    wrong["query"] = json!("%no_such_tensor");
    let wrong = run("wrong", &json!({ "attention": [wrong] }));
    assert_exit(&wrong, 2);
    assert!(err(&wrong).contains("structure of the plan: "), "{}", err(&wrong));
}

#[test]
fn one_neuron_is_asked_without_a_run() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), sentences(9)).unwrap();
    let data = folder.path().join("texts.txt").display().to_string();
    let answer = folder.path().join("answer.json").display().to_string();
    let asked = fmrai(&[
        "neuron",
        &model(),
        "L1N5",
        "--data",
        &data,
        "--batch-size",
        "4",
        "--top",
        "3",
        "--tied-embedding",
        "--json",
        &answer,
    ]);
    assert_exit(&asked, 0);
    assert!(
        out(&asked).contains("its value promotes: ") && out(&asked).contains("strongest of 9 texts:"),
        "{}",
        out(&asked)
    );
    // The same as the analysis of the whole layer says.
    let plan = json!({
        "format": 1, "model": { "type": "hf_checkpoint", "path": model() }, "output": "all",
        "data": { "type": "text", "path": "texts.txt", "batch_size": 4 },
        "analyses": [{ "type": "ffn_key_value", "layers": [1], "tied_embedding": true, "top_tokens": 3, "triggers": 3 }]
    });
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    assert_exit(&fmrai(&["run", file.to_str().unwrap()]), 0);
    let all = folder.path().join("all");
    let query = fmrai(&["query", all.to_str().unwrap(), "--json", "top", "--layer", "1", "--neuron", "5"]);
    assert_exit(&query, 0);
    let store = out(&query);
    let found = json_file(Path::new(&answer));
    for token in found["promotes"].as_array().unwrap() {
        assert!(store.contains(token["text"].as_str().unwrap()), "{token} is not in {store}");
    }
    let first = &found["triggers"][0];
    let coefficient = format!("{:.3}", first["coefficient"].as_f64().unwrap());
    assert!(store.contains(&coefficient[..4]), "{coefficient} is not in {store}");
    let wrong = fmrai(&["neuron", &model(), "L1H5", "--text", "a"]);
    assert_exit(&wrong, 2);
    assert_eq!(err(&wrong), "error: L1H5: a neuron is named like L3N17\n");
}

/// What a program gives back, in a branch, a loop or a region with autocast, against what PyTorch gave.
#[test]
fn outputs_are_found_through_control_flow() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(crate::common::ROOT).join("tests/reference/programs");
    for (program, outputs) in [("cond", 1), ("scan", 2), ("autocast_region", 4)] {
        let (expected, _) = content(&programs.join(format!("{program}.safetensors")));
        for case in ["c0", "c1"] {
            let (shape, numbers) = &expected[&format!("{case}.in.00.x")];
            let header =
                json!({ "x": { "dtype": "F32", "shape": shape, "data_offsets": [0, 4 * numbers.len()] } })
                    .to_string();
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
            let input = folder.path().join("x.safetensors");
            std::fs::write(&input, file).unwrap();
            let output = folder.path().join("out");
            let run = fmrai(&[
                "capture",
                programs.join(format!("{program}.pt2")).to_str().unwrap(),
                "--data",
                input.to_str().unwrap(),
                "--select",
                "output",
                "--output",
                output.to_str().unwrap(),
                "--force",
            ]);
            assert_exit(&run, 0);
            let (found, _) = content(&output.join("activations/batches/000000.safetensors"));
            assert_eq!(found.len(), outputs, "{program}: {:?}", found.keys());
            let (shape, first) = &expected[&format!("{case}.out.00")];
            let same = |(found, numbers): &&(Vec<usize>, Vec<f32>)| {
                found == shape && Tolerance::ACTIVATION.check(&wide(numbers), &wide(first)).is_ok()
            };
            assert!(found.values().any(|tensor| same(&tensor)), "{program} {case}: {found:?}");
        }
    }
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|number| f64::from(*number)).collect()
}
