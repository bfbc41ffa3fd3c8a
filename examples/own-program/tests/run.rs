//! The program with its own model, data and analyzer, from a plan to results.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use fmrai_core::tolerance::Tolerance;
use serde_json::{Value, json};

fn program(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_own-program")).args(arguments).current_dir(folder).output().unwrap()
}

fn plan(folder: &Path, model: &Value) -> Output {
    let plan = json!({
        "format": 1,
        "model": model,
        "data": { "type": "counting", "samples": 10 },
        "analyses": [{ "type": "peak" }],
        "output": "out",
    });
    std::fs::write(folder.join("plan.json"), plan.to_string()).unwrap();
    program(folder, &["run", "plan.json"])
}

#[test]
fn a_plan_names_what_the_program_links() {
    let folder = tempfile::tempdir().unwrap();
    let run = plan(folder.path(), &json!({ "type": "rings", "width": 3 }));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let summary = std::fs::read(folder.path().join("out/peak/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let found = summary["summary"]["peak"].as_f64().unwrap();

    // The same by hand, in float64.
    let peak = |n: u32| {
        let x = [0, 1, 2].map(|i| f64::from(n + i) / 10.0);
        let y = [0, 1, 2].map(|i| {
            (0..3).map(|row| x[row] * f64::from((i + u32::try_from(row).unwrap()) % 3)).sum::<f64>()
        });
        let largest = y.iter().copied().fold(f64::MIN, f64::max);
        1.0 / y.iter().map(|value| (value - largest).exp()).sum::<f64>()
    };
    let expected = (0..10).map(peak).sum::<f64>() / 10.0;
    Tolerance { absolute: 1e-6, relative: 0.0 }.check(&[found], &[expected]).unwrap();
}

#[test]
fn they_are_listed_and_their_mistakes_told() {
    let folder = tempfile::tempdir().unwrap();
    let listed = program(folder.path(), &["analyzers"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("peak") && listed.contains("how sure a softmax is"), "{listed}");
    let schema = String::from_utf8(program(folder.path(), &["schema"]).stdout).unwrap();
    assert!(schema.contains("\"rings\"") && schema.contains("\"counting\""));
    let wrong = plan(folder.path(), &json!({ "type": "rings", "width": 0 }));
    assert!(!wrong.status.success());
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("`width` is 0, valid are 1 to 1024"), "{said}");
}
