//! Files that change: while a run reads them, and after their hash was written down.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fmrai_host::error::{Error, Exit, one_line};
use fmrai_host::plan::{Catalogue, read};
use fmrai_host::run::{Options, Outcome, run};
use serde_json::{Value, json};

use crate::common::{assert_exit, contents, err, fmrai, json_file, reference, sentences};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Runs a plan in this process; `change` is called after the first batch.
    fn run(&self, plan: &Value, change: impl Fn()) -> Result<Outcome, Error> {
        let file = self.write("plan.json", plan.to_string());
        let plan = read(&file, &Catalogue::linked().unwrap()).unwrap();
        let stop = |batches| {
            if batches == 1 {
                change();
            }
            false
        };
        run(plan, &Options { force: true, stop: &stop, ..Options::default() })
    }
}

/// Other bytes in the middle of a file, which stays the same file.
fn overwrite(path: &Path, from: u64, bytes: &[u8]) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

fn plan(model: &Value, data: &Value, output: &str) -> Value {
    json!({
        "format": 1,
        "model": model,
        "data": data,
        "analyses": [{ "type": "attention_patterns" }],
        "output": output
    })
}

#[test]
fn an_archive_is_run_on_as_it_was_hashed_whatever_becomes_of_the_file() {
    for (kind, name) in [("exported_program", "model.pt2"), ("torchscript", "model.pt")] {
        let place = Place::new();
        place.write("texts.txt", sentences(12));
        for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
            std::fs::copy(reference("bert").join(file), place.path(file)).unwrap();
        }
        let original = reference("bert").join(name);
        let copy = place.path(name);
        let bytes = std::fs::read(&original).unwrap();
        let model = json!({ "type": kind, "path": name });
        let data = json!({ "type": "text", "path": "texts.txt", "batch_size": 2 });
        let go = |output: &str, change: &dyn Fn()| {
            std::fs::write(&copy, &bytes).unwrap();
            place.run(&plan(&model, &data, output), change).unwrap();
            contents(&place.path(output).join("attention_patterns"))
        };
        let expected = go("still", &|| ());
        let zeros = vec![0; bytes.len()];
        assert!(go("overwritten", &|| overwrite(&copy, 0, &zeros)) == expected, "{name}");
        assert!(
            go("cut", &|| File::options().write(true).open(&copy).unwrap().set_len(100).unwrap()) == expected
        );
        let summary = json_file(&place.path("cut/summary.json"));
        let file = &summary["model"]["files"][0];
        assert_eq!((file["name"].as_str(), file["bytes"].as_u64()), (Some(name), Some(bytes.len() as u64)));
    }
}

/// A .npy file of int64, version 1.0.
fn npy(shape: &[usize], fortran: bool, values: &[i64]) -> Vec<u8> {
    let shape: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let order = if fortran { "True" } else { "False" };
    let text = format!("{{'descr': '<i8', 'fortran_order': {order}, 'shape': ({}), }}\n", shape.concat());
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), &values].concat()
}

#[test]
fn data_that_change_under_a_run_end_it() {
    let place = Place::new();
    let long = "the keeper wrote in a book ".repeat(80);
    let lines = |line: &dyn Fn(usize) -> String| (0..200).map(line).collect::<Vec<_>>().join("\n");
    place.write("a.txt", lines(&|_| long.clone()));
    place.write("a.jsonl", lines(&|_| json!({ "t": long }).to_string()));
    place.write("a.csv", format!("t\n{}", lines(&|_| long.clone())));
    let rows = 700;
    let ids: Vec<i64> = (0..rows * 8).map(|i| 5 + i64::try_from(i % 7).unwrap()).collect();
    place.write("a.npy", npy(&[rows, 8], false, &ids));
    place.write("b.npy", npy(&[rows, 8], true, &ids));
    place.write("mask.npy", npy(&[rows, 8], false, &vec![1; rows * 8]));
    let text = |kind: &str, more: &Value| {
        let mut data = json!({ "type": kind, "path": format!("a.{kind}"), "batch_size": 1, "max_tokens": 4 });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    let mut words = text("text", &json!({}));
    words["path"] = json!("a.txt");
    let tensors = |file: &str| {
        let files = json!({ "input_ids": file, "attention_mask": "mask.npy", "token_type_ids": "mask.npy" });
        json!({ "type": "tensors", "files": files, "batch_size": 100 })
    };
    let cases = [
        ("a.txt", words),
        ("a.jsonl", text("jsonl", &json!({ "field": "t" }))),
        ("a.csv", text("csv", &json!({ "column": "t" }))),
        ("a.npy", tensors("a.npy")),
        ("b.npy", tensors("b.npy")),
    ];
    let model = json!({ "type": "hf_checkpoint", "path": reference("bert") });
    for (name, data) in cases {
        let path = place.path(name);
        let before = std::fs::read(&path).unwrap();
        let near_the_end = before.len() as u64 - 2000;
        // A letter for a letter, a number for a number: nothing of the form is wrong.
        let change: &[u8] = if path.extension().unwrap() == "npy" { &4i64.to_le_bytes() } else { b"x" };
        let at = if change.len() == 8 {
            near_the_end - near_the_end % 8 + before.len() as u64 % 8
        } else {
            near_the_end
        };
        let outcome = place.run(&plan(&model, &data, "out"), || overwrite(&path, at, change));
        let error = outcome.unwrap_err();
        assert_eq!(error.exit(), Exit::Input);
        let error = one_line(&error);
        assert!(error.contains(name) && error.contains("has changed while it was read"), "{name}: {error}");
        std::fs::write(&path, before).unwrap();
        if change.len() == 8 {
            place.run(&plan(&model, &data, "out"), || ()).unwrap();
        }
    }
}

/// A change of a file's bytes.
type Change<'c> = &'c dyn Fn(&mut Vec<u8>);

#[test]
fn activations_are_what_their_manifest_says_or_an_error() {
    let place = Place::new();
    let texts = place.write("texts.txt", sentences(9)).display().to_string();
    let output = place.path("got").display().to_string();
    let model = reference("bert").display().to_string();
    let arguments =
        ["capture", &model, "--data", &texts, "--select", "attention[*].probabilities", "--output", &output];
    assert_exit(&fmrai(&[&arguments[..], &["--batch-size", "3"]].concat()), 0);
    let stored = json!({
        "format": 1,
        "activations": "got",
        "analyses": [{ "type": "attention_patterns" }],
        "output": "out"
    });
    place.write("stored.json", stored.to_string());
    let plan = place.path("stored.json").display().to_string();
    let go = || fmrai(&["run", &plan, "--threads", "1"]);
    assert_exit(&go(), 0);
    let folder = place.path("got/activations");
    // The lowest byte of the last number of a batch; a letter of a text in its header; a token; the graph.
    let changes: [(&str, Change<'_>); 4] = [
        ("batches/000001.safetensors", &|bytes| {
            let at = bytes.len() - 4;
            bytes[at] ^= 1;
        }),
        ("batches/000001.safetensors", &|bytes| {
            let at = bytes.windows(6).position(|part| part == b"keeper").unwrap();
            bytes[at] = b'K';
        }),
        ("vocabulary.json", &|bytes| {
            let at = bytes.windows(6).position(|part| part == b"[MASK]").unwrap();
            bytes[at + 1] = b'B';
        }),
        ("graph.json", &|bytes| {
            let at = bytes.windows(5).position(|part| part == b"layer").unwrap();
            bytes[at] = b'L';
        }),
    ];
    for (name, change) in changes {
        let path = folder.join(name);
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let output = go();
        assert_exit(&output, 2);
        let text = err(&output);
        assert!(text.contains(name) && text.contains("has changed since it was captured"), "{text}");
        std::fs::write(&path, before).unwrap();
    }
    std::fs::rename(folder.join("vocabulary.json"), place.path("elsewhere")).unwrap();
    let text = err(&go());
    assert!(text.contains("vocabulary.json: is not there, though manifest.json names it"), "{text}");
    std::fs::rename(place.path("elsewhere"), folder.join("vocabulary.json")).unwrap();
    assert_exit(&go(), 0);
}
