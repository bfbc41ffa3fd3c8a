//! Checkpoints are loaded as they were saved, or not at all.

use super::*;
use crate::version::Versions;
use std::path::Path;

fn identity() -> Identity {
    Identity {
        plan: json!({"model": {"path": "a"}, "data": {"path": "b"}}),
        versions: Versions::current(),
        model: vec![("m".into(), 1, "00".into())],
        data: vec![("d".into(), 1, "00".into())],
        graph: "ff".into(),
    }
}

fn checkpoint() -> Checkpoint {
    let state = State::new("counting", 1, json!({"texts": 3}));
    Checkpoint {
        identity: identity(),
        share: Share::Whole,
        batches: 3,
        data_batches: 3,
        counts: Counts { texts: 3, tokens: 9, ..Counts::default() },
        parity: None,
        told: Told::default(),
        skipped: Skipped::default(),
        threads: 2,
        plan_file: None,
        analyses: vec![
            ("a".into(), Progress::Running(state)),
            ("b".into(), Progress::Failed("prepare".into(), "no attention".into())),
        ],
    }
}

#[test]
fn what_is_saved_is_loaded_and_older_states_go() {
    let output = tempfile::tempdir().unwrap();
    assert_eq!(Checkpoint::load(output.path()).unwrap(), None);
    let mut checkpoint = checkpoint();
    checkpoint.save(output.path()).unwrap();
    checkpoint.batches = 4;
    checkpoint.data_batches = 4;
    checkpoint.save(output.path()).unwrap();
    assert_eq!(Checkpoint::load(output.path()).unwrap().unwrap(), checkpoint);
    assert_eq!(std::fs::read_dir(output.path().join(STATE)).unwrap().count(), 2);
}

#[test]
fn everything_that_differs_is_named() {
    let now = Identity {
        plan: json!({"model": {"path": "a"}, "data": {"path": "c"}}),
        versions: Versions { fmrai: "0.0.1".into(), ..Versions::current() },
        data: vec![("d".into(), 1, "01".into()), ("e".into(), 1, "00".into())],
        ..identity()
    };
    let error = checkpoint().check(&now, &Share::Whole, Path::new("out")).unwrap_err().to_string();
    let current = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error,
        format!(
            "the unfinished run in out cannot be continued: fmrai was {current}, is 0.0.1; the plan has \
             another data; the data file d has changed; the data file e is new"
        )
    );
    let skipping = json!({"model": {"path": "a"}, "data": {"path": "b"}, "on_error": "skip"});
    let error =
        checkpoint().check(&Identity { plan: skipping, ..identity() }, &Share::Whole, Path::new("out"));
    assert!(error.unwrap_err().to_string().ends_with("cannot be continued: the plan has another on_error"));
    let graph = Identity { graph: "00".into(), ..identity() };
    assert!(
        checkpoint()
            .check(&graph, &Share::Whole, Path::new("o"))
            .unwrap_err()
            .to_string()
            .contains("operations")
    );
    assert!(checkpoint().check(&identity(), &Share::Whole, Path::new("out")).is_ok());
}

#[test]
fn damaged_checkpoints_are_errors() {
    let output = tempfile::tempdir().unwrap();
    checkpoint().save(output.path()).unwrap();
    let state = output.path().join(STATE).join("a.3.safetensors");
    std::fs::write(&state, b"short").unwrap();
    let error = Checkpoint::load(output.path()).unwrap_err().to_string();
    assert!(error.starts_with(&state.display().to_string()), "{error}");
    std::fs::write(output.path().join(STATE).join("checkpoint.json"), b"{}").unwrap();
    assert!(Checkpoint::load(output.path()).unwrap_err().to_string().contains("not a checkpoint"));
}

/// Both files of a checkpoint, each byte changed, and each cut short at each place.
#[test]
fn no_changed_byte_is_taken_for_what_was_written() {
    let output = tempfile::tempdir().unwrap();
    let state = output.path().join(STATE);
    checkpoint().save(output.path()).unwrap();
    for name in ["a.3.safetensors", CHECKPOINT] {
        let path = state.join(name);
        let written = std::fs::read(&path).unwrap();
        let changed = (0..written.len()).map(|at| {
            let mut changed = written.clone();
            changed[at] ^= 1;
            changed
        });
        let cut = (0..written.len()).map(|at| written[..at].to_vec());
        for spoiled in changed.chain(cut) {
            std::fs::write(&path, &spoiled).unwrap();
            match Checkpoint::load(output.path()) {
                // White space, and the name of a field that may be absent, change nothing.
                Ok(loaded) => {
                    assert_eq!(loaded.unwrap(), checkpoint(), "{}", String::from_utf8_lossy(&spoiled));
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.starts_with(&path.display().to_string()), "{error}");
                    assert!(error.ends_with("; start again with --force"), "{error}");
                }
            }
        }
        std::fs::write(&path, &written).unwrap();
    }
    std::fs::remove_file(state.join("a.3.safetensors")).unwrap();
    assert!(Checkpoint::load(output.path()).unwrap_err().to_string().contains("is gone"));
}

#[test]
fn an_analysis_that_the_checkpoint_lacks_is_an_error() {
    let checkpoint = checkpoint();
    assert!(matches!(checkpoint.analysis("b", Path::new("out")), Ok(Progress::Failed(..))));
    let error = checkpoint.analysis("c", Path::new("out")).unwrap_err().to_string();
    assert_eq!(
        error,
        "out/.checkpoint/checkpoint.json: has no state of analysis \"c\", which the plan has; \
         start again with --force"
    );
}

/// As fmrai 0.2 wrote them: no hashes.
#[test]
fn checkpoints_of_the_format_before_are_read() {
    let output = tempfile::tempdir().unwrap();
    checkpoint().save(output.path()).unwrap();
    let path = output.path().join(STATE).join(CHECKPOINT);
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    document.as_object_mut().unwrap().shift_remove("sha256");
    std::fs::write(&path, document.to_string()).unwrap();
    let error = Checkpoint::load(output.path()).unwrap_err().to_string();
    assert!(error.contains("its own SHA-256 is missing"), "{error}");
    document["format"] = json!(1);
    document["analyses"][0]["running"].as_object_mut().unwrap().shift_remove("sha256");
    std::fs::write(&path, document.to_string()).unwrap();
    assert_eq!(Checkpoint::load(output.path()).unwrap().unwrap(), checkpoint());
    document["format"] = json!(3);
    std::fs::write(&path, document.to_string()).unwrap();
    assert!(
        Checkpoint::load(output.path()).unwrap_err().to_string().contains("checkpoint format 3, needed 2")
    );
}
