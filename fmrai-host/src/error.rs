//! Errors of the program, and the exit codes that callers see.

use fmrai_core::activations::ActivationsError;
use fmrai_core::registry::DuplicateName;
use fmrai_core::selector::{SelectError, SelectorSyntaxError};
use fmrai_core::tracker::TrackError;
use fmrai_torch::bench::StudyError;
use fmrai_torch::data::DataError;
use fmrai_torch::generate::GenerateError;
use fmrai_torch::model::ModelError;

use crate::checkpoint::{MergeError, ResumeError, SaveError};
use crate::plan::{OfferError, PlanError};
use crate::plugins::PluginError;
use crate::results::WriteError;
use crate::results::folder::FolderError;
use crate::run::{ParityError, RunError};

/// What the program tells its caller. The numbers are public: `docs/results.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Success = 0,
    /// The run is done, but at least one analysis failed.
    AnalysisFailed = 1,
    /// The plan, the model, the data or the command line is wrong.
    Input = 2,
    /// The run could not be finished: a file system, libtorch, or a bug.
    Internal = 3,
    /// The run is done, but the watched model gave other outputs than the untouched one.
    OutputsDiffer = 4,
    /// Interrupted; `--resume` goes on from where it was.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Mistakes in a plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A model that cannot be loaded or run.
    #[error("model: {0}")]
    Model(#[from] ModelError),
    /// A text that cannot be continued.
    #[error("generate: {0}")]
    Generate(#[from] GenerateError),
    /// Data that cannot be read.
    #[error("data: {0}")]
    Data(#[from] DataError),
    /// Stored activations that cannot be read, or tensors that cannot be stored.
    #[error("activations: {0}")]
    Activations(#[from] ActivationsError),
    /// A selector that selects nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A text that is no selector.
    #[error(transparent)]
    Selector(#[from] SelectorSyntaxError),
    /// An output folder that cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A run that cannot be continued.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// Parts of a run that cannot be put together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A pass that could not be recorded or followed.
    #[error("{}{}", .0, advice(.0))]
    Track(TrackError),
    /// What happened in one batch.
    #[error("batch {index}: {error}")]
    Batch {
        /// Position of the batch in the run, from 0.
        index: u64,
        /// What happened.
        error: Box<Error>,
    },
    /// A folder that holds no results to report.
    #[error(transparent)]
    Report(#[from] crate::report::ReadError),
    /// A comparison with the untouched model that was not possible.
    #[error("parity: {0}")]
    Parity(#[from] ParityError),
    /// A file that could not be written.
    #[error("{source}{kept}")]
    Write {
        /// The file, and what the system says.
        source: WriteError,
        /// What becomes of the work done so far.
        kept: &'static str,
    },
    /// A checkpoint that could not be written.
    #[error("checkpoint: {0}")]
    Save(#[from] SaveError),
    /// A plugin that cannot be used.
    #[error("plugin: {0}")]
    Plugin(#[from] OfferError),
    /// Two analyzers with one name.
    #[error(transparent)]
    Registry(#[from] DuplicateName),
    /// The run was interrupted.
    #[error("interrupted after {batches} batches; the same command with --resume goes on from there")]
    Interrupted {
        /// Batches absorbed.
        batches: u64,
    },
    /// Parts that are no run, or one that was stopped and has kept nothing.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Something on the command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A bug, or a system that refuses something it always grants.
    #[error("{0}")]
    Internal(String),
}

/// Why a divergence ends the run.
fn advice(error: &TrackError) -> &'static str {
    match error {
        TrackError::Diverged(_) => {
            "; all batches have to run the same operations, or a tensor of one would be mistaken for another"
        }
        _ => "",
    }
}

impl Error {
    /// The exit code of this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Model(ModelError::Torch(_) | ModelError::State { .. })
            | Self::Generate(GenerateError::Model(ModelError::Torch(_) | ModelError::State { .. }))
            | Self::Data(DataError::Torch(_)) => Exit::Internal,
            Self::Plan(_)
            | Self::Plugin(_)
            | Self::Model(_)
            | Self::Generate(_)
            | Self::Data(_)
            | Self::Activations(_)
            | Self::Select(_)
            | Self::Selector(_)
            | Self::Report(_)
            | Self::Merge(_)
            | Self::Usage(_) => Exit::Input,
            Self::Resume(ResumeError::Unreadable { .. })
            | Self::Folder(FolderError::Io { .. } | FolderError::Write(_)) => Exit::Internal,
            Self::Resume(_) => Exit::Input,
            Self::Run(RunError::Stopped { .. }) => Exit::Interrupted,
            Self::Run(_) => Exit::Input,
            Self::Folder(_) => Exit::Input,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::Batch { error, .. } => error.exit(),
            Self::Track(_)
            | Self::Parity(_)
            | Self::Write { .. }
            | Self::Save(_)
            | Self::Registry(_)
            | Self::Internal(_) => Exit::Internal,
        }
    }
}

impl From<PluginError> for Error {
    fn from(error: PluginError) -> Self {
        Self::Plugin(error.into())
    }
}

impl From<StudyError> for Error {
    fn from(error: StudyError) -> Self {
        match error {
            StudyError::Model(error) => Self::Model(error),
            StudyError::Data(error) => Self::Data(error),
            StudyError::Track(error) => Self::from(error),
            StudyError::Selector(error) => Self::Selector(error),
            StudyError::Select(error) => Self::Select(error),
            other => Self::Usage(other.to_string()),
        }
    }
}

impl From<WriteError> for Error {
    fn from(source: WriteError) -> Self {
        Self::Write { source, kept: "" }
    }
}

impl From<TrackError> for Error {
    fn from(error: TrackError) -> Self {
        match error {
            // What the model itself says is more to the point than that it failed under watch.
            TrackError::Forward(source) => match source.downcast::<ModelError>() {
                Ok(error) => Self::Model(*error),
                Err(source) => Self::Track(TrackError::Forward(source)),
            },
            other => Self::Track(other),
        }
    }
}

/// An error and its causes in one line: `error: plan.json: ...`. A cause that its effect repeats is not.
#[must_use]
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let source = std::io::Error::other("disk on fire");
        let error = Error::from(DataError::Io { path: "a.txt".into(), source });
        assert_eq!(one_line(&error), "error: data: a.txt: disk on fire");
        assert_eq!(error.exit(), Exit::Input);
    }

    #[test]
    fn errors_of_the_model_lose_the_wrapping_of_the_tracker() {
        let inner = ModelError::Inputs { found: "nothing".into(), needed: "input_ids".into() };
        let error = Error::from(TrackError::Forward(Box::new(inner)));
        assert_eq!(one_line(&error), "error: model: the model takes input_ids, was given nothing");
        assert_eq!(error.exit(), Exit::Input);
        let other = Error::from(TrackError::Forward("boom".into()));
        assert_eq!(
            (one_line(&other).as_str(), other.exit()),
            ("error: the model failed: boom", Exit::Internal)
        );
    }
}
