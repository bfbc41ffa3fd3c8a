//! Selectors, activations on disk and tensors as data, through the `fmrai` program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{assert_exit, contents, err, fmrai, json_file, out, reference, sentences};
use fmrai_core::activations::ActivationFolder;
use fmrai_core::tracker::{Activations, CaptureRequest};
use serde_json::{Value, json};

/// The small reference BERT.
fn model() -> String {
    reference("bert").display().to_string()
}

/// A folder with texts.
struct Place(tempfile::TempDir);

impl Place {
    fn new(texts: usize) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.0.path().join("texts.txt"), sentences(texts)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs a plan of this name.
    fn run(&self, name: &str, plan: &Value, more: &[&str]) -> Output {
        let file = self.text(&format!("{name}.json"));
        std::fs::write(&file, plan.to_string()).unwrap();
        fmrai(&[&["run", &file, "--threads", "1"], more].concat())
    }

    fn plan(&self, output: &str) -> Value {
        json!({
            "format": 1,
            "model": { "type": "hf_checkpoint", "path": model() },
            "data": { "type": "text", "path": "texts.txt", "batch_size": 4 },
            "analyses": analyses(),
            "output": output
        })
    }
}

fn analyses() -> Value {
    json!([
        { "type": "attention_patterns" },
        { "type": "attention_clustering", "name": "map", "starts": 2 }
    ])
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (contents(a), contents(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, content) in &a {
        assert!(b[name] == *content, "{} differs", name.display());
    }
}

/// Starts a plan and interrupts it as soon as `until` is there.
#[cfg(unix)]
fn interrupt(place: &Place, name: &str, plan: &Value, until: &str) {
    assert_exit(&end(place, name, plan, until, "-INT"), 130);
}

/// Starts a plan and sends it a signal as soon as `until` is there.
#[cfg(unix)]
fn end(place: &Place, name: &str, plan: &Value, until: &str, signal: &str) -> Output {
    let file = place.text(&format!("{name}.json"));
    std::fs::write(&file, plan.to_string()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fmrai"))
        .args(["run", &file, "--threads", "1"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !place.path(until).exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {until} was there");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[test]
fn analyses_of_captured_activations_give_the_same_files() {
    let place = Place::new(26);
    let mut plan = place.plan("live");
    plan["capture"] = json!({ "select": ["attention[*].probabilities", "encoder.layer.*.output"] });
    let live = place.run("live", &plan, &[]);
    assert_exit(&live, 0);
    assert!(out(&live).contains("activations: "), "{}", out(&live));
    let stored = json!({ "format": 1, "activations": "live", "analyses": analyses(), "output": "stored" });
    let run = place.run("stored", &stored, &[]);
    assert_exit(&run, 0);
    assert!(out(&run).contains("data: 26 texts"), "{}", out(&run));
    assert!(out(&run).contains("parity: not compared in this run, no model ran;"), "{}", out(&run));
    for analysis in ["attention_patterns", "map"] {
        assert_same(&place.path("live").join(analysis), &place.path("stored").join(analysis));
    }
    let (a, b) = (json_file(&place.path("live/summary.json")), json_file(&place.path("stored/summary.json")));
    for field in ["model", "data", "graph", "structure", "kernels", "parity", "analyses"] {
        assert_eq!(a[field], b[field], "{field}");
    }
    assert_eq!(a["activations"]["batches"], 7);

    // Of what was captured nothing else can be captured: there is no model that could run.
    let (file, again) = (place.path("stored.json"), place.path("captured-again"));
    let select = ["--select", "attention[0].probabilities", "--output", again.to_str().unwrap()];
    let refused = fmrai(&[&["capture", file.to_str().unwrap()][..], &select].concat());
    assert_exit(&refused, 2);
    assert!(err(&refused).contains("needed is a model that can run"), "{}", err(&refused));
    assert!(!again.exists());

    // The same capture again, and without the analyses, is the same folder.
    plan["analyses"] = json!([]);
    plan["output"] = json!("alone");
    assert_exit(&place.run("alone", &plan, &[]), 0);
    assert_same(&place.path("live/activations"), &place.path("alone/activations"));
    assert_exit(&place.run("alone", &plan, &[]), 0);
    assert_same(&place.path("live/activations"), &place.path("alone/activations"));
}

#[cfg(unix)]
#[test]
fn interrupted_captures_and_analyses_of_them_end_in_the_same_files() {
    let place = Place::new(400);
    let mut plan = place.plan("whole");
    plan["checkpoint_seconds"] = json!(0);
    plan["capture"] = json!({ "select": ["attention[*].probabilities"] });
    assert_exit(&place.run("whole", &plan, &[]), 0);
    plan["output"] = json!("part");
    interrupt(&place, "part", &plan, "part/activations/batches/000002.safetensors");
    assert!(!place.path("part/activations/manifest.json").exists());
    let unfinished = json!({ "format": 1, "activations": "part", "analyses": analyses(), "output": "x" });
    let refused = place.run("early", &unfinished, &[]);
    assert_exit(&refused, 2);
    assert!(
        err(&refused).contains("the capture is unfinished: finish it with --resume"),
        "{}",
        err(&refused)
    );
    let kept = place.path("part/activations/batches/000001.safetensors");
    let before = kept.metadata().unwrap().modified().unwrap();
    assert_exit(&place.run("part", &plan, &["--resume"]), 0);
    assert_eq!(kept.metadata().unwrap().modified().unwrap(), before, "what was there is kept");
    assert_same(&place.path("part/activations"), &place.path("whole/activations"));
    assert_same(&place.path("part/map"), &place.path("whole/map"));

    let mut stored = json!({ "format": 1, "activations": "whole", "analyses": analyses(), "output": "again", "checkpoint_seconds": 0 });
    interrupt(&place, "again", &stored, "again/.checkpoint/checkpoint.json");
    assert_exit(&place.run("again", &stored, &["--resume"]), 0);
    for analysis in ["attention_patterns", "map"] {
        assert_same(&place.path("whole").join(analysis), &place.path("again").join(analysis));
    }
    // A capture that died without a word: what it wrote is taken up again.
    plan["analyses"] = json!([]);
    plan["output"] = json!("dead");
    plan["checkpoint_seconds"] = json!(3600);
    let dead = end(&place, "dead", &plan, "dead/activations/batches/000003.safetensors", "-KILL");
    assert_eq!(dead.status.code(), None);
    assert_eq!(json_file(&place.path("dead/.checkpoint/checkpoint.json"))["batches"], 0);
    let kept = place.path("dead/activations/batches/000001.safetensors");
    let before = kept.metadata().unwrap().modified().unwrap();
    assert_exit(&place.run("dead", &plan, &["--resume"]), 0);
    assert_eq!(kept.metadata().unwrap().modified().unwrap(), before, "what was there is kept");
    assert_same(&place.path("dead/activations"), &place.path("whole/activations"));
    stored["output"] = json!("over");
    stored["activations"] = json!("dead/activations");
    assert_exit(&place.run("over", &stored, &[]), 0);
}

#[test]
fn an_analysis_says_what_was_not_captured() {
    let place = Place::new(5);
    let output = fmrai(&[
        "capture",
        &model(),
        "--data",
        &place.text("texts.txt"),
        "--select",
        "attention[0].probabilities",
        "--select",
        "%input_ids",
        "--batch-size",
        "3",
        "--output",
        &place.text("got"),
    ]);
    assert_exit(&output, 0);
    let plan = json!({ "format": 1, "activations": "got", "analyses": analyses(), "output": "out" });
    let run = place.run("plan", &plan, &[]);
    assert_exit(&run, 1);
    let layers =
        json_file(&place.path("got/summary.json"))["structure"]["attention"].as_array().unwrap().len();
    let text = out(&run);
    assert!(text.contains("FAILED in prepare: attention[1].probabilities (#"), "{text}");
    let rest = if layers == 2 { "1".to_owned() } else { format!("1-{}", layers - 1) };
    let advice = format!("capture again with the selector `attention[{rest}].probabilities` added");
    assert!(text.contains(&advice), "{text}");

    let folder = ActivationFolder::open(&place.path("got")).unwrap();
    assert!(folder.vocabulary().is_some());
    let manifest = folder.manifest();
    assert_eq!(manifest.tensors.len(), 2);
    let probabilities = manifest.tensors.iter().find(|t| t.key == "attention[0].probabilities").unwrap();
    assert_eq!(probabilities.axes.as_ref().unwrap().join(" "), "batch head query key");
    let mut batch = folder.batch(1).unwrap().unwrap();
    assert_eq!(batch.samples().len(), 2);
    assert!(batch.samples().iter().all(|s| s.text.is_some() && s.token_ids.len() == s.offsets.len()));
    let read = batch.read(&CaptureRequest::from_iter([probabilities.id])).unwrap();
    let rows = read.tensor(probabilities.id).unwrap().unwrap();
    let width = rows.shape()[3];
    for row in rows.f32().unwrap().chunks(width) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn selectors_are_listed_and_mistakes_explained() {
    let listed =
        fmrai(&["inspect", &model(), "--select", "attention[*].probabilities", "--select", "%input_ids"]);
    assert_exit(&listed, 0);
    let text = out(&listed);
    assert!(text.starts_with("selected: "), "{text}");
    assert!(text.contains(" attention[0].probabilities: float32 [1, "), "{text}");
    assert!(text.contains(" %input_ids: int64 [1, ") && text.contains(", an input"), "{text}");
    let cases = [
        ("attention[9].context", "there is no attention[9], the layers of attention are 0-"),
        ("atention[0].context", "did you mean `attention`?"),
        ("attention[0].probs", "its parts are query, key, value"),
        ("attention[0", "`]` is missing"),
        ("embedings", "no module of this path has run (did you mean `embeddings`?)"),
    ];
    for (selector, words) in cases {
        let output = fmrai(&["inspect", &model(), "--select", selector]);
        assert_exit(&output, 2);
        assert!(err(&output).starts_with(&format!("error: selector `{selector}`: ")), "{}", err(&output));
        assert!(err(&output).contains(words), "{words:?} is not in {}", err(&output));
        assert_eq!(err(&output).lines().count(), 1, "{}", err(&output));
    }
}

/// A .npy file, version 1.0.
pub(crate) fn npy(path: &Path, descr: &str, fortran: bool, shape: &[usize], bytes: &[u8]) {
    let fortran = if fortran { "True" } else { "False" };
    let shape: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let text =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({}), }}\n", shape.concat());
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    std::fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), bytes].concat()).unwrap();
}

#[test]
fn tensors_give_the_same_results_as_the_texts_that_they_come_from() {
    let place = Place::new(7);
    // The ids that the tokenizer gives, captured as inputs of the model.
    let data = place.text("texts.txt");
    let texts = fmrai(&[
        "capture",
        &model(),
        "--data",
        &data,
        "--batch-size",
        "7",
        "--select",
        "%input_ids",
        "--select",
        "%attention_mask",
        "--output",
        &place.text("ids"),
    ]);
    assert_exit(&texts, 0);
    let folder = ActivationFolder::open(&place.path("ids")).unwrap();
    let mut batch = folder.batch(0).unwrap().unwrap();
    let (samples, ids) = (batch.samples().to_vec(), folder.manifest().tensors.iter().map(|t| t.id).collect());
    let read = batch.read(&ids).unwrap();
    let values = |key: &str| {
        let named = |labels: &[String]| labels.iter().any(|label| label == key);
        let entry = folder.manifest().tensors.iter().find(|t| named(&t.labels)).unwrap();
        let view = read.tensor(entry.id).unwrap().unwrap();
        (view.shape().to_vec(), view.i64().unwrap().to_vec())
    };
    let little = |v: &[i64]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let ((shape, ids), (_, mask)) = (values("%input_ids"), values("%attention_mask"));
    npy(&place.path("ids.npy"), "<i8", false, &shape, &little(&ids));
    // The mask in the other order, and the other byte order.
    let (rows, width) = (shape[0], shape[1]);
    let turned: Vec<u8> =
        (0..rows * width).flat_map(|i| mask[(i % rows) * width + i / rows].to_be_bytes()).collect();
    npy(&place.path("mask.npy"), ">i8", true, &shape, &turned);

    let mut plan = place.plan("texts");
    plan["data"]["batch_size"] = json!(7);
    assert_exit(&place.run("texts", &plan, &[]), 0);
    plan["data"] = json!({
        "type": "tensors",
        "files": { "input_ids": "ids.npy", "attention_mask": "mask.npy" },
        "batch_size": 7
    });
    plan["output"] = json!("tensors");
    assert_exit(&place.run("tensors", &plan, &[]), 0);
    // The order within a batch is that of the texts sorted by length in both, so all files are equal.
    assert_same(&place.path("texts/map"), &place.path("tensors/map"));
    assert_same(&place.path("texts/attention_patterns"), &place.path("tensors/attention_patterns"));
    let counts = json_file(&place.path("tensors/summary.json"))["data"]["counts"].clone();
    let tokens: usize = samples.iter().map(|s| s.token_ids.len()).sum();
    assert_eq!((&counts["texts"], &counts["tokens"]), (&json!(7), &json!(tokens)));

    // Batches of another size give the same within rounding; here that they are read at all.
    let two = fmrai(&[
        "capture",
        &model(),
        "--data",
        &format!("input_ids={}", place.text("ids.npy")),
        "--data",
        &format!("attention_mask={}", place.text("mask.npy")),
        "--batch-size",
        "2",
        "--limit",
        "5",
        "--select",
        "%attention_mask",
        "--output",
        &place.text("two"),
    ]);
    assert_exit(&two, 0);
    let folder = ActivationFolder::open(&place.path("two")).unwrap();
    assert_eq!(folder.manifest().batches.len(), 3);
    let mut last = folder.batch(2).unwrap().unwrap();
    let id = folder.manifest().tensors[0].id;
    let read = last.read(&CaptureRequest::from_iter([id])).unwrap();
    assert_eq!(read.tensor(id).unwrap().unwrap().i64().unwrap(), &mask[4 * width..5 * width]);
}

#[test]
fn tensors_that_do_not_fit_say_what_the_model_takes() {
    let place = Place::new(1);
    let ids = [1i64, 2, 3, 4, 5, 6].map(i64::to_le_bytes).concat();
    npy(&place.path("ids.npy"), "<i8", false, &[2, 3], &ids);
    npy(&place.path("long.npy"), "<i8", false, &[3, 2], &ids);
    npy(&place.path("flat.npy"), "<i8", false, &[6], &ids);
    npy(&place.path("floats.npy"), "<f8", false, &[2, 3], &ids);
    npy(&place.path("short.npy"), "<i8", false, &[3, 3], &ids);
    let cases: [(&[&str], &str); 7] = [
        (
            &["input_ids=ids.npy"],
            "the data have no attention_mask, the model takes input_ids (int64, [1 or more, ",
        ),
        (&["input_ids=ids.npy", "mask=ids.npy"], "the model has no input \"mask\", it takes input_ids"),
        (&["input_ids=ids.npy", "attention_mask=long.npy"], "input_ids has 2 samples, attention_mask has 3"),
        (
            &["input_ids=ids.npy", "attention_mask=flat.npy"],
            "attention_mask is int64 of shape [6], the model takes",
        ),
        (&["input_ids=ids.npy", "attention_mask=floats.npy"], "attention_mask is float64 of shape [2, 3]"),
        (&["input_ids=ids.npy", "attention_mask=short.npy"], "short.npy: truncated or overlong"),
        (&["input_ids=absent.npy", "attention_mask=ids.npy"], "absent.npy: No such file"),
    ];
    for (data, words) in cases {
        let mut arguments = vec!["capture".to_owned(), model()];
        for file in data {
            let (name, file) = file.split_once('=').unwrap();
            arguments.extend(["--data".to_owned(), format!("{name}={}", place.text(file))]);
        }
        arguments.extend(["--select", "%input_ids", "--output"].map(str::to_owned));
        arguments.push(place.text("out"));
        let output = fmrai(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_exit(&output, 2);
        assert!(err(&output).contains(words), "{words:?} is not in {}", err(&output));
        assert!(!place.path("out").exists(), "nothing is left");
    }
}

#[test]
fn files_of_models_are_told_by_what_is_in_them() {
    let place = Place::new(1);
    std::fs::write(place.path("weights.pt"), b"\x80\x02}q\x00.").unwrap();
    let output = fmrai(&["inspect", &place.text("weights.pt")]);
    assert_exit(&output, 2);
    assert!(err(&output).contains("is a pickle of torch.save, which is not read"), "{}", err(&output));

    // The small BERT in other forms, under a name that says nothing.
    for (file, kind, how) in [
        ("model.pt", "(torchscript)", "recorded in one run"),
        ("model.pt2", "(exported_program)", "known without running it"),
    ] {
        std::fs::copy(Path::new(&model()).join(file), place.path("model.bin")).unwrap();
        let output = fmrai(&["inspect", &place.text("model.bin"), "--tokenizer", &model()]);
        assert_exit(&output, 0);
        assert!(out(&output).contains(kind) && out(&output).contains(how), "{}", out(&output));
    }
    // The graph of the program has names of its own.
    let output = fmrai(&["inspect", &place.text("model.bin"), "--select", "attention[0]"]);
    assert_exit(&output, 0);
    assert!(out(&output).contains(" attention[0].context, %"), "{}", out(&output));
}

#[test]
fn paths_are_told_without_detours() {
    let place = Place::new(1);
    std::fs::create_dir(place.path("plans")).unwrap();
    let mut plan = place.plan("../runs/a");
    plan["data"]["path"] = json!("../texts.txt");
    std::fs::write(place.path("plans/p.json"), plan.to_string()).unwrap();
    let output = fmrai(&["check", &place.text("plans/p.json")]);
    assert_exit(&output, 0);
    assert!(!out(&output).contains("/../"), "{}", out(&output));
    assert!(out(&output).contains("runs/a is free"), "{}", out(&output));
}
