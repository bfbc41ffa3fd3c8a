//! Paths that are no text, and texts that are no paths.

#![cfg(unix)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::common::{assert_exit, err, out, reference, sentences};

/// A folder whose name is not UTF-8, with a model, texts and a plan.
fn strange() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(reference("bert"), folder.join("model")).unwrap();
    std::fs::copy(reference("bert").join("model.pt2"), folder.join("model.pt2")).unwrap();
    std::fs::copy(reference("bert").join("model.pt"), folder.join("model.pt")).unwrap();
    std::fs::copy(reference("bert").join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    std::fs::write(folder.join("texts.txt"), sentences(3)).unwrap();
    (place, folder)
}

fn fmrai(folder: &Path, arguments: &[&OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fmrai")).args(arguments).current_dir(folder).output().unwrap()
}

fn plan(folder: &Path, name: &str, model: &str, kind: &str) -> PathBuf {
    let plan = json!({
        "format": 1,
        "model": { "type": kind, "path": model },
        "data": { "type": "text", "path": "texts.txt" },
        "capture": { "select": ["attention[0].probabilities"] },
        "analyses": [{ "type": "attention_patterns" }],
        "output": format!("out-{name}")
    });
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, plan.to_string()).unwrap();
    file
}

#[test]
fn plans_run_in_folders_whose_names_are_not_utf_8() {
    let (_place, folder) = strange();
    let models = [
        ("hf", "model", "hf_checkpoint"),
        ("program", "model.pt2", "exported_program"),
        ("script", "model.pt", "torchscript"),
    ];
    for (name, model, kind) in models {
        let file = plan(&folder, name, model, kind);
        for command in ["check", "run"] {
            let output = fmrai(Path::new("/"), &[command.as_ref(), file.as_os_str()]);
            assert_exit(&output, 0);
        }
        assert!(folder.join(format!("out-{name}/attention_patterns/summary.json")).is_file());
    }
    // Activations in such a folder, read from a plan elsewhere in it.
    let stored = json!({
        "format": 1,
        "activations": "out-hf",
        "analyses": [{ "type": "attention_patterns" }],
        "output": "again"
    });
    let file = folder.join("stored.json");
    std::fs::write(&file, stored.to_string()).unwrap();
    let output = fmrai(Path::new("/"), &["run".as_ref(), file.as_os_str()]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", err(&output));
}

#[test]
fn no_path_on_the_command_line_is_a_bug_of_the_program() {
    let (_place, folder) = strange();
    let plan = plan(&folder, "plan", "model", "hf_checkpoint");
    let bad = OsStr::from_bytes(b"\xff\xfe");
    let picture = OsStr::from_bytes(b"\xff\xfe.dot"); // the other name becomes a folder
    let within = |name: &str| folder.join(name).into_os_string();
    let (model, program, texts) = (within("model"), within("model.pt2"), within("texts.txt"));
    let [select, data, output] = ["--select", "--data", "--output"].map(OsStr::new);
    let first = OsStr::new("attention[0].probabilities");
    let local = OsStr::new("texts.txt");
    let cases: Vec<Vec<&OsStr>> = vec![
        vec!["run".as_ref(), bad],
        vec!["run".as_ref(), plan.as_os_str(), output, bad],
        vec!["check".as_ref(), bad],
        vec!["capture".as_ref(), &model, data, local, select, first, output, "captured".as_ref()],
        vec!["capture".as_ref(), &program, data, local, select, first, output, bad],
        vec!["capture".as_ref(), "model".as_ref(), data, &texts, select, first, output, bad],
        vec!["capture".as_ref(), "model".as_ref(), data, local, select, first, output, bad],
        vec!["capture".as_ref(), plan.as_os_str(), data, local, select, first, output, bad],
        vec!["inspect".as_ref(), &model],
        vec!["inspect".as_ref(), &program],
        vec!["inspect".as_ref(), "model".as_ref(), "--tokenizer".as_ref(), bad],
        vec!["inspect".as_ref(), "model.pt2".as_ref(), "--tokenizer".as_ref(), bad],
        vec!["inspect".as_ref(), plan.as_os_str()],
        vec!["inspect".as_ref(), bad, "--dot".as_ref(), bad, "--json".as_ref(), bad],
        vec!["inspect".as_ref(), "model".as_ref(), "--dot".as_ref(), picture],
        vec!["generate".as_ref(), &model, "--prompt".as_ref(), "a".as_ref()],
        vec!["analyzers".as_ref(), "--plugin".as_ref(), bad],
        vec!["run".as_ref(), plan.as_os_str(), "--plugin-dir".as_ref(), bad],
        vec!["plugin".as_ref(), "check".as_ref(), bad],
        vec!["plugin".as_ref(), "new".as_ref(), "mine".as_ref(), "--folder".as_ref(), bad],
        vec!["query".as_ref(), bad],
        vec!["query".as_ref(), bad, "top".as_ref()],
        vec!["query".as_ref(), "out".as_ref(), "top".as_ref(), bad],
    ];
    for case in cases {
        let output = fmrai(&folder, &case);
        let said = format!("{case:?}: {} {}", out(&output), err(&output));
        assert!(matches!(output.status.code(), Some(0..=2)), "{said}");
        assert!(!said.contains("panicked") && !said.contains("internal error"), "{said}");
    }
}

#[test]
fn a_nul_in_a_path_of_a_plan_is_a_mistake_of_the_plan() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("texts.txt"), sentences(3)).unwrap();
    let model = reference("bert");
    let good = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": model },
        "data": { "type": "text", "path": "texts.txt" },
        "analyses": [{ "type": "attention_patterns" }],
        "output": "out"
    });
    let bad = "a\0b";
    let changes = [
        ("output", vec!["output"], json!(bad)),
        ("model.path", vec!["model", "path"], json!(bad)),
        (
            "model.tokenizer",
            vec!["model"],
            json!({ "type": "torchscript", "path": "texts.txt", "tokenizer": bad }),
        ),
        ("data.path", vec!["data", "path"], json!(bad)),
        ("data.files.x", vec!["data"], json!({ "type": "tensors", "files": { "x": bad } })),
        ("plugins[0].path", vec!["plugins"], json!([{ "path": bad }])),
    ];
    for (told, at, value) in changes {
        let mut plan = good.clone();
        *at.iter().fold(&mut plan, |part, field| &mut part[*field]) = value;
        for command in ["check", "run"] {
            let file = place.path().join("plan.json");
            std::fs::write(&file, plan.to_string()).unwrap();
            let output = fmrai(place.path(), &[command.as_ref(), file.as_os_str()]);
            assert_exit(&output, 2);
            let text = err(&output);
            assert!(text.contains(&format!("{told}: has a NUL character in it")), "{told}: {text}");
            assert!(text.contains("1 mistake\n"), "{told}: {text}");
        }
    }
}
