//! `cargo xtask test`: every test of the workspace, and core once more without libtorch.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// Runs both suites, the second even if the first fails.
pub(crate) fn run(project: &Project, args: &[OsString]) -> Result<ExitCode> {
    setup::run(project, setup::Options::ALL)?;
    let all = cargo::stream(cargo::command(project).args(["test", "--workspace", "--locked"]).args(args))?;
    // In a folder of its own: cargo would unify the features within one build, and rebuild core back and forth.
    let target = cargo::metadata(project)?.target_directory.join("no-torch");
    let core = cargo::stream(
        cargo::command(project)
            .args(["test", "-p", "fmrai-core", "--no-default-features", "--locked"])
            .env("CARGO_TARGET_DIR", target),
    )?;
    let suites = [("workspace", all), ("fmrai-core without libtorch", core)];
    println!();
    for (name, status) in &suites {
        println!("tests, {name}: {}", if status.success() { "passed" } else { "FAILED" });
    }
    Ok(if suites.iter().all(|(_, status)| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
