//! The folder that results go to: what is in it, and what may be replaced.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::checkpoint::FOLDER as CHECKPOINT;
use crate::plan::ResolvedPlan;

/// What an output folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing; it may be absent.
    Nothing,
    /// An unfinished run.
    Unfinished,
    /// Results of the same plan.
    SamePlan,
    /// Results of another plan.
    OtherPlan,
    /// Something that this program has not written; the name of one such file.
    Foreign(String),
}

/// Why an output folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It holds something that would be mixed up with the results.
    #[error("the output folder {path} {found}: choose another with --output, or replace it with --force", path = path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// It holds an unfinished run.
    #[error("the output folder {path} holds an unfinished run: go on with --resume, or start again with --force", path = path.display())]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// It is no folder.
    #[error("the output {path} is a file, needed a folder", path = path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the output folder {path}: {source}", path = path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Looks into an output folder.
///
/// # Errors
/// [`FolderError::Io`] if it cannot be read.
pub fn occupant(folder: &Path, plan: &Value) -> Result<Occupant, FolderError> {
    let io = |source| FolderError::Io { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Occupant::Nothing),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(FolderError::NotAFolder { path: folder.to_owned() });
        }
        Err(error) => return Err(io(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        names.insert(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    if folder.join(CHECKPOINT).join("checkpoint.json").exists() {
        return Ok(Occupant::Unfinished);
    }
    if let Some(there) = read_json(&folder.join("plan.json")).filter(|_| names.contains("summary.json")) {
        let same = ResolvedPlan::essence(&there) == ResolvedPlan::essence(plan);
        return Ok(if same { Occupant::SamePlan } else { Occupant::OtherPlan });
    }
    // What a killed run may leave behind is ours.
    let ours = |name: &str| name == CHECKPOINT || (name.starts_with(".fmrai-") && name.ends_with(".tmp"));
    Ok(names.into_iter().find(|name| !ours(name)).map_or(Occupant::Nothing, Occupant::Foreign))
}

/// Whether a run may write into `folder`.
///
/// # Errors
/// [`FolderError`] says what is in the way.
pub fn admit(folder: &Path, plan: &Value, resume: bool, force: bool) -> Result<Occupant, FolderError> {
    let occupant = occupant(folder, plan)?;
    let found = match &occupant {
        _ if force => return Ok(occupant),
        Occupant::Nothing | Occupant::SamePlan => return Ok(occupant),
        Occupant::Unfinished if resume => return Ok(occupant),
        Occupant::Unfinished => return Err(FolderError::Unfinished { path: folder.to_owned() }),
        Occupant::OtherPlan => "holds results of another plan".to_owned(),
        Occupant::Foreign(name) => format!("holds {name:?}, which fmrai has not written"),
    };
    Err(FolderError::Occupied { path: folder.to_owned(), found })
}

/// The files that the run whose results are in `folder` has written, as its summary lists them.
#[must_use]
pub fn listed(folder: &Path) -> BTreeSet<PathBuf> {
    let summary = read_json(&folder.join("summary.json")).unwrap_or_default();
    let analyses = summary.get("analyses").and_then(Value::as_array).cloned().unwrap_or_default();
    let files = analyses.iter().filter_map(|a| a.get("files")).filter_map(Value::as_array).flatten();
    let mut files: BTreeSet<PathBuf> =
        files.filter_map(Value::as_str).map(PathBuf::from).filter(|path| below(path)).collect();
    if summary.get("activations").is_some() {
        files.extend(crate::run::activation_files(folder));
    }
    files
}

/// Removes files of an earlier run that the new one has not written again, then folders left empty by that.
/// Nothing else is touched; what cannot be removed stays.
pub fn remove_stale(folder: &Path, old: &BTreeSet<PathBuf>, new: &BTreeSet<PathBuf>) {
    for path in old.difference(new) {
        if let Err(error) = std::fs::remove_file(folder.join(path)) {
            tracing::debug!(%error, file = %path.display(), "an old file was not removed");
        }
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            if std::fs::remove_dir(folder.join(parent)).is_err() {
                break; // not empty
            }
        }
    }
}

/// True for a relative path that stays below its folder.
fn below(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_)))
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_results_of_the_same_plan_are_replaced_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let plan = json!({"format": 1, "output": "out", "checkpoint_seconds": 60, "data": {"path": "a"}});
        assert_eq!(occupant(&out, &plan).unwrap(), Occupant::Nothing);

        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("notes.txt"), "mine").unwrap();
        assert_eq!(
            admit(&out, &plan, false, false).unwrap_err().to_string(),
            format!(
                "the output folder {} holds \"notes.txt\", which fmrai has not written: \
                 choose another with --output, or replace it with --force",
                out.display()
            )
        );
        assert!(admit(&out, &plan, false, true).is_ok());

        super::super::write_json(&out.join("plan.json"), &plan).unwrap();
        super::super::write_json(&out.join("summary.json"), &json!({})).unwrap();
        let elsewhere = json!({"format": 1, "output": "b", "checkpoint_seconds": 1, "data": {"path": "a"}});
        assert_eq!(admit(&out, &elsewhere, false, false).unwrap(), Occupant::SamePlan);
        let other = json!({"format": 1, "output": "out", "checkpoint_seconds": 60, "data": {"path": "b"}});
        assert!(admit(&out, &other, false, false).unwrap_err().to_string().contains("another plan"));

        super::super::write_json(&out.join(CHECKPOINT).join("checkpoint.json"), &json!({})).unwrap();
        assert!(matches!(admit(&out, &plan, false, false), Err(FolderError::Unfinished { .. })));
        assert_eq!(admit(&out, &plan, true, false).unwrap(), Occupant::Unfinished);
    }

    #[test]
    fn stale_files_go_and_foreign_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        for name in ["out/a/tables/old.csv", "out/a/summary.json", "out/a/mine.txt", "outside"] {
            super::super::write(&folder.path().join(name), b"x").unwrap();
        }
        let files = ["a/tables/old.csv", "a/summary.json", "../outside", "/etc/hostname"];
        let summary = json!({"analyses": [{"name": "a", "files": files}]});
        super::super::write_json(&out.join("summary.json"), &summary).unwrap();
        let old = listed(&out);
        assert_eq!(old.len(), 2, "paths that leave the folder are not ours: {old:?}");
        remove_stale(&out, &old, &BTreeSet::from([PathBuf::from("a/summary.json")]));
        assert!(!out.join("a/tables").exists());
        assert!(out.join("a/summary.json").exists() && out.join("a/mine.txt").exists());
        assert!(folder.path().join("outside").exists());
    }
}
