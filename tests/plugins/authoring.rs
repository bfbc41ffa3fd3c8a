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

/// Makes a plugin in C, and builds, checks and runs it.
fn in_c(more: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let arguments = ["plugin", "new", "loud-rows", "--lang", "c"];
    assert_exit(&fmrai(place.path(), &[&arguments, more].concat()), 0);
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
    place
}

#[test]
fn a_new_plugin_in_c_is_built_checked_and_run() {
    in_c(&[]);
}

#[test]
fn a_new_experiment_in_c_is_built_checked_and_run() {
    let place = in_c(&["--experiment"]);
    assert!(place.path().join("loud-rows/results/loud_rows/tables/blocks.csv").exists());
}

#[test]
fn a_new_plugin_in_rust_is_built_tested_and_run() {
    in_rust("loud-blocks", &[]);
}

#[test]
fn a_new_experiment_in_rust_is_built_tested_and_run() {
    let place = in_rust("weak-blocks", &["--experiment"]);
    let table = place.path().join("weak-blocks/results/weak_blocks/tables/loss_added.csv");
    let table = std::fs::read_to_string(table).unwrap();
    let added = |line: &str| line.split(',').nth(1).unwrap().parse::<f64>().unwrap();
    let added: Vec<f64> = table.lines().skip(1).map(added).collect();
    assert_eq!(added.len(), 2, "{table}");
    assert!(added.iter().all(|x| x.is_finite() && x.abs() > 1e-6), "{table}");
    let told = fmrai(&place.path().join("weak-blocks"), &["check", "plan.json", "--plugins-beside-plan"]);
    assert_exit(&told, 0);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("  weak_blocks: "), "passes are told: {told}");
}

/// Makes a plugin in Rust, and builds, tests, checks and runs it.
fn in_rust(name: &str, more: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    assert_exit(&fmrai(place.path(), &[&["plugin", "new", name], more].concat()), 0);
    let (folder, snake) = (place.path().join(name), name.replace('-', "_"));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("fmrai-core = { path = \"../"),
        "no path of this machine from its root: {manifest}"
    );
    // The versions of the example, so that nothing but this crate is new.
    let lock = Path::new(ROOT).join("examples/plugins/activation-statistics/Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap().replace("activation-statistics", name);
    std::fs::write(folder.join("Cargo.lock"), lock).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
    for command in ["test", "build"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([command, "--locked", "--target-dir"]).arg(&target).current_dir(&folder);
        assert_exit(&cargo.output().unwrap(), 0);
    }
    std::fs::create_dir_all(folder.join("target/release")).unwrap();
    let library = folder.join(format!("target/release/lib{snake}.so"));
    std::fs::copy(target.join(format!("debug/lib{snake}.so")), &library).unwrap();
    runs(&folder, &snake);
    let checked = fmrai(&folder, &["plugin", "check", "--timeout", "600", library.to_str().unwrap()]);
    assert_exit(&checked, 0);
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(text.contains("the contract holds"), "{text}");
    place
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
