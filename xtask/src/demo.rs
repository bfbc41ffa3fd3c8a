//! `cargo xtask demo`: from a fresh checkout to pictures.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::project::Project;
use crate::setup;

/// A plan that comes with the project, and what has to be fetched for it.
struct Demo {
    plan: &'static str,
    setup: setup::Options,
}

const ENCODER: Demo = Demo { plan: "examples/minilm.json", setup: setup::Options::ALL };
const DECODER: Demo = Demo { plan: "examples/gemma.json", setup: setup::Options::DECODER };

/// Sets up, builds the host, and runs the plan of a demo with `args` added: that of the decoder if the first of them says so, else that of
/// the encoder.
pub(crate) fn run(project: &Project, args: &[OsString]) -> Result<ExitCode> {
    let (Demo { plan, setup }, args) = match args.split_first() {
        Some((first, rest)) if first == "decoder" => (DECODER, rest),
        _ => (ENCODER, args),
    };
    let path = project.root().join(plan);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{plan}, the plan of the demo, cannot be read"))?;
    setup::run(project, setup)?;
    let build = ["build", "--release", "-p", "fmrai-host", "--locked"];
    if !cargo::stream(cargo::command(project).args(build))?.success() {
        bail!("fmrai could not be built; cargo says why above");
    }
    let program = cargo::metadata(project)?.target_directory.join("release/fmrai");
    let status =
        cargo::stream(Command::new(program).args(["run", plan]).args(args).current_dir(project.root()))?;
    if !status.success() {
        bail!("fmrai ended with {status}");
    }
    match output_folder(plan, &text, args) {
        Some(folder) => println!("the results are in {}", folder.display()),
        None => println!("the results are where fmrai says above"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the results go: `--output` if given, else what the plan says, relative to the plan.
fn output_folder(path: &str, plan: &str, args: &[OsString]) -> Option<PathBuf> {
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
    let folder = Path::new(path).parent()?;
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
        assert_eq!(output_folder(ENCODER.plan, plan, &[]), Some(PathBuf::from("examples/runs/minilm")));
        let above = r#"{"format": 1, "output": "../runs/./minilm"}"#;
        assert_eq!(output_folder(ENCODER.plan, above, &[]), Some(PathBuf::from("runs/minilm")));
        assert_eq!(normal(Path::new("../../a/..")), PathBuf::from("../.."));
        for args in [vec!["--output", "there"], vec!["--quiet", "--output=there"]] {
            let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
            assert_eq!(output_folder(ENCODER.plan, plan, &args), Some(PathBuf::from("there")));
        }
        assert_eq!(output_folder(ENCODER.plan, "{}", &[]), None);
    }
}
