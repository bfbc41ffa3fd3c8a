//! `fmrai report`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Exit};
use crate::paths::shown;
use crate::results::folder::REPORT;
use crate::results::{write, write_json};
use crate::{report, terminal};

/// Writes the page of a results folder, and its data where they are asked for.
pub(crate) fn report(folder: &Path, html: Option<PathBuf>, json: Option<&Path>) -> Result<Exit, Error> {
    if let Some(json) = json {
        write_json(json, &report::document(folder)?)?;
        if html.is_none() {
            terminal::answer(&format!("data: {}", shown(json).display()))?;
            return Ok(Exit::Success);
        }
    }
    let file = html.unwrap_or_else(|| folder.join(REPORT));
    write(&file, report::page(folder)?.as_bytes())?;
    terminal::answer(&format!("report: {}", shown(&file).display()))?;
    Ok(Exit::Success)
}
