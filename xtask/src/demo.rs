//! `cargo xtask demo`: from a fresh checkout to pictures.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// The plan that the demo runs.
const PLAN: &str = "examples/minilm.json";

/// Sets up, builds the host, and runs the demo plan with `args` added.
pub(crate) fn run(project: &Project, args: &[OsString]) -> Result<ExitCode> {
    let plan = project.root().join(PLAN);
    let text = std::fs::read_to_string(&plan)
        .with_context(|| format!("{PLAN}, the plan of the demo, cannot be read"))?;
    setup::run(project, setup::Options::ALL)?;
    let build = ["build", "--release", "-p", "fmrai-host", "--locked"];
    if !cargo::stream(cargo::command(project).args(build))?.success() {
        bail!("fmrai could not be built; cargo says why above");
    }
    let program = cargo::metadata(project)?.target_directory.join("release/fmrai");
    let status =
        cargo::stream(Command::new(program).args(["run", PLAN]).args(args).current_dir(project.root()))?;
    if !status.success() {
        bail!("fmrai ended with {status}");
    }
    match output_folder(&text, args) {
        Some(folder) => println!("the results are in {}", folder.display()),
        None => println!("the results are where fmrai says above"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the results go: `--output` if given, else what the plan says, relative to the plan.
fn output_folder(plan: &str, args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = args.next() {
        if argument == "--output" {
            return args.next().map(|folder| PathBuf::from(folder.as_ref()));
        }
        if let Some(folder) = argument.strip_prefix("--output=") {
            return Some(PathBuf::from(folder));
        }
    }
    let plan: serde_json::Value = serde_json::from_str(plan).ok()?;
    let folder = Path::new(PLAN).parent()?;
    Some(normal(&folder.join(plan.get("output")?.as_str()?)))
}

/// The path without `.` and without `..` where it can be taken back: `examples/../runs` is `runs`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_relative_to_the_plan_unless_given() {
        let plan = r#"{"format": 1, "output": "runs/minilm"}"#;
        assert_eq!(output_folder(plan, &[]), Some(PathBuf::from("examples/runs/minilm")));
        let above = r#"{"format": 1, "output": "../runs/./minilm"}"#;
        assert_eq!(output_folder(above, &[]), Some(PathBuf::from("runs/minilm")));
        assert_eq!(normal(Path::new("../../a/..")), PathBuf::from("../.."));
        for args in [vec!["--output", "there"], vec!["--quiet", "--output=there"]] {
            let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
            assert_eq!(output_folder(plan, &args), Some(PathBuf::from("there")));
        }
        assert_eq!(output_folder("{}", &[]), None);
    }
}
