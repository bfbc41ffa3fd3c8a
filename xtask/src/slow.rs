//! `cargo xtask check --slow`: what takes minutes and need not run with every change. Licences, bans and sources of everything that the
//! project is built of (cargo-deny reads `deny.toml`), and the C++ shim under the address sanitizer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// The tests that go through all of the shim.
const TESTS: [&str; 2] = ["capture", "programs"];

/// Runs both; both are told even if the first fails.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let built_of = built_of(project)?;
    let shim = shim(project)?;
    for (what, passed) in [("licences, bans and sources", built_of), ("the shim under a sanitizer", shim)] {
        println!("{what}: {}", if passed { "passed" } else { "FAILED" });
    }
    Ok(if built_of && shim { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// cargo-deny, installed below the target folder where the machine has none.
fn built_of(project: &Project) -> Result<bool> {
    let tools = cargo::metadata(project)?.target_directory.join("tools");
    let own = tools.join("bin").join("cargo-deny");
    let at_hand = Command::new("cargo-deny").arg("--version").output().is_ok_and(|run| run.status.success());
    let program: OsString = if at_hand { "cargo-deny".into() } else { own.clone().into() };
    if !at_hand && !own.is_file() {
        let mut install = cargo::command(project);
        install.args(["install", "cargo-deny", "--locked", "--root"]).arg(&tools);
        if !cargo::stream(&mut install)?.success() {
            bail!("cargo-deny could not be installed");
        }
    }
    let mut deny = Command::new(program);
    deny.current_dir(project.root()).args(["check", "licenses", "bans", "sources"]);
    Ok(cargo::stream(&mut deny)?.success())
}

/// The tests of the shim, built and run with the address sanitizer of the C++ compiler, in a target folder of their own.
fn shim(project: &Project) -> Result<bool> {
    setup::run(project, setup::Options::LIBTORCH)?;
    let library = sanitizer()?;
    let target = cargo::metadata(project)?.target_directory.join("sanitized");
    let mut build = cargo::command(project);
    build.args(["test", "-p", "fmrai-models", "--locked", "--no-run", "--message-format=json"]);
    TESTS.iter().for_each(|test| {
        build.args(["--test", test]);
    });
    build.env("FMRAI_SANITIZE", "address").env("CARGO_TARGET_DIR", &target);
    let built = build.stderr(std::process::Stdio::inherit()).output().context("cargo could not be run")?;
    if !built.status.success() {
        bail!("the tests could not be built with the sanitizer");
    }
    let programs = executables(&String::from_utf8_lossy(&built.stdout));
    if programs.len() != TESTS.len() {
        bail!("{} of {} test programs were built", programs.len(), TESTS.len());
    }
    let mut passed = true;
    for program in programs {
        let mut test = Command::new(&program);
        // libtorch keeps what it made until the process ends; it defines some symbols more than once.
        test.env("ASAN_OPTIONS", "detect_leaks=0:detect_odr_violation=0:handle_segv=0")
            .env("LD_PRELOAD", &library)
            .current_dir(project.root().join("fmrai-models"));
        passed &= cargo::stream(&mut test)?.success();
    }
    Ok(passed)
}

/// The library of the address sanitizer, which has to be loaded before all others.
fn sanitizer() -> Result<PathBuf> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let found = Command::new(&compiler).arg("-print-file-name=libasan.so").output();
    let found = found.with_context(|| format!("{} cannot be run", compiler.display()))?;
    let path = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    if path == Path::new("libasan.so") {
        bail!("{} has no address sanitizer (libasan): install the one of GCC", compiler.display());
    }
    Ok(path)
}

/// The test programs in what cargo says of a build, a JSON object a line.
fn executables(said: &str) -> Vec<PathBuf> {
    let of = |line: &str| -> Option<PathBuf> {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(message.get("executable")?.as_str()?.into())
    };
    said.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let said = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/target/debug/deps/capture-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executables(said), [PathBuf::from("/target/debug/deps/capture-1")]);
    }
}
