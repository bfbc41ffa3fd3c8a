//! Key-value memories from end to end: an exported program, the store, and the questions asked of it; and a store of
//! another analyzer.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{err, fmrai, out, sentences};
use serde_json::{Value, json};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/models/bert/model.pt2");

/// What a command answers.
#[track_caller]
fn answer(arguments: &[&str]) -> String {
    let output = fmrai(arguments);
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

/// The rows of each section of an answer.
#[track_caller]
fn sections(arguments: &[&str]) -> Vec<Vec<Value>> {
    let answer: Value = serde_json::from_str(&answer(&[arguments, &["--json"]].concat())).unwrap();
    let sections = answer["sections"].as_array().unwrap();
    sections.iter().map(|section| section["rows"].as_array().unwrap().clone()).collect()
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
    let asked = ["query", &run, "top", "--layer", "1", "--neuron", "5"];
    let top = answer(&asked);
    assert!(top.starts_with("layer 1 neuron 5\n") && top.contains("its value promotes"), "{top}");
    let mut lines = top.lines().skip_while(|line| !line.starts_with("strongest triggers,"));
    let strongest: Vec<&str> = lines.nth(2).unwrap().split_whitespace().collect();
    assert!((strongest[0].parse::<f64>().unwrap() - coefficient).abs() < 1e-4, "{top}\n{row}");
    assert_eq!(strongest[1], found_in);

    // The same as JSON, with every digit; the statistics are those of the tables.
    let [about, promoted, above, ..] = &sections(&asked)[..] else { panic!("too few sections") };
    assert_eq!(above[0]["coefficient"], json!(coefficient));
    assert_eq!((promoted.len(), above.len()), (10, 4));
    let neurons = read("tables/neurons.csv");
    let row = neurons.lines().find(|line| line.starts_with("1,5,")).unwrap();
    let cells: Vec<f64> = row.split(',').map(|cell| cell.parse().unwrap()).collect();
    assert_eq!(about[0]["mean"], json!(cells[2]));
    assert_eq!(about[0]["standard deviation"], json!(cells[3].sqrt()));
    let two = sections(&[&asked[..], &["--limit", "2"]].concat());
    assert_eq!(two[2], above[..2]);

    // The value that is surest of all promotes its token.
    let predictive = read("tables/most_predictive.csv");
    let cells: Vec<&str> = predictive.lines().nth(1).unwrap().split(',').collect();
    let search = sections(&["query", &run, "search", "--token", cells[3]]);
    let number = |i: usize| json!(cells[i].parse::<i64>().unwrap());
    let first = |row: &Value| row["layer"] == number(0) && row["neuron"] == number(1) && row["place"] == 1;
    assert!(search[1].iter().any(first), "{cells:?} not in\n{search:?}");
}

/// Every question of the analysis has an answer, and says what it can be told.
#[test]
fn all_questions_are_listed_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let list = answer(&["query", &run]);
    for text in [
        "ffn_key_value version 1",
        "top: Shows a neuron",
        "--layer <INTEGER>  The layer, from 0",
        "[default: 10]",
    ] {
        assert!(list.contains(text), "{list}");
    }
    let listed: Value = serde_json::from_str(&answer(&["query", &run, "--json"])).unwrap();
    let questions = listed[0]["questions"].as_array().unwrap();
    let names: Vec<&str> = questions.iter().map(|question| question["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["top", "search", "key-neurons", "memories", "agreement"]);
    let help = answer(&["query", &run, "top", "--help"]);
    assert!(help.contains("The neuron within the layer, from 0"), "{help}");

    let [keys] = &sections(&["query", &run, "key-neurons", "--above", "-1e9", "--limit", "3"])[..] else {
        panic!("one section")
    };
    assert_eq!(keys.len(), 3);
    let z: Vec<f64> = keys.iter().map(|row| row["z"].as_f64().unwrap()).collect();
    assert!(z.is_sorted_by(|a, b| a >= b), "{z:?}");
    assert!(
        answer(&["query", &run, "key-neurons", "--above", "1e9"])
            .contains("neurons with z above 1000000000: none")
    );
    let agreement = answer(&["query", &run, "agreement", "--layer", "2"]);
    assert!(agreement.starts_with("values of layer 2\n"), "{agreement}");
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
    let decoder = Path::new(crate::common::ROOT).join("tests/reference/decoders/gpt2");
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
    let search = |token: &str| answer(&["query", &run, "search", "--token", token]);
    let first = |token: &str| {
        let found = sections(&["query", &run, "search", "--token", token]);
        let row = &found[0][0];
        (row["id"].as_i64().unwrap(), row["token"].clone(), row["in the vocabulary"].clone())
    };
    for typed in ["é", " é"] {
        let found = search(typed);
        let words: Vec<Vec<&str>> = found.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            words[1..4],
            [vec!["id", "token", "in", "the", "vocabulary"], vec!["8", "é", "Ã©"], vec!["9", "é", "ĠÃ©"]]
        );
    }
    assert_eq!(first("Ã©"), (8, json!("é"), json!("Ã©")));
    assert_eq!(first("東"), (15, json!("東"), json!("æĿ±")));
    assert_eq!(first("<0xE6><0x9D>").0, 14);
    assert_eq!(first("x"), (17, json!("x"), Value::Null));
    assert_eq!(first(" "), (10, json!(" "), json!("Ġ")));
    assert!(search(" ").contains("\" \""));
    assert_eq!(first("\n"), (16, json!("\n"), json!("Ċ")));
    assert!(search("\n").contains("\"\\n\""));
    let near = complaint(&["query", &run, "search", "--token", "<0xE6><"]);
    assert!(near.contains("there are <0xE6><0x9D>"), "{near}");
    let top = answer(&["query", &run, "top", "--layer", "1", "--neuron", "5"]);
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
    let neuron = complaint(&["query", &run, "top", "--layer", "1", "--neuron", "5000"]);
    assert!(neuron.contains("layer 1 has the neurons 0 to"), "{neuron}");
    let layer = complaint(&["query", &run, "top", "--layer", "9", "--neuron", "0"]);
    assert!(layer.contains("there are the layers 0 to 2"), "{layer}");
    let token = complaint(&["query", &run, "search", "--token", "xyzzy"]);
    assert!(token.contains("no token \"xyzzy\""), "{token}");
    let missing = complaint(&["query", &run, "top", "--layer", "1"]);
    assert!(missing.contains("--neuron <INTEGER>"), "{missing}");
    let typed = complaint(&["query", &run, "top", "--layer", "one", "--neuron", "1"]);
    assert!(typed.contains("invalid value 'one' for '--layer <INTEGER>'"), "{typed}");
    let question = complaint(&["query", &run, "tpo"]);
    assert!(
        question.contains("there are agreement, key-neurons, memories, search, top, did you mean top?"),
        "{question}"
    );
    let empty = folder.path().to_str().unwrap();
    assert!(complaint(&["query", empty, "top", "--layer", "0", "--neuron", "0"]).contains("no store.sqlite"));
    let no_store = folder.path().join("texts.txt");
    let refused = complaint(&["query", no_store.to_str().unwrap(), "search", "--token", "a"]);
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
    let top = fmrai(&["query", run.to_str().unwrap(), "top", "--layer", "1", "--neuron", "5"]);
    let shown = out(&top);
    assert!(shown.contains("strongest triggers") && shown.contains("[The] kee"), "{shown}");
    assert!(!shown.contains("its value promotes"), "weights are read in the end only: {shown}");
    assert!(err(&top).contains("the run is unfinished"), "{}", err(&top));
}

/// The query that the documentation has: it gives the text back, with a number for every token.
#[test]
fn contexts_are_the_text_around_a_trigger() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let documentation = include_str!("../../docs/ffn-key-value.md");
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

/// A store of an analyzer that the program does not know, as any program may have written it.
fn stranger(path: &Path, questions: &[Value]) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(
            "PRAGMA user_version = 4;
             CREATE TABLE about (name TEXT PRIMARY KEY, about TEXT NOT NULL);
             INSERT INTO about VALUES ('schema', 'circuits'), ('edges', 'an edge');
             CREATE TABLE edges (source TEXT, target TEXT, weight REAL);
             INSERT INTO edges VALUES ('a0', 'b1', 0.25), ('a0', 'b2', NULL), ('a1', 'b2', 0.5);",
        )
        .unwrap();
    if !questions.is_empty() {
        let create = "INSERT INTO about VALUES ('questions', 'a question');
                      CREATE TABLE questions (place INTEGER PRIMARY KEY, name TEXT, question TEXT);";
        database.execute_batch(create).unwrap();
    }
    for question in questions {
        let insert = "INSERT INTO questions (name, question) VALUES (?1, ?2)";
        database.execute(insert, (question["name"].as_str(), question.to_string())).unwrap();
    }
}

#[test]
fn a_store_of_any_analyzer_is_asked_what_it_declares() {
    let folder = tempfile::tempdir().unwrap();
    let question = |name: &str, query: &str| {
        json!({
            "name": name, "about": "Shows where a node leads",
            "parameters": [
                { "name": "node", "type": "text", "about": "The node" },
                { "name": "at_least", "type": "number", "about": "The least weight", "default": 0 }
            ],
            "refusals": ["SELECT 'there is no node ' || :node WHERE :node NOT IN (SELECT source FROM edges)"],
            "sections": [{
                "heading": "edges of {node}", "query": query, "none": "none",
                "columns": [{ "name": "to", "format": "text" }, { "name": "weight", "format": "percent", "digits": 0 }]
            }]
        })
    };
    let edges = "SELECT target, weight FROM edges WHERE source = :node AND coalesce(weight, 1) >= :at_least";
    let deletes = "DELETE FROM edges RETURNING target, weight";
    let misspelt = "SELECT target, wait FROM edges";
    let questions = [question("edges", edges), question("deletes", deletes), question("misspelt", misspelt)];
    for analysis in ["one", "two"] {
        std::fs::create_dir(folder.path().join(analysis)).unwrap();
    }
    let (one, two) = (folder.path().join("one/store.sqlite"), folder.path().join("two/store.sqlite"));
    stranger(&one, &questions);
    stranger(&two, &[]);
    let before = std::fs::read(&one).unwrap();
    let run = folder.path().to_str().unwrap();

    let list = answer(&["query", run]);
    for text in
        ["(circuits version 4)", "--at-least <NUMBER>  The least weight [default: 0]", "holds no questions"]
    {
        assert!(list.contains(text), "{list}");
    }
    let shown = answer(&["query", run, "edges", "--node", "a0"]);
    assert_eq!(shown, "edges of a0\n  to  weight\n  b1    25 %\n  b2       –\n");
    let rows = sections(&["query", run, "edges", "--node", "a0", "--at-least", "0.5"]);
    assert_eq!(rows, [[json!({ "to": "b2", "weight": null })]]);
    assert!(complaint(&["query", run, "edges", "--node", "c"]).contains("error: there is no node c"));
    let deletes = complaint(&["query", run, "deletes", "--node", "a0"]);
    assert!(
        deletes.contains("question \"deletes\", section \"edges of {node}\": not authorized"),
        "{deletes}"
    );
    let misspelt = complaint(&["query", run, "misspelt", "--node", "a0"]);
    assert!(
        misspelt.contains("question \"misspelt\"") && misspelt.contains("no such column: wait"),
        "{misspelt}"
    );
    assert_eq!(std::fs::read(&one).unwrap(), before);

    let silent = complaint(&["query", two.to_str().unwrap(), "edges", "--node", "a0"]);
    assert!(silent.contains("holds no questions (circuits version 4)"), "{silent}");
    std::fs::remove_file(&two).unwrap();
    stranger(&two, &questions);
    let several = complaint(&["query", run, "edges", "--node", "a0"]);
    assert!(several.contains("several stores answer edges, name one: "), "{several}");
    assert!(answer(&["query", two.to_str().unwrap(), "edges", "--node", "a1"]).contains("b2"));
    std::fs::remove_file(&two).unwrap();
    stranger(&two, &[json!({ "name": "edges" })]);
    let unread = complaint(&["query", run]);
    assert!(unread.contains("a question of it cannot be read: missing field"), "{unread}");
}
