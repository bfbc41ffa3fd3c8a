//! Runs cargo, and reads what it says about the workspace.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::outcome::Outcome;
use crate::project::Project;
use crate::setup::TorchEnvironment;

/// The part of `cargo metadata` that is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The members of the workspace.
    pub(crate) packages: Vec<Package>,
    /// Where builds go, whatever sets it.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// Its direct dependencies of every kind.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A direct dependency as written in a manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// Name of the crate, before any renaming.
    pub(crate) name: String,
}

/// A cargo command at the root of the project, of the toolchain that runs us.
pub(crate) fn command(project: &Project) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(project.root());
    let default = project.libtorch();
    if TorchEnvironment::of_process().own_libtorch(&default).is_none() {
        // Cargo set it for us and will set it again. Passed on it would count as changed, and rebuild torch-sys.
        command.env_remove("LIBTORCH");
    }
    command
}

/// How idle threads of libtorch wait in tests. Several tests run on the same cores, each with threads of its own: without it they spend half of the time on
/// waiting for each other. Who sets it themselves has a reason.
pub(crate) fn patient(command: &mut Command) -> &mut Command {
    match env::var_os("OMP_WAIT_POLICY") {
        Some(_) => command,
        None => command.env("OMP_WAIT_POLICY", "passive"),
    }
}

/// The members of the workspace and the target folder.
pub(crate) fn metadata(project: &Project) -> Result<Metadata> {
    let text = output(project, &["metadata", "--no-deps", "--format-version", "1", "--locked"])?;
    serde_json::from_str(&text).context("`cargo metadata` gave something else than expected")
}

/// What a cargo command prints; an error with its last words if it fails.
pub(crate) fn output(project: &Project, args: &[&str]) -> Result<String> {
    let output = command(project).args(args).output().context("cargo could not be run")?;
    if !output.status.success() {
        bail!("`cargo {}` failed: {}", args.join(" "), one_line(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Shows a command and runs it on our terminal.
pub(crate) fn stream(command: &mut Command) -> Result<ExitStatus> {
    let program = show(command);
    command.status().with_context(|| format!("{program} could not be run"))
}

/// Shows a command that runs tests and passes on what it says, read on the way for the tests that fail.
pub(crate) fn test(command: &mut Command) -> Result<(ExitStatus, Outcome)> {
    let program = show(command);
    let mut started = || -> std::io::Result<_> {
        // One pipe for both, so that their order is kept.
        let (reader, writer) = std::io::pipe()?;
        let child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
        Ok((reader, child))
    };
    let (reader, mut child) = started().with_context(|| format!("{program} could not be run"))?;
    // The command keeps its ends of the pipe: without them gone, the pipe would not end.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let mut outcome = Outcome::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.with_context(|| format!("what {program} says could not be read"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        outcome.read(line.trim_end());
    }
    let status = child.wait().with_context(|| format!("{program} could not be waited for"))?;
    Ok((status, outcome))
}

/// Shows a command; returns its program.
fn show(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let name = program.rsplit(['/', '\\']).next().unwrap_or(&program);
    println!("$ {name} {}", args.join(" "));
    program
}
