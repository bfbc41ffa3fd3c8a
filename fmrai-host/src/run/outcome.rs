//! How a run ended.

use std::path::PathBuf;

use fmrai_torch::data::Counts;
use serde_json::{Map, Value};

use super::lane::Failure;
use super::parity::ParityReport;
use super::recorder::Recorded;
use crate::error::Exit;

/// How a run ended. `R` is what is handed back of each analysis: the fields that sum it up, or its whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<R = Map<String, Value>> {
    /// The output folder, if results were written.
    pub output: Option<PathBuf>,
    /// What it was about where that is a part of the data: no conclusions are drawn then, and of the analyses those that failed are told.
    pub part: Option<String>,
    /// What was read.
    pub counts: Counts,
    /// The comparison with the untouched model; of a run from a recording, the one that was made when that was recorded.
    pub parity: Option<ParityReport>,
    /// True if the activations come from a recording, so that no model ran.
    pub recorded: bool,
    /// Weights that hold NaN or infinity.
    pub non_finite_weights: usize,
    /// What else a user should know: of the model, and of the tensors that were kept. A sentence each.
    pub warnings: Vec<String>,
    /// How many of these, the first ones, were logged when the run began.
    pub logged_warnings: usize,
    /// Each analysis by name.
    pub analyses: Vec<(String, Answer<R>)>,
    /// The activations that were written, if any.
    pub activations: Option<Recorded>,
}

/// The answer of an analysis, or its failure.
pub type Answer<R = Map<String, Value>> = Result<R, Failure>;

impl<R> Outcome<R> {
    /// The answer of the analysis called `name`; `None` if there is none of that name.
    #[must_use]
    pub fn answer(&self, name: &str) -> Option<&Answer<R>> {
        self.analyses.iter().find(|(other, _)| other == name).map(|(_, answer)| answer)
    }

    /// The exit code of this outcome.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.outputs_differ() {
            return Exit::OutputsDiffer;
        }
        if self.analyses.iter().any(|(_, a)| a.is_err()) { Exit::AnalysisFailed } else { Exit::Success }
    }

    /// True if the watched model gave other outputs than the untouched one: nothing that it kept can then be trusted.
    #[must_use]
    pub fn outputs_differ(&self) -> bool {
        self.parity.as_ref().is_some_and(|parity| !parity.agrees)
    }
}
