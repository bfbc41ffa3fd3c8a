//! Key-value memories from end to end: an exported program, the store, and the questions asked of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/models/bert/model.pt2");

fn fmrai(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fmrai")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command answers.
#[track_caller]
fn answer(arguments: &[&str]) -> String {
    let output = fmrai(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command complains of.
#[track_caller]
fn complaint(arguments: &[&str]) -> String {
    let output = fmrai(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    text(&output.stderr)
}

/// Runs the analysis on texts that differ in length.
fn run(folder: &Path) -> String {
    let texts: Vec<String> =
        (0..20).map(|i| format!("The keeper wrote {}in a book.", "the weather ".repeat(i % 5))).collect();
    std::fs::write(folder.join("texts.txt"), texts.join("\n")).unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "exported_program", "path": MODEL },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 6 },
        "analyses": [{ "type": "ffn_key_value", "name": "memories", "triggers": 4, "tied_embedding": true }],
        "output": "out"
    });
    let file = folder.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    answer(&["run", file.to_str().unwrap()]);
    folder.join("out").to_str().unwrap().to_owned()
}

#[test]
fn a_store_answers_what_the_tables_say() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let read = |file: &str| std::fs::read_to_string(Path::new(&run).join("memories").join(file)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(summary["summary"]["layers"], 3);
    assert_eq!(summary["summary"]["left_out"], json!([]));
    assert_eq!(summary["store"]["schema"], "ffn_key_value");

    // The strongest trigger of layer 1, neuron 5, as the table has it.
    let triggers = read("tables/triggers.csv");
    let row = triggers.lines().find(|line| line.starts_with("1,5,1,0,")).unwrap();
    let cells: Vec<&str> = row.split(',').collect();
    let (found_in, coefficient) = (cells[4], cells[7].parse::<f64>().unwrap());
    let top = answer(&["kv", "top", &run, "--layer", "1", "--neuron", "5"]);
    assert!(top.contains("its value promotes"), "{top}");
    let mut lines = top.lines().skip_while(|line| !line.starts_with("strongest triggers:"));
    let strongest: Vec<&str> = lines.nth(1).unwrap().split_whitespace().collect();
    assert!((strongest[0].parse::<f64>().unwrap() - coefficient).abs() < 1e-4, "{top}\n{row}");
    assert_eq!(strongest[1], found_in);

    // The value that is surest of all promotes its token.
    let predictive = read("tables/most_predictive.csv");
    let cells: Vec<&str> = predictive.lines().nth(1).unwrap().split(',').collect();
    let token = cells[3];
    let search = answer(&["kv", "search", &run, "--token", token]);
    let first = format!("layer {} neuron {}, place 1", cells[0], cells[1]);
    assert!(search.contains(&first), "{first} not in\n{search}");
}

#[test]
fn wrong_questions_are_told_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let neuron = complaint(&["kv", "top", &run, "--layer", "1", "--neuron", "5000"]);
    assert!(neuron.contains("layer 1 has the neurons 0 to"), "{neuron}");
    let layer = complaint(&["kv", "top", &run, "--layer", "9", "--neuron", "0"]);
    assert!(layer.contains("there are the layers 0 to 2"), "{layer}");
    let token = complaint(&["kv", "search", &run, "--token", "xyzzy"]);
    assert!(token.contains("no token \"xyzzy\""), "{token}");
    let empty = folder.path().to_str().unwrap();
    assert!(complaint(&["kv", "top", empty, "--layer", "0", "--neuron", "0"]).contains("no store.sqlite"));
    let no_store = folder.path().join("texts.txt");
    let refused = complaint(&["kv", "search", no_store.to_str().unwrap(), "--token", "a"]);
    assert!(refused.contains("texts.txt"), "{refused}");
}
