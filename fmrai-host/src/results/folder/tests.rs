//! What may be replaced, what is kept, and what is complete.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::results::{write, write_json};

fn plan(data: &str) -> Value {
    json!({"format": 1, "output": "out", "checkpoint_seconds": 60, "data": {"path": data}})
}

fn capturing(data: &str) -> Value {
    let mut plan = plan(data);
    plan["capture"] = json!({"select": []});
    plan
}

fn take(out: &Path, plan: &Value) -> Result<(OutputFolder, Occupant), FolderError> {
    OutputFolder::take(out, plan, false, false)
}

/// Results of a plan with these files.
fn publish(out: &Path, plan: &Value, files: &[&str]) {
    let (mut folder, _) = OutputFolder::take(out, plan, false, true).unwrap();
    folder.start_anew().unwrap();
    let mut staging = folder.stage().unwrap();
    for file in files {
        staging.write((*file).to_owned(), b"x").unwrap();
    }
    let summary = json!({"analyses": [{"name": "a", "files": files}]});
    staging.write_json("plan.json".to_owned(), plan).unwrap();
    staging.write_json("run.json".to_owned(), &json!({})).unwrap();
    staging.write_json("summary.json".to_owned(), &summary).unwrap();
    folder.publish(staging, &[]).unwrap();
}

#[test]
fn only_results_of_the_same_plan_are_replaced_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    assert_eq!(occupant(&out, &plan("a")).unwrap(), Occupant::Nothing);

    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    assert_eq!(
        take(&out, &plan("a")).unwrap_err().to_string(),
        format!(
            "the output folder {} holds \"notes.txt\", which fmrai has not written: \
             choose another with --output, or replace it with --force",
            out.display()
        )
    );
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1, "a refusal leaves nothing");

    publish(&out, &plan("a"), &["a/summary.json"]);
    let elsewhere = json!({"format": 1, "output": "b", "checkpoint_seconds": 1, "data": {"path": "a"}});
    assert_eq!(occupant(&out, &elsewhere).unwrap(), Occupant::SamePlan);
    assert!(take(&out, &plan("b")).unwrap_err().to_string().contains("holds results of another plan"));

    write_json(&out.join(STATE).join(CHECKPOINT), &json!({})).unwrap();
    assert!(matches!(take(&out, &plan("a")), Err(FolderError::Unfinished { .. })));
    let (_, occupant) = OutputFolder::take(&out, &plan("a"), true, false).unwrap();
    assert_eq!(occupant, Occupant::Unfinished);
}

#[test]
fn stale_files_go_and_foreign_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    publish(&out, &plan("a"), &["a/tables/old.csv", "a/tables/.fmrai-1.tmp", "a/summary.json"]);
    write(&out.join("a/mine.txt"), b"x").unwrap();
    publish(&out, &plan("b"), &["a/summary.json"]);
    assert!(!out.join("a/tables").exists());
    assert!(out.join("a/summary.json").exists() && out.join("a/mine.txt").exists());
    let mut left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a", "plan.json", "run.json", "summary.json"], "the state is gone");
}

#[test]
fn a_folder_that_was_taken_belongs_to_its_plan() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    publish(&out, &plan("a"), &["a/summary.json"]);
    write(&out.join("notes.txt"), b"mine").unwrap();
    // A run of another plan that was forced, and killed before it had done anything.
    drop(OutputFolder::take(&out, &plan("b"), false, true).unwrap());
    assert_eq!(occupant(&out, &plan("b")).unwrap(), Occupant::Begun);
    assert_eq!(occupant(&out, &plan("a")).unwrap(), Occupant::SamePlan);
    assert_eq!(occupant(&out, &plan("c")).unwrap(), Occupant::OtherPlan);
    // One that has taken the old results away already.
    let (mut taken, _) = OutputFolder::take(&out, &capturing("d"), false, true).unwrap();
    taken.start_anew().unwrap();
    drop(taken);
    assert!(!out.join("summary.json").exists() && !out.join("a/summary.json").exists());
    assert_eq!(occupant(&out, &capturing("d")).unwrap(), Occupant::Begun);
    assert_eq!(occupant(&out, &plan("a")).unwrap(), Occupant::Foreign("notes.txt".to_owned()));
    std::fs::remove_file(out.join("notes.txt")).unwrap();
    assert_eq!(occupant(&out, &plan("a")).unwrap(), Occupant::Nothing);
    // The next one knows what is to be removed.
    publish(&out, &plan("a"), &["b/summary.json"]);
    assert!(!out.join("a").exists());
}

#[test]
fn a_run_that_did_nothing_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    take(&out, &plan("a")).unwrap().0.leave();
    assert!(!out.exists());
    publish(&out, &plan("a"), &["a/summary.json"]);
    OutputFolder::take(&out, &plan("b"), false, true).unwrap().0.leave();
    assert!(!out.join(STATE).exists());
    assert_eq!(occupant(&out, &plan("a")).unwrap(), Occupant::SamePlan);
    let (folder, _) = take(&out, &plan("a")).unwrap();
    write_json(&out.join(STATE).join(CHECKPOINT), &json!({})).unwrap();
    folder.leave();
    assert_eq!(occupant(&out, &plan("a")).unwrap(), Occupant::Unfinished);
}

#[test]
fn results_with_a_file_that_was_taken_away_are_not_complete() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (mut taken, _) = take(&out, &plan("a")).unwrap();
    let mut staging = taken.stage().unwrap();
    staging.write("a/summary.json".to_owned(), b"x").unwrap();
    staging.write("summary.json".to_owned(), b"{}").unwrap();
    let batch = |bytes| Written { name: "activations/batches/000000.safetensors".to_owned(), bytes };
    let error = taken.publish(staging, &[batch(1)]).unwrap_err().to_string();
    assert!(error.contains("000000.safetensors: it was written and is gone"), "{error}");
    assert!(!out.join("summary.json").exists());
    write(&out.join("activations/batches/000000.safetensors"), b"xy").unwrap();
    let mut staging = taken.stage().unwrap();
    staging.write("summary.json".to_owned(), b"{}").unwrap();
    let error = taken.publish(staging, &[batch(1)]).unwrap_err().to_string();
    assert!(error.ends_with("1 bytes were written, it now has 2"), "{error}");
    let mut staging = taken.stage().unwrap();
    staging.write("summary.json".to_owned(), b"{}").unwrap();
    taken.publish(staging, &[batch(2)]).unwrap();
    assert!(out.join("summary.json").exists() && !out.join("a").exists());
}
