//! Names that this program keeps for itself in an output folder.

/// Folder of everything that belongs to an unfinished run: who owns the output folder, states, results on their way.
pub const STATE: &str = ".checkpoint";
/// In [`STATE`]: a run as it was after some batch.
pub(crate) const CHECKPOINT: &str = "checkpoint.json";
/// In [`STATE`]: hashes of the batches that were captured.
pub(crate) const CAPTURED: &str = "batches.sha256";
/// In [`STATE`]: locked by the process that writes here.
pub(super) const LOCK: &str = "lock";
/// In [`STATE`]: for which plan this program took the folder, and which files in it are its own.
pub(crate) const OWNER: &str = "owner.json";
/// In [`STATE`]: results that are complete once they are moved.
pub(super) const STAGED: &str = "results";

/// The run's summary, which makes results complete; the last file to come and the first to go.
pub(crate) const SUMMARY: &str = "summary.json";
/// The plan whose results these are.
pub(crate) const PLAN: &str = "plan.json";
/// What differs from run to run.
pub(crate) const RUN: &str = "run.json";

/// The graph of the model; in [`STATE`] too while a run goes on.
pub(crate) const GRAPH: &str = "graph.json";
/// In [`STATE`]: how far the run is.
pub(crate) const PROGRESS: &str = "progress.json";
/// The page that shows all results.
pub(crate) const REPORT: &str = "report.html";
/// Ends of the names of temporary files.
pub(crate) const TEMPORARY: (&str, &str) = (".fmrai-", ".tmp");

/// True for the name of a temporary file of this program.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// True for the name of an analysis' state after some batch: `NAME.BATCHES.safetensors`.
pub(crate) fn is_state_file(name: &str) -> bool {
    let batches = name.strip_suffix(".safetensors").and_then(|name| name.rsplit_once('.'));
    batches.is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// True for a name that this program gives in [`STATE`].
pub(super) fn is_ours_in_state(name: &str) -> bool {
    [CHECKPOINT, CAPTURED, GRAPH, LOCK, OWNER, PROGRESS, STAGED].contains(&name)
        || is_state_file(name)
        || name.ends_with(".sqlite")
        || is_temporary(name)
}
