//! What a plan without mistakes has become.

use std::fmt;
use std::path::PathBuf;

use fmrai_core::structure::StructureFile;
use fmrai_torch::data::RegisteredDataSource;
use fmrai_torch::model::RegisteredModelSource;
use serde_json::{Map, Value, json};

use super::capture::Capture;
use super::catalogue::Offer;
use super::device::DeviceChoice;
use super::limits::Limits;
use super::on_error::OnError;
use super::parity::Parity;
use super::reference::Reference;
use crate::held::Held;

/// A plan without mistakes.
pub struct ResolvedPlan {
    /// The plan's file.
    pub file: PathBuf,
    /// Folder that relative paths of the plan start from: that of its file.
    pub base: PathBuf,
    /// Where batches and their activations come from.
    pub source: Source,
    /// The activations to write.
    pub capture: Option<Capture>,
    /// What corrects the structure that is found.
    pub structure: Option<StructureFile>,
    /// The analyses, in the order of the plan.
    pub analyses: Vec<ResolvedAnalysis>,
    /// Folder for the results.
    pub output: PathBuf,
    /// When to compare with the untouched model.
    pub parity: Parity,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: u64,
    /// Whether a report is written.
    pub report: bool,
    /// Seconds that a batch may take, if there is a limit.
    pub batch_seconds: Option<u64>,
    /// What becomes of what cannot be used.
    pub on_error: OnError,
    /// What the run may take.
    pub limits: Limits,
    /// Where the model runs.
    pub device: DeviceChoice,
    pub(super) document: Value,
}

/// Where batches and their activations come from.
#[derive(Debug)]
pub enum Source {
    /// A model that runs on data.
    Live {
        /// The model.
        model: Box<dyn RegisteredModelSource>,
        /// The data.
        data: Box<dyn RegisteredDataSource>,
    },
    /// A folder of activations that were captured before.
    Activations(PathBuf),
}

/// An analysis that can run.
pub struct ResolvedAnalysis {
    /// Its name, and that of its folder.
    pub name: String,
    /// Its analyzer's `type`.
    pub kind: String,
    /// Its config with all defaults filled in, without `type`.
    pub config: Map<String, Value>,
    /// The analyzer, before it has seen anything; closed where it cannot be made yet.
    pub method: Held,
    /// What it takes from results before it can be made.
    pub later: Option<Later>,
}

/// An analysis that takes values from results, before these are there.
#[derive(Debug, Clone)]
pub struct Later {
    /// What makes a config of it.
    pub(crate) offer: Offer,
    /// Its fields, with its `type` and with stand-ins.
    pub(crate) filled: Value,
    /// The values that it takes.
    pub(crate) references: Vec<Reference>,
    /// Folder that paths of earlier runs start from.
    pub(crate) base: PathBuf,
}

impl ResolvedAnalysis {
    /// It as a plan has it, with all defaults filled in.
    pub(crate) fn document(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), json!(self.kind));
        fields.insert("name".to_owned(), json!(self.name));
        fields.extend(self.config.clone());
        Value::Object(fields)
    }
}

impl fmt::Debug for ResolvedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedPlan").field("file", &self.file).field("document", &self.document).finish()
    }
}

impl ResolvedPlan {
    /// The plan with all defaults filled in; paths as they were written.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The part of a [`document`](Self::document) that results depend on: all of it but where they are written,
    /// how often the state is, whether there is a report, what a batch or the run may take, and where the
    /// model runs.
    #[must_use]
    pub fn essence(document: &Value) -> Value {
        let mut essence = document.clone();
        if let Value::Object(fields) = &mut essence {
            for field in ["output", "checkpoint_seconds", "report", "batch_seconds", "limits", "device"] {
                fields.shift_remove(field);
            }
        }
        essence
    }
}
