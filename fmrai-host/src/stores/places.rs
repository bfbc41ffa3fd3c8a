//! Where the stores of a run are.

use std::path::{Path, PathBuf};

use crate::checkpoint;
use crate::error::Error;
use crate::results::STORE;

/// The stores of a run, of the folder of an analysis, or the store itself; at least one.
pub(crate) fn stores(run: &Path) -> Result<Vec<PathBuf>, Error> {
    if run.is_file() {
        return Ok(vec![run.to_owned()]);
    }
    if run.join(STORE).is_file() {
        return Ok(vec![run.join(STORE)]);
    }
    let entries = std::fs::read_dir(run).map_err(|e| Error::Usage(format!("{}: {e}", run.display())))?;
    let paths = entries.flatten().map(|entry| entry.path().join(STORE));
    let mut stores: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    if stores.is_empty() {
        stores = checkpoint::interim_stores(run);
        if !stores.is_empty() {
            tracing::warn!(
                "the run is unfinished: this is what it had seen when this store was last written"
            );
        }
    }
    if stores.is_empty() {
        let needed = "needed the output folder of a run with an analysis that leaves relations";
        return Err(Error::Usage(format!("{}: no {STORE} in it, {needed}", run.display())));
    }
    stores.sort();
    Ok(stores)
}
