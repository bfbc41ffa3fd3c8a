//! Pairs of texts as data: a run through the program, and the example that makes them for a tokenizer.

#[path = "../../fmrai-host/examples/make_pairs/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod make_pairs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fmrai_core::activations::ActivationFolder;
use fmrai_core::batch::PairRole;
use fmrai_torch::text::Tokenizer;
use make_pairs::{Known, Options, run};
use serde_json::{Value, json};

use crate::common::{ROOT, assert_exit, err, fmrai, json_file, reference};

/// Runs `attention_patterns` on pairs and keeps what it reads of the first block.
fn run_on(pairs: &str, folder: &Path) -> std::process::Output {
    std::fs::write(folder.join("pairs.jsonl"), pairs).unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference("bert") },
        "data": { "type": "pairs", "path": "pairs.jsonl", "batch_size": 2 },
        "analyses": [{ "type": "attention_patterns" }],
        "capture": { "select": ["attention[0].probabilities"] },
        "output": "out"
    });
    let file = folder.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    fmrai(&["run", file.to_str().unwrap()])
}

#[test]
fn an_analysis_that_observes_runs_on_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let pair = |i: usize| {
        let start = "it is ".repeat(3 - i);
        let texts = ["book", "table"].map(|thing| format!("{start}the man sells a {thing} to the"));
        json!({ "clean": texts[0], "corrupted": texts[1], "answer": " farmer", "marks": { "thing": "book" } })
    };
    let lines: Vec<String> = (0..3).map(|i| pair(i).to_string()).collect();
    let output = run_on(&lines.join("\n"), folder.path());
    assert_exit(&output, 0);
    let out = folder.path().join("out");
    let told = json_file(&out.join("attention_patterns/summary.json"));
    assert_eq!(told["summary"]["texts"], 6, "{told}");

    // What was captured knows its pair.
    let stored = ActivationFolder::open(&out.join("activations")).unwrap();
    let mut samples = Vec::new();
    for index in 0..2 {
        samples.extend(stored.batch(index).unwrap().unwrap().samples().to_vec());
    }
    let ids: Vec<u64> = samples.iter().map(|sample| sample.id).collect();
    assert_eq!(ids, [4, 5, 2, 3, 0, 1]);
    let roles: Vec<PairRole> = samples.iter().map(|sample| sample.pair.as_ref().unwrap().role).collect();
    assert_eq!(roles, [PairRole::Clean, PairRole::Corrupted].repeat(3));
    assert_eq!(samples[5].pair.as_ref().unwrap().marks["thing"], 11..12);
}

#[test]
fn a_pair_that_cannot_be_read_ends_the_run_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = json!({ "clean": "the man", "corrupted": "the way", "answer": " is" });
    let bad = json!({ "clean": "the man", "corrupted": "the way", "answer": " home river" });
    let output = run_on(&format!("{good}\n{bad}\n"), folder.path());
    assert_exit(&output, 2);
    let said =
        "pairs.jsonl:2: field \"answer\": \" home river\" is 2 tokens, \"home\", \"river\", one is needed";
    assert!(err(&output).contains(said), "{}", err(&output));
}

/// A tokenizer that knows every word of the example but those, and cuts years into century and rest.
fn tokenizer(folder: &Path, without: &[&str]) -> PathBuf {
    let sources = ["agreement", "greater_than", "ioi"].map(|name| {
        let file = Path::new(ROOT).join(format!("fmrai-host/examples/make_pairs/{name}.rs"));
        std::fs::read_to_string(file).unwrap()
    });
    let words: BTreeSet<&str> =
        sources.iter().flat_map(|s| s.split(|c: char| !c.is_ascii_alphabetic())).collect();
    let words =
        words.into_iter().filter(|word| !word.is_empty() && !without.contains(word)).map(str::to_owned);
    let years = (0..100).map(|year| format!("##{year:02}"));
    let centuries = (11..19).map(|century| century.to_string());
    let known = ["[UNK]", ",", "."].map(str::to_owned).into_iter().chain(words).chain(years).chain(centuries);
    let vocabulary: serde_json::Map<String, Value> =
        known.enumerate().map(|(id, token)| (token, json!(id))).collect();
    let json = json!({
        "version": "1.0",
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "model": {
            "type": "WordPiece", "vocab": vocabulary, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100
        }
    });
    let file = folder.join("tokenizer.json");
    std::fs::write(&file, json.to_string()).unwrap();
    file
}

/// The pairs that are made, and what is told.
fn made(tokenizer: &Path, task: Known, pairs: u32, seed: u64) -> Result<(Vec<Value>, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pairs.jsonl");
    let mut told = Vec::new();
    let options = Options { tokenizer: tokenizer.to_owned(), task, pairs, seed, out: out.clone() };
    let result = run(&options, &mut |line| told.push(line));
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    match result {
        Ok(()) => assert_eq!(files, ["pairs.jsonl"]),
        Err(error) => {
            assert!(files.is_empty(), "{files:?}");
            return Err(error.to_string());
        }
    }
    let lines = std::fs::read_to_string(out).unwrap();
    Ok((lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), told))
}

/// What the marks of a pair stand for in one of its texts.
fn marked(tokenizer: &Tokenizer, pair: &Value, text: &str) -> Vec<(String, String)> {
    let text = pair[text].as_str().unwrap();
    let offsets = tokenizer.encode(text, None).unwrap().offsets;
    let marks = pair["marks"].as_object().unwrap().iter();
    let of = |(name, ends): (&String, &Value)| {
        let [start, end]: [usize; 2] = serde_json::from_value(ends.clone()).unwrap();
        (name.clone(), text[offsets[start].start..offsets[end - 1].end].to_owned())
    };
    marks.map(of).collect()
}

#[test]
fn pairs_of_known_tasks_are_made_for_a_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let file = tokenizer(folder.path(), &["Mary", "teachers", "siege"]);
    let tokens = Tokenizer::read(folder.path(), u32::MAX, None).unwrap();
    for task in [Known::Ioi, Known::GreaterThan, Known::Agreement] {
        let (pairs, told) = made(&file, task, 50, 3).unwrap();
        assert_eq!(pairs.len(), 50, "{task:?}");
        assert_eq!(
            pairs,
            made(folder.path(), task, 50, 3).unwrap().0,
            "the same seed, the folder in place of the file"
        );
        assert_ne!(pairs, made(&file, task, 50, 4).unwrap().0, "another seed");
        let clean: BTreeSet<&str> = pairs.iter().map(|pair| pair["clean"].as_str().unwrap()).collect();
        assert_eq!(clean.len(), 50);
        let left_out = match task {
            Known::Ioi => "left out, since the tokenizer splits them otherwise: 1 names (Mary)",
            Known::GreaterThan => "left out, since the tokenizer splits them otherwise: 1 events (siege)",
            Known::Agreement => {
                "left out, since the tokenizer splits them otherwise: 1 nouns (teacher/teachers)"
            }
        };
        assert_eq!(told[0], left_out);
        for pair in &pairs {
            let [clean, corrupted] = ["clean", "corrupted"].map(|text| marked(&tokens, pair, text));
            let of = |marks: &[(String, String)], name: &str| {
                marks.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{pair}: no {name}")).1.clone()
            };
            match task {
                Known::Ioi => {
                    let (subject, other) = (of(&clean, "subject"), of(&clean, "indirect_object"));
                    assert_eq!(pair["answer"], format!(" {other}"));
                    assert_eq!(pair["wrong"], format!(" {subject}"));
                    assert_eq!(of(&clean, "subject_again"), subject);
                    assert_eq!(of(&corrupted, "subject_again"), other);
                }
                Known::GreaterThan => {
                    let start = of(&clean, "start_year");
                    let years =
                        |field: &str| -> Vec<String> { serde_json::from_value(pair[field].clone()).unwrap() };
                    assert!(years("answer").iter().all(|year| *year > start), "{pair}");
                    assert!(years("wrong").iter().all(|year| *year <= start), "{pair}");
                    assert_eq!(years("answer").len() + years("wrong").len(), 100);
                    assert_eq!(of(&corrupted, "start_year"), "01");
                }
                Known::Agreement => {
                    let several = of(&clean, "subject").ends_with('s');
                    assert_ne!(of(&clean, "subject"), of(&corrupted, "subject"));
                    assert_eq!(of(&clean, "distractor"), of(&corrupted, "distractor"));
                    let expected = if several { " are" } else { " is" };
                    assert_eq!(pair["answer"][0], expected, "{pair}");
                }
            }
        }
    }
}

#[test]
fn a_tokenizer_that_splits_the_words_is_told() {
    for (task, what) in [
        (Known::Ioi, "too few names are left: 0, at least 4 are needed; the tokenizer splits the others"),
        (
            Known::GreaterThan,
            "too few events are left: 0, at least 2 are needed; the tokenizer splits the others",
        ),
    ] {
        assert_eq!(made(&reference("roberta"), task, 10, 0).unwrap_err(), what);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = tokenizer(folder.path(), &[]);
    let error = made(&file, Known::Agreement, 200_000, 0).unwrap_err();
    assert!(error.starts_with("--pairs is 200000, no more than "), "{error}");
    let error = made(&folder.path().join("absent"), Known::Ioi, 1, 0).unwrap_err();
    assert!(error.ends_with("absent: is neither a folder nor a tokenizer.json"), "{error}");

    let real = Path::new(ROOT).join(".fmrai/models/all-MiniLM-L6-v2");
    if !real.is_dir() {
        println!("skipped: {} is not there", real.display());
        return;
    }
    for task in [Known::Ioi, Known::Agreement] {
        assert_eq!(made(&real, task, 200, 0).unwrap().0.len(), 200);
    }
    let error = made(&real, Known::GreaterThan, 10, 0).unwrap_err();
    assert!(error.starts_with("too few centuries with one token for the year 01 "), "{error}");
}
