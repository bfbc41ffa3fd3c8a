//! Runs under a limit of memory.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_core::tensor::{TensorValue, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use serde_json::json;

use crate::common::{ROOT, assert_exit, err, fmrai, json_file, sentences};

/// The tensors of an analysis, by their names.
fn tensors(results: &Path, analysis: &str) -> BTreeMap<String, TensorValue> {
    let file = results.join(analysis).join("tensors.safetensors");
    from_safetensors(&std::fs::read(file).unwrap()).unwrap().0.into_iter().collect()
}

fn assert_same_tensors(found: &Path, expected: &Path, analysis: &str) {
    let (found, expected) = (tensors(found, analysis), tensors(expected, analysis));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, expected) in &expected {
        let found = &found[name];
        assert_eq!(found.shape(), expected.shape(), "{name}");
        if let (Ok(found), Ok(expected)) = (found.f64(), expected.f64()) {
            Tolerance::STATISTIC.check(found, expected).unwrap_or_else(|e| panic!("{analysis}, {name}: {e}"));
        }
    }
}

#[test]
fn a_run_keeps_below_its_limit_and_gives_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let long = |line: &str| [line, line, line].join(" and then ");
    let texts: Vec<String> = sentences(96).lines().map(long).collect();
    std::fs::write(folder.path().join("texts.txt"), texts.join("\n")).unwrap();
    let plan = json!({
        "format": 1,
        "model": {
            "type": "hf_checkpoint",
            "path": Path::new(ROOT).join(".fmrai/models/all-MiniLM-L6-v2"),
            "attention": "eager"
        },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 96 },
        "analyses": [{ "type": "attention_patterns" }, { "type": "attention_clustering", "starts": 1 }],
        "report": false,
        "output": "whole"
    });
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let run = |output: &str, limit: Option<u64>| {
        let output = folder.path().join(output);
        let mut arguments = vec!["run".to_owned(), file.display().to_string()];
        arguments.extend([
            "--output".to_owned(),
            output.display().to_string(),
            "--threads".to_owned(),
            "1".to_owned(),
        ]);
        arguments.extend(limit.into_iter().flat_map(|bytes| ["--memory".to_owned(), bytes.to_string()]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fmrai(&arguments)
    };
    let peak = |output: &str| {
        json_file(&folder.path().join(output).join("run.json"))["peak_memory_bytes"].as_u64().unwrap()
    };
    assert_exit(&run("whole", None), 0);
    let whole = peak("whole");
    for (name, limit) in [("more", whole + whole / 4), ("less", whole / 10 * 8), ("least", whole / 100 * 65)]
    {
        let ended = run(name, Some(limit));
        assert_exit(&ended, 0);
        assert!(peak(name) <= limit, "{name}: {} of {limit}, without a limit {whole}", peak(name));
        for analysis in ["attention_patterns", "attention_clustering"] {
            assert_same_tensors(&folder.path().join(name), &folder.path().join("whole"), analysis);
        }
    }
    // What cannot be done is refused with what would be enough.
    let ended = run("never", Some(1 << 20));
    assert_exit(&ended, 2);
    assert!(err(&ended).contains("more than the 1MiB of `limits.memory`; allow "), "{}", err(&ended));
    assert!(err(&ended).contains("the program itself holds "), "{}", err(&ended));
}

/// What lists, the map to the vocabulary and tables will take is left free from the start: too small a limit is refused before anything long runs, and the
/// limit that is named then is kept.
#[test]
fn conclusions_keep_below_the_limit_that_a_refusal_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), sentences(80)).unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": Path::new(ROOT).join(".fmrai/models/all-MiniLM-L6-v2") },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 16 },
        "analyses": [{ "type": "ffn_key_value", "tied_embedding": true }],
        "output": "results"
    });
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let run = |limit: &str| fmrai(&["run", file.to_str().unwrap(), "--threads", "1", "--memory", limit]);
    let refused = run("400MB");
    assert_exit(&refused, 2);
    let said = err(&refused);
    assert!(
        said.contains("batch 0: ") && said.contains(" are left for analyses and their conclusions"),
        "{said}"
    );
    let allowed = said.split_once("; allow ").unwrap().1.split_once(',').unwrap().0.replace(' ', "");
    let ended = run(&allowed);
    assert_exit(&ended, 0);
    let peak = json_file(&folder.path().join("results/run.json"))["peak_memory_bytes"].as_u64().unwrap();
    let limit: u64 = allowed.strip_suffix("MB").unwrap().parse().unwrap();
    assert!(peak <= limit * 1_000_000, "{peak} of {allowed}");
    assert!(!err(&ended).contains("more memory was held"), "{}", err(&ended));
}
