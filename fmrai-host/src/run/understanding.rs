//! What a model is made of: what the finders say, what a file beside it says, and what a pass says of both.

use std::path::Path;

use fmrai_core::graph::Graph;
use fmrai_core::structure::{Structure, StructureFile, needed};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{NamedTensors, correct_structure};

use super::watched::Watched;
use crate::error::Error;

/// Bytes of tensors that one check keeps.
const BUDGET: u64 = 256 << 20;

/// Puts what the file beside a model says in the place of what was found, then what a plan says; which file that was.
pub(crate) fn corrected(
    graph: &dyn Graph,
    structure: &mut Structure,
    model: &Path,
    plan: Option<&StructureFile>,
) -> Result<Option<FileInfo>, Error> {
    let file = correct_structure(graph, structure, model).map_err(|error| Error::Usage(error.to_string()))?;
    if let Some(plan) = plan {
        let wrong = |error| Error::Usage(format!("structure of the plan: {error}"));
        plan.apply(graph, structure).map_err(wrong)?;
    }
    Ok(file)
}

/// Takes out what a pass on `inputs` contradicts, and says why. A pass that cannot be checked leaves all as it is.
pub(crate) fn checked(
    graph: &dyn Graph,
    structure: &mut Structure,
    watched: &mut Watched<'_>,
    inputs: &NamedTensors,
) -> Vec<String> {
    let request = needed(graph, structure, BUDGET);
    if request.tensors().len() == 0 {
        return Vec::new();
    }
    match watched.aside(inputs, &request) {
        Ok(pass) => structure.check(graph, pass.as_ref()).doubts.iter().map(ToString::to_string).collect(),
        Err(error) => {
            tracing::debug!("what was found was not checked on a pass: {error}");
            Vec::new()
        }
    }
}
