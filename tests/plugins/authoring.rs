//! `fmrai plugin new`: what it writes builds, tests itself and runs, without an edit.

use std::path::Path;
use std::process::{Command, Output};

use super::{ROOT, assert_exit, json_file};

fn fmrai(folder: &Path, arguments: &[&str]) -> Output {
    let settings = folder.join("no-settings");
    let program = env!("CARGO_BIN_EXE_fmrai");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", settings)
        .output()
        .unwrap()
}

/// Runs the plan of a new plugin as its README says.
fn runs(folder: &Path, name: &str) {
    assert_exit(&fmrai(folder, &["run", "plan.json", "--plugins-beside-plan"]), 0);
    let summary = json_file(&folder.join("results/summary.json"));
    assert_eq!(summary["analyses"][0]["name"], name);
    assert_eq!(summary["analyses"][0]["status"], "ok", "{summary:#}");
    assert_exit(&fmrai(folder, &["run", "plan.json"]), 2);
}

#[test]
fn a_new_plugin_in_c_is_built_checked_and_run() {
    let place = tempfile::tempdir().unwrap();
    assert_exit(&fmrai(place.path(), &["plugin", "new", "loud-rows", "--lang", "c"]), 0);
    let folder = place.path().join("loud-rows");
    let make = |target: &str| {
        let mut command = Command::new("make");
        command.current_dir(&folder).arg("CFLAGS=-O1 -Wall -Wextra -Werror");
        command.args([&format!("FMRAI={}", env!("CARGO_BIN_EXE_fmrai")), target]).output().unwrap()
    };
    let tested = make("test");
    assert_exit(&tested, 0);
    let text = String::from_utf8(tested.stdout).unwrap();
    assert!(text.contains("the contract holds"), "{text}");
    runs(&folder, "loud_rows");
}

#[test]
fn a_new_plugin_in_rust_is_built_tested_and_run() {
    let place = tempfile::tempdir().unwrap();
    assert_exit(&fmrai(place.path(), &["plugin", "new", "loud-blocks"]), 0);
    let folder = place.path().join("loud-blocks");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("fmrai-core = { path = \"../"),
        "no path of this machine from its root: {manifest}"
    );
    // The versions of the example, so that nothing but this crate is new.
    let lock = Path::new(ROOT).join("examples/plugins/activation-statistics/Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap().replace("activation-statistics", "loud-blocks");
    std::fs::write(folder.join("Cargo.lock"), lock).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    for command in ["test", "build"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([command, "--locked", "--target-dir"]).arg(&target).current_dir(&folder);
        assert_exit(&cargo.output().unwrap(), 0);
    }
    std::fs::create_dir_all(folder.join("target/release")).unwrap();
    let library = folder.join("target/release/libloud_blocks.so");
    std::fs::copy(target.join("debug/libloud_blocks.so"), &library).unwrap();
    runs(&folder, "loud_blocks");
    let checked = fmrai(&folder, &["plugin", "check", "--timeout", "600", library.to_str().unwrap()]);
    assert_exit(&checked, 0);
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(text.contains("the contract holds"), "{text}");
}

#[test]
fn names_and_folders_that_cannot_be_are_refused() {
    let place = tempfile::tempdir().unwrap();
    for name in ["", "Loud", "9lives", "match", "a b", "../up", "é", "double"] {
        let output = fmrai(place.path(), &["plugin", "new", "--", name]);
        assert_exit(&output, 2);
    }
    std::fs::create_dir(place.path().join("mine")).unwrap();
    std::fs::write(place.path().join("mine/work.txt"), "precious").unwrap();
    let output = fmrai(place.path(), &["plugin", "new", "mine"]);
    assert_exit(&output, 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("mine is there already"));
    assert_eq!(std::fs::read_dir(place.path().join("mine")).unwrap().count(), 1);
}
