//! What a model is made of: what the finders say, what a file beside it says, and what a pass says of both.

use std::path::{Path, PathBuf};

use fmrai_core::graph::Graph;
use fmrai_core::structure::{Structure, StructureFile, needed};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::NamedTensors;

use super::watched::Watched;
use crate::error::Error;

/// Bytes of tensors that one check keeps.
const BUDGET: u64 = 256 << 20;

/// The file that may correct the structure of a model: `structure.json` in its folder, `model.structure.json` beside `model.pt2`.
pub(crate) fn beside(model: &Path) -> PathBuf {
    if model.is_dir() { model.join("structure.json") } else { model.with_extension("structure.json") }
}

/// Puts what the file beside a model says in the place of what was found, then what a plan says; which file that was.
pub(crate) fn corrected(
    graph: &dyn Graph,
    structure: &mut Structure,
    model: &Path,
    plan: Option<&StructureFile>,
) -> Result<Option<FileInfo>, Error> {
    let file = beside_corrected(graph, structure, model)?;
    if let Some(plan) = plan {
        let wrong = |error| Error::Usage(format!("structure of the plan: {error}"));
        plan.apply(graph, structure).map_err(wrong)?;
    }
    Ok(file)
}

fn beside_corrected(
    graph: &dyn Graph,
    structure: &mut Structure,
    model: &Path,
) -> Result<Option<FileInfo>, Error> {
    let path = beside(model);
    let wrong = |what: String| Error::Usage(format!("{}: {what}", path.display()));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let info = FileInfo::read(&path, &name).map_err(|error| wrong(error.to_string()))?;
    let file = StructureFile::parse(&text).map_err(|error| wrong(error.to_string()))?;
    file.apply(graph, structure).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(info))
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
