//! A model as a page and as pictures.

use std::path::PathBuf;

use fmrai_core::graph::{Graph, RecordedGraph};
use fmrai_core::structure::{Structure, opaque_operations};
use fmrai_report::model::{Model as Shown, to_model_explorer, to_svg};
use fmrai_report::{Document, FORMAT, html};
use fmrai_torch::model::Model;
use serde_json::{Map, json};

use crate::error::Error;
use crate::results;
use crate::version::Versions;

/// Files that are written of a graph, where they are asked for.
#[derive(Debug, Default)]
pub(crate) struct PageOptions {
    /// A report of the model alone.
    pub(crate) html: Option<PathBuf>,
    /// A picture of the graph.
    pub(crate) svg: Option<PathBuf>,
    /// JSON for Model Explorer.
    pub(crate) model_explorer: Option<PathBuf>,
}

/// Writes those that are asked for; the picture of the `small` graph, where there is one.
pub(super) fn write(
    options: &PageOptions,
    model: &dyn Model,
    graph: &dyn Graph,
    structure: &Structure,
    small: Option<&RecordedGraph>,
) -> Result<(), Error> {
    let info = model.info();
    let path = info.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let title =
        if path.is_empty() { info.architecture.clone() } else { format!("{} {path}", info.architecture) };
    if let Some(file) = &options.svg {
        let picture = match small {
            Some(small) => to_svg(small, &Structure::default(), &title),
            None => to_svg(graph, structure, &title),
        };
        results::write(file, picture.as_bytes())?;
    }
    let unwritable = |error: serde_json::Error| Error::Internal(format!("the graph as JSON: {error}"));
    if let Some(file) = &options.model_explorer {
        let text = to_model_explorer(graph, structure, &title).map_err(unwritable)?;
        results::write(file, text.as_bytes())?;
    }
    if let Some(file) = &options.html {
        let mut run = Map::new();
        run.insert("versions".to_owned(), json!(Versions::current()));
        run.insert("model".to_owned(), json!(info));
        let warnings: Vec<String> = info.warnings.iter().cloned().chain(opaque_operations(graph)).collect();
        run.insert("warnings".to_owned(), json!(warnings));
        let document = Document {
            format: FORMAT,
            title,
            status: "inspected".to_owned(),
            run,
            model: Some(Shown::of(graph, structure)),
            analyses: Vec::new(),
            notes: Vec::new(),
        };
        results::write(file, html(document).map_err(unwritable)?.as_bytes())?;
    }
    Ok(())
}
