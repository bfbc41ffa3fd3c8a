//! The `summary.json` of a run: everything that is the same whenever the plan is run again.

use fmrai_core::graph::{Graph, fingerprint};
use fmrai_core::structure::{Attention, AttentionForm, Structure};
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::data::Counts;
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::ModelInfo;
use serde_json::{Value, json};

use super::FORMAT;
use super::folder::ACTIVATIONS;
use crate::run::{Failure, ParityReport, Recorded};
use crate::version::Versions;

/// What a run has to tell of itself. Times and memory are not among it: they are in `run.json`.
pub struct Summary<'a> {
    /// The plan with all defaults.
    pub plan: &'a Value,
    /// The model; where it was found depends on the current directory, so its path is not in it.
    pub model: &'a Value,
    /// What a user should know of the model.
    pub warnings: &'a [String],
    /// The data files.
    pub files: &'a [FileInfo],
    /// What was read.
    pub counts: Counts,
    /// Batches absorbed.
    pub batches: u64,
    /// The graph.
    pub graph: &'a dyn Graph,
    /// What was found in it.
    pub structure: &'a Structure,
    /// Which form of attention ran where, see [`kernels`].
    pub kernels: &'a Value,
    /// The comparison with the untouched model.
    pub parity: Option<&'a ParityReport>,
    /// True if the comparison was made when the activations were recorded, not in this run.
    pub recorded: bool,
    /// What was noticed in the tensors that were kept.
    pub told: Value,
    /// What was left out because it could not be used, where the plan allows that.
    pub skipped: Option<Value>,
    /// Further files of the run as a whole.
    pub files_of_run: &'a [&'static str],
    /// The analyses.
    pub analyses: &'a [Listed],
    /// The activations that were written, if any.
    pub activations: Option<Recorded>,
}

/// An analysis as the summary lists it.
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its analyzer's `type`.
    pub kind: String,
    /// Why it failed, if it did.
    pub error: Option<Failure>,
    /// Its files, relative to the output folder.
    pub files: Vec<String>,
}

impl Summary<'_> {
    /// The document.
    #[must_use]
    pub fn document(&self) -> Value {
        let analyses: Vec<Value> = self.analyses.iter().map(Listed::document).collect();
        let mut document = json!({
            "format": FORMAT,
            "status": self.status(),
            "versions": Versions::current(),
            "plan": self.plan,
            "model": self.model,
            "data": { "files": self.files, "batches": self.batches, "counts": self.counts },
            "graph": {
                "fingerprint": fingerprint(self.graph),
                "operations": self.graph.operations().len(),
                "tensors": self.graph.tensors().len(),
            },
            "structure": self.structure,
            "kernels": self.kernels,
            "parity": self.parity,
            "told": self.told,
            "files": self.files_of_run,
            "analyses": analyses,
        });
        if let Some(skipped) = &self.skipped {
            document["skipped"] = skipped.clone();
        }
        if self.recorded && self.parity.is_some() {
            document["parity_of"] = json!("recording");
        }
        if !self.warnings.is_empty() {
            document["warnings"] = json!(self.warnings);
        }
        if let Some(Recorded { tensors, batches, bytes }) = self.activations {
            document["activations"] =
                json!({ "folder": ACTIVATIONS, "tensors": tensors, "batches": batches, "bytes": bytes });
        }
        document
    }

    /// How the run ended, in a word: what its exit code says.
    fn status(&self) -> &'static str {
        if self.parity.is_some_and(|parity| !parity.agrees) {
            "outputs_differ"
        } else if self.analyses.iter().any(|analysis| analysis.error.is_some()) {
            "analysis_failed"
        } else {
            "ok"
        }
    }
}

/// The model as summaries tell of it.
#[must_use]
pub fn model(info: &ModelInfo) -> Value {
    json!(info)
}

/// Which form of attention ran where: fused attention whose probabilities were requested ran in explicit form.
#[must_use]
pub fn kernels(structure: &Structure, requested: &CaptureRequest) -> Value {
    let kernel = |form, probabilities| match form {
        AttentionForm::Eager => "eager",
        AttentionForm::Fused if requested.contains(probabilities) => "explicit",
        AttentionForm::Fused => "fused",
    };
    let block = |a: &Attention| {
        json!({
            "layer": a.layer,
            "kind": a.kind,
            "module": a.module,
            "form": a.form,
            "kernel": kernel(a.form, a.probabilities),
        })
    };
    structure.attention.iter().map(block).collect()
}

impl Listed {
    fn document(&self) -> Value {
        let mut document = json!({
            "name": self.name,
            "type": self.kind,
            "status": if self.error.is_none() { "ok" } else { "failed" },
        });
        if let Some(Failure { stage, message }) = &self.error {
            document["error"] = json!({ "stage": stage, "message": message });
        }
        document["files"] = json!(self.files);
        document
    }
}
