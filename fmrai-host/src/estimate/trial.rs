//! A plan run on some of its batches by a process of its own, whose memory is nobody else's.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Error;
use crate::results::folder::{ACTIVATIONS, RUN};

/// What a run on some batches took.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) batches: u64,
    /// Seconds until the first batch began, for all batches, and after the last.
    pub(super) load: f64,
    pub(super) track: f64,
    pub(super) conclude: f64,
    /// The most memory that it held at a time, in bytes; 0 where the system does not tell.
    pub(super) memory: u64,
    /// Bytes of each analysis's state after the last batch.
    pub(super) states: Vec<(String, u64)>,
    /// Bytes of its files.
    pub(super) activations: u64,
    pub(super) results: u64,
}

/// Runs the plan on every so manieth of its batches, of which that makes `batches`, into a folder that goes again.
pub(super) fn tried(file: &Path, stride: u64, batches: u64, plugins: &[OsString]) -> Result<Trial, Error> {
    let odd = |what: String| Error::Internal(format!("the trial of every {stride}th batch: {what}"));
    let place = tempfile::tempdir().map_err(|error| odd(error.to_string()))?;
    let output = place.path().join("out");
    let program = std::env::current_exe().map_err(|error| odd(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg("run").arg(file).arg("--output").arg(&output).arg("--every").arg(stride.to_string());
    let ended =
        command.args(plugins).stdin(Stdio::null()).output().map_err(|error| odd(error.to_string()))?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    let run = match std::fs::read(output.join(RUN)) {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes).map_err(|error| odd(error.to_string()))?,
        Err(_) => {
            let said = stderr.lines().find_map(|line| line.strip_prefix("error: "));
            let said = said.map_or_else(|| format!("it ended with {}", ended.status), str::to_owned);
            return Err(Error::Usage(format!("the plan fails on some of its batches: {said}")));
        }
    };
    let seconds = |lap: &str| run["seconds"][lap].as_f64().unwrap_or(0.0);
    let (load, track) = (seconds("load") + seconds("discover"), seconds("track"));
    let states = run["state_bytes"].as_object().into_iter().flatten();
    let activations = size(&output.join(ACTIVATIONS));
    Ok(Trial {
        batches,
        load,
        track,
        conclude: (seconds("total") - load - track).max(0.0),
        memory: run["peak_memory_bytes"].as_u64().unwrap_or(0),
        states: states.map(|(name, bytes)| (name.clone(), bytes.as_u64().unwrap_or(0))).collect(),
        activations,
        results: size(&output).saturating_sub(activations),
    })
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    };
    entries.map(of).sum()
}
