//! Downloads through pip: its mirrors, proxies and certificates are set up where the user needs them to be.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::diagnosis::{LOG_FILE, diagnose};
use super::error::SetupError;
use super::fetch::Fetch;
use super::meter::Meter;
use super::pins::TORCH_VERSION;
use super::wheel::Wheel;

/// The wheels are for CPython 3.11 on Linux whatever Python is here: only files are taken out of them.
const PLATFORMS: [&str; 4] =
    ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"];

/// Runs pip, but ends when its standard input does, which is when this process is gone: a killed set-up must not leave a
/// download behind that goes on for minutes.
const RUN_PIP: &str = "\
import os, runpy, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
sys.argv[0] = 'pip'
runpy.run_module('pip', run_name='__main__')
";

/// Fetches wheels with a Python and its pip.
#[derive(Debug)]
pub(crate) struct Pip {
    python: PathBuf,
}

impl Default for Pip {
    fn default() -> Self {
        Self { python: PathBuf::from("python3") }
    }
}

impl Fetch for Pip {
    fn fetch(&self, wheel: &Wheel, scratch: &Path) -> Result<(), SetupError> {
        let temporary = scratch.join("tmp");
        fs::create_dir_all(&temporary).map_err(SetupError::io("created", &temporary))?;
        let requirements = scratch.join("requirements.txt");
        let line = format!("{}=={} --hash=sha256:{}\n", wheel.name, wheel.version, wheel.sha256);
        fs::write(&requirements, line).map_err(SetupError::io("written", &requirements))?;
        let downloads = scratch.parent().unwrap_or(scratch);
        let log_path = scratch.join(LOG_FILE);
        let log = File::create(&log_path).map_err(SetupError::io("created", &log_path))?;
        let errors = log.try_clone().map_err(SetupError::io("opened", &log_path))?;

        let mut command = Command::new(&self.python);
        command
            .args(["-c", RUN_PIP, "download", "--no-deps"])
            .args(["--only-binary=:all:", "--require-hashes", "--no-cache-dir"])
            .args(["--disable-pip-version-check", "--no-input"])
            .args(["--progress-bar", "off"])
            .args(["--python-version", "3.11"])
            .args(["--implementation", "cp", "--abi", "cp311"])
            .args(PLATFORMS.iter().flat_map(|tag| ["--platform", *tag]))
            .arg("--requirement")
            .arg(&requirements)
            .arg("--dest")
            .arg(scratch)
            // Nothing is to be written outside the scratch folder.
            .env("TMPDIR", &temporary)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Settings that are about installing, and that would make pip refuse a mere download.
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env_remove("PIP_CONSTRAINT")
            .env_remove("PIP_LOG")
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors);
        let mut pip = command.spawn().map_err(|source| match source.kind() {
            ErrorKind::NotFound => SetupError::NoPython { version: TORCH_VERSION },
            _ => SetupError::io("started", &self.python)(source),
        })?;
        // Held open as long as pip runs; `wait` would close it.
        let lifeline = pip.stdin.take();

        let meter = Meter::start(format!("downloading {} {}", wheel.name, wheel.version), wheel.bytes);
        let status = loop {
            let ended = pip.try_wait().map_err(SetupError::io("waited for", &self.python))?;
            if let Some(status) = ended {
                break status;
            }
            meter.set(largest_file(&temporary));
            thread::sleep(Duration::from_millis(100));
        };
        drop(lifeline);
        drop(meter);
        if status.success() {
            return Ok(());
        }
        let output = fs::read(&log_path).unwrap_or_default();
        let error = diagnose(&String::from_utf8_lossy(&output), wheel, downloads);
        if let SetupError::Pip { log, .. } = &error {
            // The scratch folder is about to go, and the message sends the user to this file.
            let _ = fs::rename(&log_path, log);
        }
        Err(error)
    }
}

/// Size of the largest file in a folder and one level below, where pip collects what arrives.
fn largest_file(folder: &Path) -> u64 {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    entries(folder)
        .flat_map(|entry| {
            let nested = entries(&entry.path());
            std::iter::once(entry).chain(nested)
        })
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::super::pins::LIBTORCH;
    use super::*;

    /// Fetches a wheel with a program in the place of Python; gives back the downloads folder too.
    fn fetch(program: &str) -> (TempDir, Result<(), SetupError>) {
        let downloads = tempfile::tempdir().unwrap();
        let written = downloads.path().join("written");
        fs::write(&written, format!("#!/bin/sh\n{program}\n")).unwrap();
        // Copied by another process: were it open for writing here while a test beside this one forks, it could not be
        // started.
        let python = downloads.path().join("python");
        let copied = Command::new("cp").arg(&written).arg(&python).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        let scratch = downloads.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        let result = Pip { python }.fetch(&LIBTORCH.wheels[1], &scratch);
        (downloads, result)
    }

    #[test]
    fn pip_is_asked_for_the_pinned_file_and_writes_into_the_scratch_folder() {
        let (downloads, result) =
            fetch(r#"test -d "$TMPDIR"; cp "$TMPDIR/../requirements.txt" "$TMPDIR/../asked""#);
        result.unwrap();
        let asked = fs::read_to_string(downloads.path().join("scratch/asked")).unwrap();
        let wheel = &LIBTORCH.wheels[1];
        assert_eq!(asked, format!("{}=={} --hash=sha256:{}\n", wheel.name, wheel.version, wheel.sha256));
        assert!(!downloads.path().join(LOG_FILE).exists());
    }

    #[test]
    fn a_known_failure_is_explained_and_needs_no_log() {
        let (downloads, result) = fetch("echo 'No module named pip' >&2; exit 1");
        assert!(matches!(result, Err(SetupError::NoPip)));
        assert!(!downloads.path().join(LOG_FILE).exists());
    }

    #[test]
    fn an_unknown_failure_leaves_its_log() {
        let (downloads, result) = fetch("echo 'error: strange'; exit 1");
        assert!(result.unwrap_err().to_string().contains("error: strange"));
        let log = fs::read_to_string(downloads.path().join(LOG_FILE)).unwrap();
        assert_eq!(log, "error: strange\n");
    }

    #[test]
    fn no_python_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python3");
        let result = Pip { python }.fetch(&LIBTORCH.wheels[1], folder.path());
        assert!(matches!(result, Err(SetupError::NoPython { .. })));
    }

    #[test]
    fn progress_is_the_size_of_what_arrives() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(largest_file(folder.path()), 0);
        fs::create_dir(folder.path().join("pip-unpack-x")).unwrap();
        fs::write(folder.path().join("pip-unpack-x/a.whl"), "12345").unwrap();
        fs::write(folder.path().join("small"), "1").unwrap();
        assert_eq!(largest_file(folder.path()), 5);
    }
}
