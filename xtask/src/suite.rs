//! `cargo xtask test`: every test of the workspace.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo;
use crate::outcome::FailedProgram;
use crate::project::Project;
use crate::setup;

/// Runs all test programs, also after one has failed, and ends with a list of what failed.
pub(crate) fn run(project: &Project, args: &[OsString]) -> Result<ExitCode> {
    setup::run(project, setup::Options::ALL)?;
    let mut tests = cargo::command(project);
    tests.args(["test", "--workspace", "--no-fail-fast", "--locked"]).args(args);
    let (status, outcome) = cargo::test(cargo::patient(&mut tests))?;
    println!("\ntests: {}", if status.success() { "passed" } else { "FAILED" });
    println!("left out: the Python package, which needs a torch of 5 GB (cargo xtask test-python)");
    summary(outcome.programs()).iter().for_each(|line| println!("{line}"));
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line for each program that failed, and one below it for each of its tests.
fn summary(programs: &[FailedProgram]) -> Vec<String> {
    let mut lines = Vec::new();
    for program in programs {
        let ended = if program.tests.is_empty() { ": ended before it could say why" } else { "" };
        lines.push(format!("  cargo test {}{ended}", program.arguments));
        lines.extend(program.tests.iter().map(|test| format!("    {test}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_to_run_again() {
        let failed = |arguments: &str, tests: &[&str]| FailedProgram {
            arguments: arguments.to_owned(),
            tests: tests.iter().map(ToString::to_string).collect(),
        };
        let programs = [failed("-p a --lib", &["x::y", "z"]), failed("-p a --test crash", &[])];
        assert_eq!(
            summary(&programs),
            [
                "  cargo test -p a --lib",
                "    x::y",
                "    z",
                "  cargo test -p a --test crash: ended before it could say why"
            ]
        );
    }
}
