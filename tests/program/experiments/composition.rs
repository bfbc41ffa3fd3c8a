//! Plans whose analyses take values from the results of others.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{ROOT, assert_exit, err, fmrai, json_file, out};

fn plan(folder: &Path, name: &str, analyses: &Value) -> PathBuf {
    let reference = |path: &str| Path::new(ROOT).join("tests/reference").join(path).canonicalize().unwrap();
    let plan = json!({
        "format": 1,
        "model": { "type": "hf_checkpoint", "path": reference("decoders/gpt2") },
        "data": { "type": "pairs", "path": reference("experiments/gpt2/pairs.jsonl"), "batch_size": 2 },
        "analyses": analyses,
        "output": name,
    });
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, plan.to_string()).unwrap();
    file
}

fn detect_and_ablate() -> Value {
    json!([
        { "name": "ablate", "type": "ablation", "sites": [],
          "groups": { "strongest": { "from": "patch", "tensor": "recovered.head", "top": 2 } } },
        { "name": "patch", "type": "activation_patching", "sites": ["head"] },
    ])
}

#[test]
fn what_one_analysis_finds_another_one_takes() {
    let folder = tempfile::tempdir().unwrap();
    let file = plan(folder.path(), "study", &detect_and_ablate());
    let checked = fmrai(&["check", file.to_str().unwrap()]);
    assert_exit(&checked, 0);
    assert!(out(&checked).contains("after patch"), "{}", out(&checked));
    assert!(out(&checked).contains("  patch: "), "passes are told: {}", out(&checked));
    assert_exit(&fmrai(&["run", file.to_str().unwrap()]), 0);
    let of =
        |run: &str, analysis: &str| json_file(&folder.path().join(run).join(analysis).join("summary.json"));
    let strongest = of("study", "patch")["summary"]["strongest"]["head"].clone();
    let place = |at: usize| json!([strongest[at]["layer"], strongest[at]["head"]]);
    let taken = of("study", "ablate")["config"]["groups"]["strongest"].clone();
    let taken: Vec<Value> = taken.as_array().cloned().unwrap_or_default();
    assert_eq!(taken.len(), 2);
    assert!(taken.contains(&place(0)), "{taken:?} against {strongest}");
    // The same from the folder of that run.
    let later = json!([{ "name": "again", "type": "ablation", "sites": [],
        "groups": { "strongest": { "from": "patch", "run": "study", "tensor": "recovered.head", "top": 2 } } }]);
    let file = plan(folder.path(), "later", &later);
    assert_exit(&fmrai(&["run", file.to_str().unwrap()]), 0);
    assert_eq!(of("later", "again")["config"]["groups"]["strongest"], json!(taken));
    let tensors = |run: &str, analysis: &str| {
        std::fs::read(folder.path().join(run).join(analysis).join("tensors.safetensors")).unwrap()
    };
    assert_eq!(tensors("later", "again"), tensors("study", "ablate"));
}

#[test]
fn mistakes_have_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let group = |reference: Value| json!({ "name": "a", "type": "ablation", "groups": { "g": reference } });
    let cases = [
        (
            json!([group(json!({ "from": "nobody", "table": "heads" }))]),
            "analyses[0].groups.g: there is no analysis \"nobody\"",
        ),
        (json!([group(json!({ "from": "a", "table": "heads" }))]), "takes a value from its own result"),
        (json!([group(json!({ "from": "a", "run": "x" }))]), "needs either `table` or `tensor`"),
        (
            json!([
                { "name": "a", "type": "ablation", "groups": { "g": { "from": "b", "tensor": "x", "top": 1 } } },
                { "name": "b", "type": "ablation", "groups": { "g": { "from": "a", "tensor": "x", "top": 1 } } },
            ]),
            "is a circle: a needs a result of b",
        ),
        (
            json!([
                { "name": "a", "type": "ablation", "sites": { "from": "b", "tensor": "x", "top": 1 } },
                { "name": "b", "type": "activation_patching" },
            ]),
            "analyses[0].sites: takes a value of another form than this field has",
        ),
    ];
    for (at, (analyses, message)) in cases.into_iter().enumerate() {
        let file = plan(folder.path(), &format!("wrong{at}"), &analyses);
        let checked = fmrai(&["check", file.to_str().unwrap()]);
        assert!(!checked.status.success());
        assert!(err(&checked).contains(message), "{message}: {}", err(&checked));
    }
    // What only the result tells is the failure of the one that takes it.
    let late = json!([
        { "name": "ablate", "type": "ablation", "groups": { "g": { "from": "patch", "tensor": "nothing", "top": 1 } } },
        { "name": "patch", "type": "activation_patching", "sites": ["head"] },
    ]);
    let file = plan(folder.path(), "late", &late);
    let ran = fmrai(&["run", file.to_str().unwrap()]);
    assert!(!ran.status.success());
    let message = err(&ran);
    assert!(message.contains("no tensor \"nothing\"") && message.contains("recovered.head"), "{message}");
}
