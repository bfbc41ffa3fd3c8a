//! What a command is about: a model, or what a plan says of one.

use std::path::{Path, PathBuf};

use fmrai_core::structure::StructureFile;
use fmrai_torch::Device;
use fmrai_torch::data::RegisteredDataSource;
use fmrai_torch::model::{LoadContext, Model, RegisteredModelSource};

use super::named::{Named, named};
use crate::error::Error;
use crate::plan::{self, ResolvedPlan, Source};

/// A model, with what a plan says of it where a plan was named.
pub(in crate::commands) struct Subject {
    pub(in crate::commands) model: Box<dyn RegisteredModelSource>,
    /// A plan's data.
    pub(in crate::commands) data: Option<Box<dyn RegisteredDataSource>>,
    /// What a plan says of the structure.
    pub(in crate::commands) structure: Option<StructureFile>,
    /// Folder that relative paths start from.
    pub(in crate::commands) base: PathBuf,
}

impl Subject {
    /// Reads the model.
    pub(in crate::commands) fn load(&self) -> Result<Box<dyn Model>, Error> {
        Ok(self.model.load(&LoadContext::new(&self.base, Device::Cpu))?)
    }
}

/// What stands at a path; of a plan its model and data, whatever its analyses are.
pub(in crate::commands) fn subject(path: &Path, tokenizer: Option<&Path>) -> Result<Subject, Error> {
    match named(path, tokenizer)? {
        Named::Model(model) => Ok(Subject { model, data: None, structure: None, base: PathBuf::new() }),
        Named::Plan(file) => {
            let ResolvedPlan { source, structure, base, .. } = plan::read_subject(&file, None)?;
            match source {
                Source::Live { model, data } => Ok(Subject { model, data: Some(data), structure, base }),
                Source::Activations(_) => Err(no_model(&file)),
            }
        }
    }
}

/// Why a plan that has stored activations in place of a model is of no use.
pub(in crate::commands) fn no_model(plan: &Path) -> Error {
    let what = "the plan has activations in place of a model, needed is a model that can run";
    Error::Usage(format!("{}: {what}", plan.display()))
}
