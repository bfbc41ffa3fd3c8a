//! Changed results: stored activations, checkpoints of unfinished runs, stores that `fmrai query` reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fmrai_host::error::Error;
use fmrai_host::plan::{Catalogue, read};
use fmrai_host::run::{Options, Outcome, run};
use serde_json::{Value, json};

use super::common::{contents, err, fmrai, reference, sentences};
use super::mutate::{Random, bytes, json as changed, safetensors};
use super::trial::{assert_in_words, cases};

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A folder with texts.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_texts(folder.path());
    folder
}

fn write_texts(folder: &Path) {
    std::fs::write(folder.join("texts.txt"), sentences(12)).unwrap();
}

fn live(analyses: &Value) -> Value {
    json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference("bert") },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 3 },
        "analyses": analyses,
        "checkpoint_seconds": 0,
        "output": "out"
    })
}

/// Runs a plan, up to a batch.
fn execute(
    folder: &Path,
    plan: &Value,
    output: &Path,
    resume: bool,
    stop_after: u64,
) -> Result<Outcome, Error> {
    let file = folder.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let mut plan = read(&file, &Catalogue::linked().unwrap())?;
    plan.output = output.to_owned();
    run(plan, &Options { resume, force: false, stop: &|batches| batches >= stop_after, ..Options::default() })
}

fn copy(files: &Files, to: &Path) {
    for (name, content) in files {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// The content of a file, changed in the way of its kind.
fn another(random: &mut Random, name: &Path, content: &[u8]) -> Vec<u8> {
    match name.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors") => safetensors(random, content),
        Some("json") => changed(random, std::str::from_utf8(content).unwrap()),
        _ => bytes(random, content),
    }
}

fn chosen(random: &mut Random, files: &Files) -> PathBuf {
    let names: Vec<&PathBuf> = files.keys().collect();
    (*random.one_of(&names)).clone()
}

/// The outcome has to be an error, or the files that are expected; an analysis that failed says why.
fn assert_refused_or_same(outcome: &Result<Outcome, Error>, output: &Path, expected: &Files, changed: &str) {
    match outcome {
        Err(error) => assert_in_words(&error.to_string()),
        Ok(outcome) => {
            let mut failed = false;
            for (name, answer) in &outcome.analyses {
                if let Err(failure) = answer {
                    assert_in_words(&format!("{name}: {failure:?}"));
                    failed = true;
                }
            }
            if failed {
                return;
            }
            let found = contents(output);
            for (name, content) in expected {
                let same = found.get(name) == Some(content);
                assert!(same, "{changed} was changed, and {} is silently another", name.display());
            }
        }
    }
}

fn of_analyses(files: Files) -> Files {
    files
        .into_iter()
        .filter(|(name, _)| name.components().count() > 1 && !name.starts_with("activations"))
        .collect()
}

/// A capture, and what an analysis of it gives.
pub(crate) fn captured() -> &'static (Files, Files) {
    static FILES: OnceLock<(Files, Files)> = OnceLock::new();
    FILES.get_or_init(|| {
        let place = place();
        let folder = place.path();
        let mut plan = live(&json!([]));
        plan["capture"] = json!({ "select": ["attention[*].probabilities"] });
        execute(folder, &plan, &folder.join("live"), false, u64::MAX).unwrap();
        let activations = contents(&folder.join("live/activations"));
        execute(folder, &analysed("live"), &folder.join("out"), false, u64::MAX).unwrap();
        let results = of_analyses(contents(&folder.join("out")));
        (activations, results)
    })
}

fn analysed(from: &str) -> Value {
    json!({
        "format": 1,
        "activations": from,
        "analyses": [{ "type": "attention_patterns" }],
        "output": "out"
    })
}

/// Batches and graph have a hash in the manifest; the manifest itself has none, so what it says is believed.
#[test]
fn changed_activations_are_analysed_or_refused() {
    let (activations, results) = captured();
    cases("activations", 16, move |random, folder| {
        let name = chosen(random, activations);
        copy(activations, &folder.join("live"));
        let new = another(random, &name, &activations[&name]);
        std::fs::write(folder.join("live").join(&name), new).unwrap();
        let outcome = execute(folder, &analysed("live"), &folder.join("out"), false, u64::MAX);
        let expected = if name.starts_with("batches") { results.clone() } else { Files::new() };
        assert_refused_or_same(&outcome, &folder.join("out"), &expected, &name.display().to_string());
    });
}

fn unfinished_plan() -> Value {
    live(
        &json!([{ "type": "attention_patterns" }, { "type": "ffn_key_value", "name": "memories", "triggers": 3, "tied_embedding": true }]),
    )
}

/// A run after two of four batches, and the files of the whole.
pub(crate) fn unfinished() -> &'static (Files, Files) {
    static FILES: OnceLock<(Files, Files)> = OnceLock::new();
    FILES.get_or_init(|| {
        let place = place();
        let folder = place.path();
        execute(folder, &unfinished_plan(), &folder.join("whole"), false, u64::MAX).unwrap();
        execute(folder, &unfinished_plan(), &folder.join("part"), false, 2).unwrap_err();
        let (part, whole) = (contents(&folder.join("part")), of_analyses(contents(&folder.join("whole"))));
        assert!(part.keys().any(|name| name.starts_with(".checkpoint")), "{:?}", part.keys());
        (part, whole)
    })
}

#[test]
fn changed_checkpoints_of_runs_are_resumed_to_the_same_or_refused() {
    let (part, whole) = unfinished();
    cases("resume", 10, move |random, folder| {
        let states: Files = part
            .iter()
            .filter(|(name, _)| name.starts_with(".checkpoint"))
            .map(|(n, c)| (n.clone(), c.clone()))
            .collect();
        let name = chosen(random, &states);
        let output = folder.join("part");
        copy(part, &output);
        std::fs::write(output.join(&name), another(random, &name, &part[&name])).unwrap();
        write_texts(folder);
        let outcome = execute(folder, &unfinished_plan(), &output, true, u64::MAX);
        assert_refused_or_same(&outcome, &output, whole, &name.display().to_string());
    });
}

/// Through the program: exit codes are those of the documents, so no panic (101) and no signal.
#[test]
fn changed_stores_answer_or_are_refused() {
    let (_, whole) = unfinished();
    cases("stores", 12, move |random, folder| {
        let output = folder.join("out");
        copy(whole, &output);
        let store =
            whole.keys().find(|name| name.extension().is_some_and(|ending| ending == "sqlite")).unwrap();
        let summary = PathBuf::from("memories/summary.json");
        let name = if random.once_in(4) { &summary } else { store };
        std::fs::write(output.join(name), another(random, name, &whole[name])).unwrap();
        let output = output.to_str().unwrap();
        let questions: [&[&str]; 3] = [
            &["query", output, "top", "--layer", "1", "--neuron", "5"],
            &["query", output, "search", "--token", "the"],
            &["query", output, "top", "--layer", "0", "--neuron", "63"],
        ];
        let question = random.one_of(&questions);
        let answer = fmrai(question);
        let code = answer.status.code();
        assert!(matches!(code, Some(0..=3)), "{question:?} ended with {}: {}", answer.status, err(&answer));
        if code != Some(0) {
            assert_in_words(&err(&answer));
        }
    });
}
