//! What a run will take, told before it runs, against what it took.

use serde_json::json;

use crate::common::{assert_exit, fmrai, json_file, out, reference, sentences};

#[test]
fn an_estimate_is_what_the_run_then_takes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.txt"), sentences(100)).unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference("bert") },
        "data": { "type": "text", "path": "texts.txt", "batch_size": 5 },
        "analyses": [{ "type": "attention_clustering", "name": "map", "starts": 1 }],
        "capture": { "select": ["attention[0].probabilities"] },
        "output": "out"
    });
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let (file, told) = (file.to_str().unwrap(), folder.path().join("estimate.json"));
    let checked = fmrai(&["check", file, "--estimate", "--json", told.to_str().unwrap()]);
    assert_exit(&checked, 0);
    assert!(out(&checked).contains("estimate, from 10 of 20 batches"), "{}", out(&checked));
    assert!(!folder.path().join("out").exists(), "a trial leaves nothing where results go");
    let told = json_file(&told);
    assert_exit(&fmrai(&["run", file]), 0);
    let run = json_file(&folder.path().join("out/run.json"));
    assert!(run.get("state_bytes").is_none(), "{run}");
    // Sizes are those of the run; time is the machine's own affair.
    let within = |found: f64, real: f64, share: f64| (found - real).abs() <= share * real;
    let peak = run["peak_memory_bytes"].as_f64().unwrap();
    let estimated = told["memory"]["peak"].as_f64().unwrap();
    assert!(within(estimated, peak, 0.25), "{estimated} bytes, it took {peak}");
    let weights = told["memory"]["weights"].as_f64().unwrap();
    assert!(weights > 0.0 && weights < estimated);
    assert_eq!(told["memory"]["states"][0][0], "map");
    let bytes = |folder: &std::path::Path| {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let captured = bytes(&folder.path().join("out/activations/batches")) as f64;
    let estimated = told["disk"]["activations"].as_f64().unwrap();
    assert!(within(estimated, captured, 0.3), "{estimated} bytes, it took {captured}");
    assert!(told["seconds"]["total"].as_f64().unwrap() > 0.0);
}
