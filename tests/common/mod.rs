//! What tests through the real program share: to call it, and to read what it leaves.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

mod contents;
#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use contents::contents;

/// The root of the repository.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Calls the program. What built-in methods find on the data of tests are numbers, or declared gaps.
#[track_caller]
pub(crate) fn fmrai(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_fmrai")).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!told.contains("results that are no numbers"), "{told}");
    output
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(crate) fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", out(output), err(output));
}

/// A model of the references.
pub(crate) fn reference(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/reference/models").join(name).canonicalize().unwrap()
}

/// Sentences that differ in length, one a line.
pub(crate) fn sentences(count: usize) -> String {
    let sentence = |i| format!("The keeper wrote {}in a book.", "the weather ".repeat(i % 5));
    (0..count).map(sentence).collect::<Vec<_>>().join("\n")
}

/// Copies a folder over what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

pub(crate) fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A column of a table in a CSV file, by its name in the header, where a unit may stand behind it.
pub(crate) fn column(file: &Path, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let of = |column: &str| column.split(" (").next() == Some(name);
    let at = lines.next().unwrap().split(',').position(of).unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
}
