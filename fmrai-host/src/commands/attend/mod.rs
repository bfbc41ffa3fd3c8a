//! `fmrai attend`: what the heads of a model look at in one text.

mod heads;
mod picture;
mod text;

use std::path::PathBuf;

use fmrai_core::structure::Structure;
use fmrai_report::html;
use fmrai_torch::bench::Study;
use serde_json::json;

use super::source::subject;
use crate::error::{Error, Exit};
use crate::results;
use crate::run::understanding;
use crate::serve::document_of_text;
use crate::terminal;

/// Version of the file of numbers.
const FORMAT: u32 = 1;

/// Which model reads what, and what is shown of it.
pub(crate) struct AttendOptions {
    pub(crate) model: PathBuf,
    pub(crate) tokenizer: Option<PathBuf>,
    pub(crate) text: String,
    /// Heads by their names; all of them where there are none.
    pub(crate) heads: Vec<String>,
    /// One layer only.
    pub(crate) layer: Option<usize>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) png: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
}

/// Runs a model on one text and shows the attention of its heads.
pub(crate) fn attend(options: &AttendOptions) -> Result<Exit, Error> {
    let subject = subject(&options.model, options.tokenizer.as_deref())?;
    let model = subject.load()?;
    let study = Study::of_texts(model, &[&options.text])?;
    let mut structure: Structure = study.structure().clone();
    understanding::corrected(
        study.graph(),
        &mut structure,
        &study.model().info().path,
        subject.structure.as_ref(),
    )?;
    let attended = heads::of(&study, &structure, &options.heads, options.layer)?;
    if let Some(file) = &options.json {
        let document = json!({ "format": FORMAT, "model": study.model().info().architecture, "text": options.text, "tokens": attended.tokens, "heads": attended.heads });
        results::write_json(file, &document)?;
    }
    if options.svg.is_some() || options.png.is_some() {
        let drawing = fmrai_draw::draw(&picture::figure(&attended, !options.heads.is_empty()))
            .map_err(|error| Error::Internal(error.to_string()))?;
        if let Some(file) = &options.svg {
            results::write(file, drawing.svg().as_bytes())?;
        }
        if let Some(file) = &options.png {
            let png = drawing.png(2.0).map_err(|error| Error::Internal(error.to_string()))?;
            results::write(file, &png)?;
        }
    }
    terminal::answer(&match options.heads.is_empty() {
        true => text::links(&attended),
        false => text::matrices(&attended),
    })?;
    if let Some(file) = &options.html {
        let document = document_of_text(study.into_model(), &options.text).map_err(Error::Usage)?;
        let page = html(document).map_err(|error| Error::Internal(format!("the page: {error}")))?;
        results::write(file, page.as_bytes())?;
    }
    Ok(Exit::Success)
}
