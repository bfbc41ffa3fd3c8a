//! Key-value memories from end to end: an exported program, the store, and the questions asked of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{err, fmrai, out, sentences};
use serde_json::{Value, json};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/models/bert/model.pt2");

/// What a command answers.
#[track_caller]
fn answer(arguments: &[&str]) -> String {
    let output = fmrai(arguments);
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

/// What a command complains of.
#[track_caller]
fn complaint(arguments: &[&str]) -> String {
    let output = fmrai(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", out(&output));
    err(&output)
}

/// Runs the analysis on texts that differ in length.
fn run(folder: &Path) -> String {
    answer(&["run", plan(folder, 20).to_str().unwrap()]);
    folder.join("out").to_str().unwrap().to_owned()
}

/// A plan over so many texts, with a checkpoint after every batch.
fn plan(folder: &Path, texts: usize) -> PathBuf {
    std::fs::write(folder.join("texts.txt"), sentences(texts)).unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "exported_program", "path": MODEL },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 6 },
        "analyses": [{ "type": "ffn_key_value", "name": "memories", "triggers": 4, "tied_embedding": true }],
        "checkpoint_seconds": 0,
        "output": "out"
    });
    let file = folder.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    file
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

/// A decoder whose tokens are bytes, in the alphabet of GPT-2.
fn byte_level(folder: &Path) -> String {
    let tokens = [
        "<pad>", "<s>", "</s>", "c", "a", "f", "Ã", "©", "Ã©", "ĠÃ©", "Ġ", "æ", "Ŀ", "±", "æĿ", "æĿ±", "Ċ",
        "x", ".",
    ];
    let vocabulary: serde_json::Map<_, _> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                   "vocab": vocabulary, "merges": ["Ã ©", "Ġ Ã©", "æ Ŀ", "æĿ ±"] }
    });
    let decoder = Path::new(common::ROOT).join("tests/reference/decoders/gpt2");
    let model = folder.join("model");
    std::fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(decoder.join(file), model.join(file)).unwrap();
    }
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(folder.join("texts.txt"), "café é 東\nfa é.caf\n東ca\n").unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": "model" },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 2 },
        "analyses": [{ "type": "ffn_key_value", "name": "memories", "triggers": 4, "top_tokens": 44 }],
        "output": "out"
    });
    std::fs::write(folder.join("plan.json"), plan.to_string()).unwrap();
    answer(&["run", folder.join("plan.json").to_str().unwrap()]);
    folder.join("out").to_str().unwrap().to_owned()
}

/// What a person reads is text, and what a person types is found.
#[test]
fn byte_level_tokens_are_shown_and_found_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let run = byte_level(folder.path());
    let search = |token: &str| answer(&["kv", "search", &run, "--token", token]);
    for typed in ["é", " é"] {
        let found = search(typed);
        assert!(found.contains("é (token 8, in the vocabulary Ã©)"), "{found}");
        assert!(found.contains("é (token 9, in the vocabulary ĠÃ©)"), "{found}");
    }
    assert!(search("Ã©").starts_with("é (token 8, in the vocabulary Ã©)"));
    assert!(search("東").starts_with("東 (token 15, in the vocabulary æĿ±)"));
    assert!(search("<0xE6><0x9D>").starts_with("<0xE6><0x9D> (token 14, "));
    assert!(search(" ").starts_with("\" \" (token 10, in the vocabulary Ġ)"));
    assert!(search("\n").starts_with("\"\\n\" (token 16, in the vocabulary Ċ)"));
    let near = complaint(&["kv", "search", &run, "--token", "<0xE6><"]);
    assert!(near.contains("there are <0xE6><0x9D>"), "{near}");
    let top = answer(&["kv", "top", &run, "--layer", "1", "--neuron", "5"]);
    assert!(top.contains("é") && top.contains("東") && !top.contains(['Ã', 'Ġ', '±']), "{top}");

    let database = rusqlite::Connection::open(Path::new(&run).join("memories/store.sqlite")).unwrap();
    let surface = |id: i64| -> String {
        database.query_row("SELECT surface FROM tokens WHERE token = ?1", [id], |r| r.get(0)).unwrap()
    };
    assert_eq!([8, 9, 15, 13, 16].map(surface), ["é", "é", "東", "<0xB1>", "\n"]);
    for file in ["tables/agreement.csv", "tables/most_predictive.csv", "figures/memory_cards.json"] {
        let text = std::fs::read_to_string(Path::new(&run).join("memories").join(file)).unwrap();
        assert!(!text.contains(['Ã', 'Ġ', 'Ċ', 'æ']), "{file}");
        assert!(text.contains("é") && text.contains("東"), "{file}");
    }
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

#[test]
fn a_killed_run_leaves_a_store_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 30_000);
    let run = folder.path().join("out");
    let store = run.join(".checkpoint/memories.sqlite");
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_fmrai")).args(["run", plan.to_str().unwrap()]).spawn().unwrap();
    while !store.is_file() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(store.is_file(), "it ended without a checkpoint");
    assert!(!run.join("summary.json").exists(), "it was not killed in the middle");
    let top = fmrai(&["kv", "top", run.to_str().unwrap(), "--layer", "1", "--neuron", "5"]);
    let shown = out(&top);
    assert!(shown.contains("strongest triggers") && shown.contains("keeper"), "{shown}");
    assert!(!shown.contains("its value promotes"), "weights are read in the end only: {shown}");
    assert!(err(&top).contains("the run is unfinished"), "{}", err(&top));
}

/// The query that the documentation has: it gives the text back, with a number for every token.
#[test]
fn contexts_are_the_text_around_a_trigger() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let documentation = include_str!("../docs/ffn-key-value.md");
    let query = documentation.split("token by token\n").nth(1).unwrap().split(';').next().unwrap();
    let query = query.replace("layer = 3", "layer = 2"); // this model has three
    let database = rusqlite::Connection::open(Path::new(&run).join("memories/store.sqlite")).unwrap();
    let query = query.replacen("SELECT shown", "SELECT w.position = t.position, shown", 1);
    let mut rows = database.prepare(&query).unwrap();
    let rows = rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).unwrap();
    let rows: Vec<(bool, String, f64)> = rows.map(Result::unwrap).collect();
    let sentence: String = rows.iter().map(|(_, shown, _)| shown.as_str()).collect();
    assert!(sentence.contains("The keeper wrote"), "{sentence}");
    let trigger =
        "SELECT coefficient FROM triggers WHERE layer = 2 AND neuron = 17 AND sign = 1 AND rank = 0";
    let trigger: f64 = database.query_row(trigger, [], |r| r.get(0)).unwrap();
    let at_trigger: Vec<f32> = rows.iter().filter(|row| row.0).map(|row| row.2 as f32).collect();
    assert_eq!(at_trigger, [trigger as f32]);
}
