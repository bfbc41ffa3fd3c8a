//! An unfinished run on disk, so that it can be continued to the identical result.
//!
//! `checkpoint.json` names the other files with their hashes, carries one of its own, and is written last: a run that dies
//! while writing leaves the checkpoint before it intact, and what has changed since is not taken for it.

mod captured;
mod error;
mod identity;
mod sealed;
mod share;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use fmrai_core::analyzer::State;
use fmrai_torch::data::Counts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use captured::Captured;
pub use error::{MergeError, ResumeError, SaveError};
pub use identity::Identity;
use sealed::{seal, sha256, unseal};
pub use share::{Share, Stretch, batches};

use crate::results::folder::{CHECKPOINT, STATE, is_state_file};
use crate::results::{remove, write, write_json};
use crate::run::{ParityReport, Skipped, Told};

/// Version of the format. The one before it, of fmrai 0.2, had no hashes.
const FORMAT: u32 = 2;

fn interim_file(analysis: &str) -> String {
    format!("{analysis}.sqlite")
}

/// The store that an unfinished run has of an analysis below `output`, if it has one.
pub(crate) fn interim_store(output: &Path, analysis: &str) -> PathBuf {
    output.join(STATE).join(interim_file(analysis))
}

/// Bytes of the state that an unfinished run has of an analysis below `output`.
pub(crate) fn state_bytes(output: &Path, analysis: &str) -> u64 {
    let entries = std::fs::read_dir(output.join(STATE)).into_iter().flatten().flatten();
    let own = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix(analysis).and_then(|rest| rest.strip_prefix('.'));
        is_state_file(&name) && rest.is_some_and(|rest| rest.split('.').count() == 2)
    });
    own.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// The stores that an unfinished run has below `output`.
pub(crate) fn interim_stores(output: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(output.join(STATE)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "sqlite")).collect()
}

/// How far an analysis had come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It goes on from this state.
    Running(State),
    /// It had failed: in which stage, and why.
    Failed(String, String),
}

/// A run as it was after some batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the result depends on.
    pub identity: Identity,
    /// Which batches it is about.
    pub share: Share,
    /// Batches absorbed, and those before a part together with them: the index of the next one.
    pub batches: u64,
    /// Batches that the data had given by then: of the first sweep, and of the share that it is about.
    pub data_batches: u64,
    /// What the data source had counted by then.
    pub counts: Counts,
    /// What the comparisons with the untouched model have given.
    pub parity: Option<ParityReport>,
    /// What was noticed in the tensors that were kept.
    pub told: Told,
    /// What was left out because it could not be used.
    pub skipped: Skipped,
    /// Threads that the run was started with.
    pub threads: usize,
    /// The plan's file, if it came from one.
    pub plan_file: Option<PathBuf>,
    /// Each analysis by name.
    pub analyses: Vec<(String, Progress)>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    identity: Identity,
    /// Absent where it is about all batches.
    #[serde(default, skip_serializing_if = "Share::is_whole")]
    share: Share,
    batches: u64,
    /// Absent before there were shares: it is then the same.
    #[serde(default)]
    data_batches: Option<u64>,
    counts: [u64; 5],
    parity: Option<ParityReport>,
    /// Absent in format 1.
    #[serde(default)]
    told: Told,
    #[serde(default, skip_serializing_if = "Skipped::is_empty")]
    skipped: Skipped,
    threads: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan_file: Option<PathBuf>,
    analyses: Vec<WrittenAnalysis>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenAnalysis {
    Running {
        name: String,
        file: String,
        /// Of the file; absent in format 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    Failed {
        name: String,
        stage: String,
        message: String,
    },
}

impl Checkpoint {
    /// Writes the checkpoint below `output`, then removes the states of the one before it. A checkpoint after as many batches
    /// must not be there: its states have the same names.
    ///
    /// # Errors
    /// [`SaveError`]; the checkpoint before it is then still good.
    pub fn save(&self, output: &Path) -> Result<(), SaveError> {
        self.save_with(output, self.analyses.iter().cloned())
    }

    /// As [`save`](Self::save), of analyses whose states are made one after the other, when each is written: that of one is in memory at a time.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub(crate) fn save_with(
        &self,
        output: &Path,
        states: impl Iterator<Item = (String, Progress)>,
    ) -> Result<(), SaveError> {
        let folder = output.join(STATE);
        let mut analyses = Vec::new();
        let mut files = Vec::new();
        for (name, progress) in states {
            analyses.push(match progress {
                Progress::Running(state) => {
                    let file = format!("{name}.{}.safetensors", self.batches);
                    let bytes = state.to_bytes().map_err(|e| SaveError::State(name.clone(), e))?;
                    drop(state);
                    write(&folder.join(&file), &bytes)?;
                    files.extend([file.clone(), interim_file(&name)]);
                    WrittenAnalysis::Running { name, file, sha256: Some(sha256(&bytes)) }
                }
                Progress::Failed(stage, message) => WrittenAnalysis::Failed { name, stage, message },
            });
        }
        let Counts { texts, tokens, truncated_texts, truncated_tokens, skipped_empty } = self.counts;
        let written = Written {
            format: FORMAT,
            identity: self.identity.clone(),
            share: self.share.clone(),
            batches: self.batches,
            data_batches: Some(self.data_batches),
            counts: [texts, tokens, truncated_texts, truncated_tokens, skipped_empty],
            parity: self.parity.clone(),
            told: self.told.clone(),
            skipped: self.skipped.clone(),
            threads: self.threads,
            plan_file: self.plan_file.clone().filter(|file| file.to_str().is_some()),
            analyses,
        };
        write_json(&folder.join(CHECKPOINT), &seal(json!(written)))?;
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let states = names.filter(|name| is_state_file(name) || name.ends_with(".sqlite"));
        for old in states.filter(|name| !files.contains(name)) {
            let _ = remove(&folder.join(old)); // harmless where it stays, and gone when the run ends
        }
        Ok(())
    }

    /// The checkpoint below `output`; `None` if there is none.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`] names the file, [`ResumeError::Unreadable`] what the system refuses to read.
    pub fn load(output: &Path) -> Result<Option<Self>, ResumeError> {
        let folder = output.join(STATE);
        let path = folder.join(CHECKPOINT);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ResumeError::Unreadable { path, source }),
        };
        let damaged = |what: String| ResumeError::Damaged { path: path.clone(), what };
        let not_one = |e| damaged(format!("not a checkpoint: {e}"));
        let mut document: Value = serde_json::from_slice(&bytes).map_err(not_one)?;
        let sealed = unseal(&mut document).map_err(damaged)?;
        let written: Written = serde_json::from_value(document).map_err(not_one)?;
        match written.format {
            FORMAT if !sealed => return Err(damaged("its own SHA-256 is missing".to_owned())),
            1 | FORMAT => {}
            other => return Err(damaged(format!("checkpoint format {other}, needed {FORMAT}"))),
        }
        let mut analyses = Vec::new();
        for analysis in written.analyses {
            analyses.push(match analysis {
                WrittenAnalysis::Failed { name, stage, message } => (name, Progress::Failed(stage, message)),
                WrittenAnalysis::Running { name, file, sha256 } => {
                    (name, Progress::Running(load_state(folder.join(file), sha256.as_deref())?))
                }
            });
        }
        let [texts, tokens, truncated_texts, truncated_tokens, skipped_empty] = written.counts;
        Ok(Some(Self {
            identity: written.identity,
            share: written.share,
            batches: written.batches,
            data_batches: written.data_batches.unwrap_or(written.batches),
            counts: Counts { texts, tokens, truncated_texts, truncated_tokens, skipped_empty },
            parity: written.parity,
            told: written.told,
            skipped: written.skipped,
            threads: written.threads,
            plan_file: written.plan_file,
            analyses,
        }))
    }

    /// What it has of an analysis of the run.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`] if it has nothing: the analysis would miss the batches that are done.
    pub fn analysis(&self, name: &str, output: &Path) -> Result<&Progress, ResumeError> {
        let found = self.analyses.iter().find(|(found, _)| found == name);
        found.map(|(_, progress)| progress).ok_or_else(|| ResumeError::Damaged {
            path: output.join(STATE).join(CHECKPOINT),
            what: format!("has no state of analysis {name:?}, which the plan has"),
        })
    }

    /// Whether a run of this identity, and of this share of the data, may go on from here.
    ///
    /// # Errors
    /// [`ResumeError::Different`] names everything that is not as it was, [`ResumeError::Share`] what the checkpoint is about instead.
    pub fn check(&self, now: &Identity, share: &Share, output: &Path) -> Result<(), ResumeError> {
        let differences = self.identity.differences(now);
        if !differences.is_empty() {
            return Err(ResumeError::Different { path: output.to_owned(), differences });
        }
        if self.share != *share {
            return Err(ResumeError::Share { path: output.to_owned(), found: self.share.to_string() });
        }
        Ok(())
    }

    /// Whether what a run of this identity has absorbed may be put together with it.
    ///
    /// # Errors
    /// [`MergeError::Different`] names everything that differs.
    pub fn check_part(&self, now: &Identity, folder: &Path) -> Result<(), MergeError> {
        match self.identity.differences(now) {
            differences if differences.is_empty() => Ok(()),
            differences => Err(MergeError::Different { path: folder.to_owned(), differences }),
        }
    }
}

/// A state, if it is the one that was written.
fn load_state(path: PathBuf, needed: Option<&str>) -> Result<State, ResumeError> {
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ResumeError::Damaged { path, what: "is gone".to_owned() });
        }
        Err(source) => return Err(ResumeError::Unreadable { path, source }),
    };
    let found = sha256(&bytes);
    if let Some(needed) = needed.filter(|needed| *needed != found) {
        let what = format!("has been changed since it was written: its SHA-256 is {found}, needed {needed}");
        return Err(ResumeError::Damaged { path, what });
    }
    State::from_bytes(&bytes).map_err(|error| ResumeError::Damaged { path, what: error.to_string() })
}
