//! `fmrai schema`.

use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue};
use crate::terminal;

/// Prints the JSON Schema of a plan.
pub(crate) fn schema(catalogue: &Catalogue) -> Result<Exit, Error> {
    let schema = plan::with_references(plan::schema(catalogue));
    terminal::answer(&format!("{schema:#}"))?;
    Ok(Exit::Success)
}
