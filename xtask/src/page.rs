//! `cargo xtask page`: the script of reports. Its types and its style are checked, its tests run, and pages of all kinds are opened in a
//! real browser. Node.js comes as a pinned wheel, everything else through its package manager with a lock file; none of it is needed to
//! build or to use this project.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// Where the script is.
const FOLDER: &str = "fmrai-report/page";

/// Options of the command.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Types, style and tests without a browser only: builds nothing
    #[arg(long)]
    quick: bool,
}

/// Checks the script.
pub(crate) fn run(project: &Project, options: Options) -> Result<ExitCode> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!(
            "left out: the checks of the page, for which there is a pinned Node.js for x86-64 Linux only"
        );
        return Ok(ExitCode::SUCCESS);
    }
    setup::run(project, setup::Options::PAGE)?;
    let node = project.fetched().join("node/bin/node");
    executable(&node)?;
    let folder = project.root().join(FOLDER);
    let command = |args: &[&str]| {
        let mut command = Command::new(&node);
        command.current_dir(&folder).args(args);
        command
    };
    let npm = project.fetched().join("node/lib/node_modules/npm/bin/npm-cli.js");
    let npm = npm.to_string_lossy();
    must(command(&[&npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    must(command(&["node_modules/typescript/bin/tsc", "-p", "."]))?;
    must(command(&["node_modules/eslint/bin/eslint.js", "."]))?;
    must(command(&["--test", "tests/unit.test.mjs"]))?;
    if options.quick {
        println!("left out: the pages in a browser (--quick)");
        return Ok(ExitCode::SUCCESS);
    }
    // With the features of the workspace, so that nothing is built that tests do not need too.
    let build = ["build", "--workspace", "--bins", "--example", "specimens", "--locked"];
    must_cargo(project, &build)?;
    let built = cargo::metadata(project)?.target_directory.join("debug");
    let place = built.join("page-tests");
    std::fs::create_dir_all(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    let mut specimens = Command::new(built.join("examples/specimens"));
    specimens.arg(&place);
    must(specimens)?;
    let mut browser = command(&["--test", "--test-concurrency=1", "tests/browser.test.mjs"]);
    browser.env("TMPDIR", &place).env("FMRAI_PAGES", &place).env("FMRAI_PROGRAM", built.join("fmrai"));
    browser.env("FMRAI_ROOT", project.root());
    must(browser)?;
    Ok(ExitCode::SUCCESS)
}

fn must(mut command: Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    if !cargo::stream(&mut command)?.success() {
        bail!("failed: {shown}");
    }
    Ok(())
}

fn must_cargo(project: &Project, args: &[&str]) -> Result<()> {
    let mut command = cargo::command(project);
    command.args(args);
    must(command)
}

/// Wheels are unpacked without their permissions.
fn executable(file: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(file, permissions)
            .with_context(|| format!("{} cannot be made executable", file.display()))?;
    }
    Ok(())
}
