//! An unfinished run on disk, so that it can be continued to the identical result.
//!
//! `checkpoint.json` names the other files and is written last, so a run that dies while writing leaves the
//! checkpoint before it intact.

use std::path::{Path, PathBuf};

use fmrai_core::analyzer::{State, StateError};
use fmrai_core::data::Counts;
use fmrai_core::model::FileInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::results::{WriteError, write, write_json};
use crate::run::{ParityReport, Told};
use crate::version::Versions;

fn interim_file(analysis: &str) -> String {
    format!("{analysis}.sqlite")
}

/// The store that an unfinished run has of an analysis below `output`, if it has one.
pub(crate) fn interim_store(output: &Path, analysis: &str) -> PathBuf {
    output.join(FOLDER).join(interim_file(analysis))
}

/// The stores that an unfinished run has below `output`.
pub(crate) fn interim_stores(output: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(output.join(FOLDER)).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "sqlite")).collect()
}

/// Folder of the checkpoint in the output folder.
pub const FOLDER: &str = ".checkpoint";
const FORMAT: u32 = 1;

/// What the result of a run depends on. A checkpoint is continued only where all of it is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The plan with all defaults, without its output folder and the interval of checkpoints.
    pub plan: Value,
    /// Versions of program and libtorch.
    pub versions: Versions,
    /// The model's files: name, bytes, SHA-256.
    pub model: Vec<(String, u64, String)>,
    /// The data's files: name, bytes, SHA-256.
    pub data: Vec<(String, u64, String)>,
    /// Fingerprint of the graph.
    pub graph: String,
}

impl Identity {
    /// The identity of a run.
    #[must_use]
    pub fn new(plan: Value, model: &[FileInfo], data: &[FileInfo], graph: String) -> Self {
        let files = |files: &[FileInfo]| {
            files.iter().map(|f| (f.name.clone(), f.bytes, f.sha256.clone())).collect::<Vec<_>>()
        };
        Self { plan, versions: Versions::current(), model: files(model), data: files(data), graph }
    }

    /// What differs, in words; empty where nothing does.
    fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                differences.push(format!("{what} was {then}, is {now}"));
            }
        };
        // No `..`: a new part of the identity does not compile until it is compared.
        let Self { plan, versions: Versions { fmrai, libtorch }, model, data, graph } = self;
        compare("fmrai", fmrai, &now.versions.fmrai);
        compare("libtorch", libtorch, &now.versions.libtorch);
        if plan != &now.plan {
            let parts = ["model", "data", "activations", "plugins", "analyses", "capture", "parity"];
            let changed: Vec<&str> = parts.into_iter().filter(|p| plan.get(p) != now.plan.get(p)).collect();
            differences.push(format!("the plan has another {}", changed.join(", ")));
        }
        for (what, then, now) in [("model", model, &now.model), ("data", data, &now.data)] {
            for file in then.iter().filter(|file| !now.contains(file)) {
                differences.push(format!("the {what} file {} has changed", file.0));
            }
            for file in now.iter().filter(|file| !then.iter().any(|f| f.0 == file.0)) {
                differences.push(format!("the {what} file {} is new", file.0));
            }
        }
        if differences.is_empty() && graph != &now.graph {
            differences.push("the model runs other operations".to_owned());
        }
        differences
    }
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
    /// Batches absorbed.
    pub batches: u64,
    /// What the data source had counted by then.
    pub counts: Counts,
    /// What the comparisons with the untouched model have given.
    pub parity: Option<ParityReport>,
    /// What was noticed in the tensors that were kept.
    pub told: Told,
    /// Threads that the run was started with.
    pub threads: usize,
    /// Each analysis by name.
    pub analyses: Vec<(String, Progress)>,
}

/// Why a run cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// It would not lead to the same result.
    #[error("the unfinished run in {path} cannot be continued: {}", differences.join("; "), path = path.display())]
    Different {
        /// The output folder.
        path: PathBuf,
        /// What is not as it was.
        differences: Vec<String>,
    },
    /// A file of the checkpoint is damaged.
    #[error("{path}: {what}; start again with --force", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An analyzer refuses its state.
    #[error("analysis {analysis:?} refuses its state: {message}; start again with --force")]
    Refused {
        /// Its name.
        analysis: String,
        /// What it says.
        message: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    identity: Identity,
    batches: u64,
    counts: [u64; 5],
    parity: Option<ParityReport>,
    told: Told,
    threads: usize,
    analyses: Vec<WrittenAnalysis>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenAnalysis {
    Running { name: String, file: String },
    Failed { name: String, stage: String, message: String },
}

/// Why a checkpoint was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A state has no bytes.
    #[error("the state of analysis {0:?}: {1}")]
    State(String, StateError),
}

impl Checkpoint {
    /// Writes the checkpoint below `output`, then removes the one before it.
    ///
    /// # Errors
    /// [`SaveError`]; the checkpoint before it is then still good.
    pub fn save(&self, output: &Path) -> Result<(), SaveError> {
        let folder = output.join(FOLDER);
        let mut analyses = Vec::new();
        let mut files = vec!["checkpoint.json".to_owned()];
        for (name, progress) in &self.analyses {
            analyses.push(match progress {
                Progress::Running(state) => {
                    let file = format!("{name}.{}.safetensors", self.batches);
                    let bytes = state.to_bytes().map_err(|e| SaveError::State(name.clone(), e))?;
                    write(&folder.join(&file), &bytes)?;
                    files.extend([file.clone(), interim_file(name)]);
                    WrittenAnalysis::Running { name: name.clone(), file }
                }
                Progress::Failed(stage, message) => WrittenAnalysis::Failed {
                    name: name.clone(),
                    stage: stage.clone(),
                    message: message.clone(),
                },
            });
        }
        let Counts { texts, tokens, truncated_texts, truncated_tokens, skipped_empty } = self.counts;
        let written = Written {
            format: FORMAT,
            identity: self.identity.clone(),
            batches: self.batches,
            counts: [texts, tokens, truncated_texts, truncated_tokens, skipped_empty],
            parity: self.parity.clone(),
            told: self.told.clone(),
            threads: self.threads,
            analyses,
        };
        write_json(&folder.join("checkpoint.json"), &json!(written))?;
        let old = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in old.filter(|e| !files.iter().any(|f| e.file_name() == f.as_str())) {
            let _ = std::fs::remove_file(entry.path()); // harmless where it stays
        }
        Ok(())
    }

    /// The checkpoint below `output`; `None` if there is none.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`] names the file.
    pub fn load(output: &Path) -> Result<Option<Self>, ResumeError> {
        let folder = output.join(FOLDER);
        let path = folder.join("checkpoint.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ResumeError::Damaged { path, what: error.to_string() }),
        };
        let damaged = |what: String| ResumeError::Damaged { path: path.clone(), what };
        let written: Written =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("not a checkpoint: {e}")))?;
        if written.format != FORMAT {
            return Err(damaged(format!("checkpoint format {}, needed {FORMAT}", written.format)));
        }
        let mut analyses = Vec::new();
        for analysis in written.analyses {
            analyses.push(match analysis {
                WrittenAnalysis::Failed { name, stage, message } => (name, Progress::Failed(stage, message)),
                WrittenAnalysis::Running { name, file } => {
                    let path = folder.join(file);
                    let damaged = |what: String| ResumeError::Damaged { path: path.clone(), what };
                    let bytes = std::fs::read(&path).map_err(|e| damaged(e.to_string()))?;
                    let state = State::from_bytes(&bytes).map_err(|e| damaged(e.to_string()))?;
                    (name, Progress::Running(state))
                }
            });
        }
        let [texts, tokens, truncated_texts, truncated_tokens, skipped_empty] = written.counts;
        Ok(Some(Self {
            identity: written.identity,
            batches: written.batches,
            counts: Counts { texts, tokens, truncated_texts, truncated_tokens, skipped_empty },
            parity: written.parity,
            told: written.told,
            threads: written.threads,
            analyses,
        }))
    }

    /// Whether a run of this identity may go on from here.
    ///
    /// # Errors
    /// [`ResumeError::Different`] names everything that is not as it was.
    pub fn check(&self, now: &Identity, output: &Path) -> Result<(), ResumeError> {
        match self.identity.differences(now) {
            differences if differences.is_empty() => Ok(()),
            differences => Err(ResumeError::Different { path: output.to_owned(), differences }),
        }
    }
}

/// Removes the checkpoint of a finished run.
pub fn remove(output: &Path) {
    let folder = output.join(FOLDER);
    if folder.exists()
        && let Err(error) = std::fs::remove_dir_all(&folder)
    {
        tracing::warn!(%error, folder = %folder.display(), "the checkpoint was not removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            plan: json!({"model": {"path": "a"}, "data": {"path": "b"}}),
            versions: Versions::current(),
            model: vec![("m".into(), 1, "00".into())],
            data: vec![("d".into(), 1, "00".into())],
            graph: "ff".into(),
        }
    }

    fn checkpoint() -> Checkpoint {
        let state = State::new("counting", 1, json!({"texts": 3}));
        Checkpoint {
            identity: identity(),
            batches: 3,
            counts: Counts { texts: 3, tokens: 9, ..Counts::default() },
            parity: None,
            told: Told::default(),
            threads: 2,
            analyses: vec![
                ("a".into(), Progress::Running(state)),
                ("b".into(), Progress::Failed("prepare".into(), "no attention".into())),
            ],
        }
    }

    #[test]
    fn what_is_saved_is_loaded_and_older_states_go() {
        let output = tempfile::tempdir().unwrap();
        assert_eq!(Checkpoint::load(output.path()).unwrap(), None);
        let mut checkpoint = checkpoint();
        checkpoint.save(output.path()).unwrap();
        checkpoint.batches = 4;
        checkpoint.save(output.path()).unwrap();
        assert_eq!(Checkpoint::load(output.path()).unwrap().unwrap(), checkpoint);
        assert_eq!(std::fs::read_dir(output.path().join(FOLDER)).unwrap().count(), 2);
        remove(output.path());
        assert!(!output.path().join(FOLDER).exists());
    }

    #[test]
    fn everything_that_differs_is_named() {
        let now = Identity {
            plan: json!({"model": {"path": "a"}, "data": {"path": "c"}}),
            versions: Versions { fmrai: "0.0.1".into(), ..Versions::current() },
            data: vec![("d".into(), 1, "01".into()), ("e".into(), 1, "00".into())],
            ..identity()
        };
        let error = checkpoint().check(&now, Path::new("out")).unwrap_err().to_string();
        let current = env!("CARGO_PKG_VERSION");
        assert_eq!(
            error,
            format!(
                "the unfinished run in out cannot be continued: fmrai was {current}, is 0.0.1; the plan has \
                 another data; the data file d has changed; the data file e is new"
            )
        );
        let graph = Identity { graph: "00".into(), ..identity() };
        assert!(checkpoint().check(&graph, Path::new("o")).unwrap_err().to_string().contains("operations"));
        assert!(checkpoint().check(&identity(), Path::new("out")).is_ok());
    }

    #[test]
    fn damaged_checkpoints_are_errors() {
        let output = tempfile::tempdir().unwrap();
        checkpoint().save(output.path()).unwrap();
        let state = output.path().join(FOLDER).join("a.3.safetensors");
        std::fs::write(&state, b"short").unwrap();
        let error = Checkpoint::load(output.path()).unwrap_err().to_string();
        assert!(error.starts_with(&state.display().to_string()), "{error}");
        std::fs::write(output.path().join(FOLDER).join("checkpoint.json"), b"{}").unwrap();
        assert!(Checkpoint::load(output.path()).unwrap_err().to_string().contains("not a checkpoint"));
    }
}
