//! What an output folder holds, and whether a run may write there.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::FolderError;
use super::listing::read_json;
use super::names::{CHECKPOINT, OWNER, PLAN, STATE, SUMMARY, is_ours_in_state, is_temporary};
use super::owner::Owner;
use crate::plan::ResolvedPlan;

/// What an output folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing; it may be absent.
    Nothing,
    /// An unfinished run that can be continued.
    Unfinished,
    /// A run of the same plan that ended before it had done anything, whatever else is there.
    Begun,
    /// Results of the same plan.
    SamePlan,
    /// Results of another plan.
    OtherPlan,
    /// Something that this program has not written; the name of one such file.
    Foreign(String),
}

/// Looks into an output folder.
///
/// # Errors
/// [`FolderError::Io`] if it cannot be read, [`FolderError::NotAFolder`] if it is something else.
pub fn occupant(folder: &Path, plan: &Value) -> Result<Occupant, FolderError> {
    let Some(names) = names(folder)? else { return Ok(Occupant::Nothing) };
    let checkpoint = folder.join(STATE).join(CHECKPOINT);
    if checkpoint.try_exists().map_err(|source| FolderError::Io { path: checkpoint, source })? {
        return Ok(Occupant::Unfinished);
    }
    let plan = ResolvedPlan::essence(plan);
    let owner = Owner::read(folder)?;
    let begun = owner.as_ref().is_some_and(|owner| owner.plan == plan);
    if let Some(there) = read_json(&folder.join(PLAN))?.filter(|_| names.contains(SUMMARY)) {
        return Ok(match ResolvedPlan::essence(&there) == plan {
            true => Occupant::SamePlan,
            false if begun => Occupant::Begun,
            false => Occupant::OtherPlan,
        });
    }
    if begun {
        return Ok(Occupant::Begun);
    }
    let files = owner.map(|owner| owner.files).unwrap_or_default();
    let owned = first_parts(&files);
    let foreign = names.into_iter().find_map(|name| match name.as_str() {
        STATE => foreign_in_state(folder),
        ours if is_temporary(ours) || owned.contains(ours) => None,
        _ => Some(name),
    });
    Ok(foreign.map_or(Occupant::Nothing, Occupant::Foreign))
}

/// Whether a run may write into `folder`.
///
/// # Errors
/// [`FolderError`] says what is in the way.
pub(super) fn admit(folder: &Path, plan: &Value, resume: bool, force: bool) -> Result<Occupant, FolderError> {
    let occupant = occupant(folder, plan)?;
    let found = match &occupant {
        _ if force => return Ok(occupant),
        Occupant::Nothing | Occupant::Begun | Occupant::SamePlan => return Ok(occupant),
        Occupant::Unfinished if resume => return Ok(occupant),
        Occupant::Unfinished => return Err(FolderError::Unfinished { path: folder.to_owned() }),
        Occupant::OtherPlan => "holds results of another plan".to_owned(),
        Occupant::Foreign(name) => format!("holds {name:?}, which fmrai has not written"),
    };
    Err(FolderError::Occupied { path: folder.to_owned(), found })
}

/// The names in a folder; `None` if it is absent.
fn names(folder: &Path) -> Result<Option<BTreeSet<String>>, FolderError> {
    let io = |source| FolderError::Io { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(FolderError::NotAFolder { path: folder.to_owned() });
        }
        Err(error) => return Err(io(error)),
    };
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| entry.map(name).map_err(io)).collect::<Result<_, _>>().map(Some)
}

/// The folder of an unfinished run may be somebody else's of the same name.
fn foreign_in_state(folder: &Path) -> Option<String> {
    let state = folder.join(STATE);
    if state.join(OWNER).exists() {
        return None;
    }
    let names = names(&state).ok().flatten().unwrap_or_default();
    names.into_iter().find(|name| !is_ours_in_state(name)).map(|name| format!("{STATE}/{name}"))
}

/// The names of the folder's own entries among these paths below it.
fn first_parts(files: &BTreeSet<PathBuf>) -> BTreeSet<&str> {
    files.iter().filter_map(|file| file.iter().next()?.to_str()).collect()
}
