//! `cargo xtask zoo`: every architecture that transformers knows, small and with random weights, through the finders.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// What the environment of its own holds; the table in the docs says the same versions.
const PACKAGES: [&str; 3] = ["torch==2.13.0", "transformers==5.23.0", "numpy==2.4.6"];

/// Makes an environment of Python, exports models of all architectures or of those that are named, and prints what the finders
/// see in them. What is there already is not made again.
pub(crate) fn run(project: &Project, names: &[OsString]) -> Result<ExitCode> {
    setup::run(project, setup::Options::LIBTORCH)?;
    let home = project.root().join(".fmrai/zoo");
    let (python, programs) = (home.join("python/bin/python"), home.join("programs"));
    if !python.exists() {
        must(Command::new("python3").args(["-m", "venv"]).arg(home.join("python")), "python3 -m venv")?;
    }
    let wanted = PACKAGES.map(OsString::from);
    must(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(wanted), "pip")?;
    let script = project.root().join("tests/reference/structure/zoo.py");
    must(Command::new(&python).arg(script).arg(&programs).args(names), "structure/zoo.py")?;
    let build = ["build", "--workspace", "--bin", "fmrai", "--locked"];
    must(cargo::command(project).args(build), "cargo")?;
    let fmrai = cargo::metadata(project)?.target_directory.join("debug/fmrai");
    let mut failed = Vec::new();
    for program in files(&programs)? {
        let graph = program.with_extension("json");
        let told = program.with_extension("txt");
        if graph.exists() {
            continue;
        }
        let out = Command::new(&fmrai).arg("inspect").arg(&program).arg("--json").arg(&graph).output()?;
        std::fs::write(&told, [out.stdout, out.stderr].concat())?;
        if !out.status.success() {
            failed.push(program.display().to_string());
        }
    }
    let table = ["run", "--quiet", "-p", "fmrai-core", "--example", "structure_table", "--"];
    must(cargo::command(project).args(table).arg(&programs), "the table")?;
    for program in &failed {
        println!(
            "{program} cannot be opened; {} says why",
            Path::new(program).with_extension("txt").display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn must(command: &mut Command, what: &str) -> Result<()> {
    let status = cargo::stream(command).with_context(|| format!("{what} cannot be started"))?;
    if !status.success() {
        bail!("{what} ended with {status}");
    }
    Ok(())
}

/// The programs of a folder, sorted.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pt2") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
