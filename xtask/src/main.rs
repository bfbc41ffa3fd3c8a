//! Set-up and checks of the fMRAi workspace, run as `cargo xtask <command>`.
//!
//! Never depends on tch, directly or not: it has to build in seconds on a machine where libtorch is still to be fetched.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to a terminal is what this program is for"
)]

mod cargo;
mod check;
mod demo;
mod outcome;
mod page;
mod project;
mod python;
mod search;
mod setup;
mod slow;
mod suite;
mod zoo;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use project::Project;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Set-up and checks of the fMRAi workspace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch libtorch and the demo model into .fmrai (pinned, hashes checked; safe to interrupt and to repeat)
    Setup(setup::Options),
    /// Set up, build, and run the demo plan: heads of a small encoder, or with `decoder` those of a language model of 253 MB
    Demo {
        /// `decoder` for the second demo; what else is given is passed on to `fmrai run`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Set up, then run every test, and end with a list of those that failed
    Test {
        /// Passed on to `cargo test --workspace`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build the Python package as a wheel, for all versions of torch that it serves
    Wheel(python::WheelOptions),
    /// Build the Python package, set up Python with torch (5 GB for each version), and run its tests and its type check
    TestPython(python::TestOptions),
    /// Check the script of reports, and open pages of all kinds in a browser, which is fetched for that
    Page(page::Options),
    /// Set up, then search for failures with new random numbers, round after round
    Search(search::Options),
    /// Try the finders on every architecture that transformers knows (gigabytes of Python packages, an hour), or on those named
    Zoo {
        /// Names of architectures, e.g. `bert`
        names: Vec<OsString>,
    },
    /// Check the house rules: dependency direction, circles of files, paths in the docs, tidiness, example plans
    Check {
        /// Check what takes minutes instead: licences and sources of everything that is built, the C++ under a sanitizer
        #[arg(long)]
        slow: bool,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let project = Project::find()?;
    match &cli.command {
        Command::Setup(options) => {
            setup::run(&project, *options)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo { args } => demo::run(&project, args),
        Command::Test { args } => suite::run(&project, args),
        Command::Wheel(options) => python::wheel(&project, *options),
        Command::TestPython(options) => python::test(&project, options),
        Command::Page(options) => page::run(&project, *options),
        Command::Zoo { names } => zoo::run(&project, names),
        Command::Search(options) => search::run(&project, options),
        Command::Check { slow: false } => check::run(&project),
        Command::Check { slow: true } => slow::run(&project),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_pass_through_with_their_dashes() {
        let cli = Cli::parse_from(["xtask", "test", "--test", "e2e", "--", "--nocapture"]);
        let Command::Test { args } = cli.command else {
            panic!("not the test command");
        };
        assert_eq!(args, ["--test", "e2e", "--", "--nocapture"]);
    }
}
