//! The test programs of the workspace, and one run of one of them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::sources::Sources;
use crate::cargo;
use crate::outcome::failed_test;
use crate::project::Project;

/// A test program and those of its tests that are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The arguments of cargo that run it, e.g. `-p fmrai-host --test cli`.
    pub(crate) arguments: String,
    executable: PathBuf,
    folder: PathBuf,
    /// Full names of its tests.
    pub(crate) tests: Vec<String>,
}

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// True if every test passed.
    pub(crate) passed: bool,
    /// Tests that are said to have failed.
    pub(crate) failed: Vec<String>,
    /// Everything it printed.
    pub(crate) said: String,
    /// How it ended, in words.
    pub(crate) how: String,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Builds the tests of the workspace; returns the programs that have tests to be run with other random numbers, those
/// whose arguments or names contain one of `what` (all if there is none).
pub(crate) fn build(project: &Project, what: &[String]) -> Result<Vec<Program>> {
    let mut command = cargo::command(project);
    command.args(["test", "--workspace", "--no-run", "--locked", "--message-format=json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().context("cargo could not be run")?;
    if !output.status.success() {
        bail!("the tests could not be built; cargo says why above");
    }
    let mut programs = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
        if let Some(program) = program(&message)? {
            programs.extend(chosen(program, what));
        }
    }
    programs.sort_by(|a, b| a.arguments.cmp(&b.arguments));
    Ok(programs)
}

fn program(message: &Message) -> Result<Option<Program>> {
    let (Some(manifest), Some(target), Some(profile), Some(executable)) =
        (&message.manifest_path, &message.target, &message.profile, &message.executable)
    else {
        return Ok(None);
    };
    let (Some(folder), true, true) = (manifest.parent(), profile.test, message.reason == "compiler-artifact")
    else {
        return Ok(None);
    };
    let sources = Sources::read(&target.src_path)?;
    if !sources.harness && sources.properties.is_empty() {
        return Ok(None);
    }
    let package = folder.file_name().unwrap_or_default().to_string_lossy();
    let which = match target.kind.first().map(String::as_str) {
        Some("test") => format!("--test {}", target.name),
        Some("bin") => format!("--bin {}", target.name),
        _ => "--lib".to_owned(),
    };
    let tests = listed(executable, folder)?
        .into_iter()
        .filter(|test| {
            let last = test.rsplit("::").next().unwrap_or(test);
            sources.harness || sources.properties.iter().any(|name| name == last)
        })
        .collect();
    Ok(Some(Program {
        arguments: format!("-p {package} {which}"),
        executable: executable.clone(),
        folder: folder.to_path_buf(),
        tests,
    }))
}

/// The tests of a program that are not ignored.
fn listed(executable: &Path, folder: &Path) -> Result<Vec<String>> {
    let context = || format!("{} could not be asked for its tests", executable.display());
    let output = Command::new(executable)
        .args(["--list", "--format", "terse"])
        .current_dir(folder)
        .output()
        .with_context(context)?;
    if !output.status.success() {
        bail!("{}", context());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// The part of a program that is asked for, if any.
fn chosen(mut program: Program, what: &[String]) -> Option<Program> {
    if !what.is_empty() && !what.iter().any(|word| program.arguments.contains(word.as_str())) {
        program.tests.retain(|test| what.iter().any(|word| test.contains(word.as_str())));
    }
    (!program.tests.is_empty()).then_some(program)
}

impl Program {
    /// Runs its tests on the random numbers of `seed`; ends it after `longest`.
    pub(crate) fn run(&self, seed: u64, trials: Option<u32>, longest: Duration) -> Result<Ended> {
        let could_not = || format!("{} could not be run", self.executable.display());
        let (mut reader, writer) = std::io::pipe().with_context(could_not)?;
        let mut command = Command::new(&self.executable);
        command
            .args(["--exact", "--color", "never"])
            .args(&self.tests)
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .env("FMRAI_SEED", seed.to_string())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().with_context(could_not)?)
            .stderr(writer);
        match trials {
            Some(trials) => command.env("FMRAI_TRIALS", trials.to_string()),
            None => &mut command,
        };
        let mut child = command.spawn().with_context(could_not)?;
        // Its ends of the pipe go, or the pipe would never end.
        drop(command);
        let said = thread::spawn(move || {
            let mut bytes = Vec::new();
            // What a process that was ended left half said is said all the same.
            let _ = reader.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().with_context(could_not)? {
                break Some(status);
            }
            if begin.elapsed() > longest {
                child.kill().with_context(could_not)?;
                child.wait().with_context(could_not)?;
                break None;
            }
            thread::sleep(Duration::from_millis(50));
        };
        let said = said.join().unwrap_or_default();
        let failed = said.lines().filter_map(failed_test).map(str::to_owned).collect();
        let how = match status {
            Some(status) => status.to_string(),
            None => format!("no end within {} minutes", longest.as_secs() / 60),
        };
        Ok(Ended { passed: status.is_some_and(|status| status.success()), failed, said, how })
    }

    /// The command that repeats one test.
    pub(crate) fn again(&self, test: &str, seed: u64, trials: Option<u32>) -> String {
        let trials = trials.map_or_else(String::new, |n| format!("FMRAI_TRIALS={n} "));
        format!("FMRAI_SEED={seed} {trials}cargo test {} -- --exact {test}", self.arguments)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn script(text: &str, tests: &[&str]) -> (tempfile::TempDir, Program) {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("program");
        std::fs::write(&executable, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = Program {
            arguments: "-p a --lib".to_owned(),
            executable,
            folder: folder.path().to_path_buf(),
            tests: tests.iter().map(ToString::to_string).collect(),
        };
        (folder, program)
    }

    #[test]
    fn a_program_is_told_its_seed_and_its_tests() {
        let (_folder, program) = script("echo $FMRAI_SEED $FMRAI_TRIALS $@", &["m::a", "m::b"]);
        let ended = program.run(7, Some(5), Duration::from_secs(60)).unwrap();
        assert!(ended.passed);
        assert_eq!(ended.said, "7 5 --exact --color never m::a m::b\n");
    }

    #[test]
    fn failures_are_read_and_a_crash_is_none_of_them() {
        let (_folder, program) = script("echo 'test m::a ... FAILED'; exit 101", &["m::a"]);
        let ended = program.run(7, None, Duration::from_secs(60)).unwrap();
        assert!(!ended.passed && ended.failed == ["m::a"], "{ended:?}");
        assert_eq!(program.again("m::a", 7, None), "FMRAI_SEED=7 cargo test -p a --lib -- --exact m::a");
        let (_folder, program) = script("kill -9 $$", &["m::a"]);
        let ended = program.run(7, None, Duration::from_secs(60)).unwrap();
        assert!(!ended.passed && ended.failed.is_empty() && ended.how.contains("signal"), "{ended:?}");
    }

    #[test]
    fn a_program_without_end_is_ended() {
        let (_folder, program) = script("exec sleep 600", &["m::a"]);
        let ended = program.run(7, None, Duration::from_millis(200)).unwrap();
        assert!(!ended.passed && ended.how.contains("no end"), "{ended:?}");
    }

    #[test]
    fn a_word_chooses_programs_and_tests() {
        let (_folder, program) = script("", &["draw::x", "plan::y"]);
        let tests = |what: &[&str]| {
            let what: Vec<String> = what.iter().map(ToString::to_string).collect();
            chosen(program.clone(), &what).map(|p| p.tests)
        };
        assert_eq!(tests(&[]), Some(program.tests.clone()));
        assert_eq!(tests(&["-p a"]), Some(program.tests.clone()));
        assert_eq!(tests(&["draw"]), Some(vec!["draw::x".to_owned()]));
        assert_eq!(tests(&["nothing"]), None);
    }
}
