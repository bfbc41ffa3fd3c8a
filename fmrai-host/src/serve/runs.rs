//! Which runs there are. Requests name a run by a name that was made here, never by a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::results::folder::{OWNER, PLAN, PROGRESS, RUN, STATE, SUMMARY};

/// How deep below a folder runs are looked for, and how many folders are looked into.
const DEPTH: usize = 3;
const FOLDERS: usize = 5000;

/// The folders that were named.
pub(super) struct Runs {
    folders: Vec<PathBuf>,
    /// What was read of a summary, and when that was written.
    known: Mutex<BTreeMap<PathBuf, (SystemTime, Value)>>,
}

impl Runs {
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, known: Mutex::default() }
    }

    /// The runs that there are now, by name. Links are not followed below the folders that were named.
    pub(super) fn all(&self) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        let mut left = FOLDERS;
        for folder in &self.folders {
            let own = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            let name =
                own.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned());
            collect(&own, &name, DEPTH, &mut left, &mut found);
        }
        found
    }

    /// The folder of a run.
    pub(super) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.all().remove(name)
    }

    /// A line for each run.
    pub(super) fn list(&self) -> Value {
        self.all().iter().map(|(name, folder)| line(name, folder, &self.summary(folder))).collect()
    }

    /// The part of a summary that a list shows. Summaries are large, and lists are asked for often.
    fn summary(&self, folder: &Path) -> Value {
        let path = folder.join(SUMMARY);
        let Ok(written) = std::fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
            return Value::Null;
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, summary)) = known.get(&path)
            && *at == written
        {
            return summary.clone();
        }
        let mut summary = read(&path).unwrap_or_default();
        if let Value::Object(fields) = &mut summary {
            fields.retain(|name, _| ["status", "model", "data", "analyses"].contains(&name.as_str()));
        }
        known.insert(path, (written, summary.clone()));
        summary
    }
}

fn collect(folder: &Path, name: &str, depth: usize, left: &mut usize, found: &mut BTreeMap<String, PathBuf>) {
    if is_run(folder) {
        // Two named folders may end alike.
        let mut unique = name.to_owned();
        for i in 2.. {
            if !found.contains_key(&unique) {
                break;
            }
            unique = format!("{name} ({i})");
        }
        found.insert(unique, folder.to_owned());
        return;
    }
    if depth == 0 {
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut below: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|e| e.file_name())
        .collect();
    below.sort();
    for own in below {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let own = own.to_string_lossy().into_owned();
        collect(&folder.join(&own), &format!("{name}/{own}"), depth - 1, left, found);
    }
}

fn is_run(folder: &Path) -> bool {
    folder.join(SUMMARY).is_file() && folder.join(PLAN).is_file() || folder.join(STATE).join(OWNER).is_file()
}

fn read(path: &Path) -> Option<Value> {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// What a list says of a run.
fn line(name: &str, folder: &Path, summary: &Value) -> Value {
    let own = read(&folder.join(RUN)).unwrap_or_default();
    let going = folder.join(STATE).is_dir();
    let analyses = summary["analyses"].as_array().into_iter().flatten();
    let analyses: Vec<Value> =
        analyses.map(|a| json!({ "name": a["name"], "type": a["type"], "status": a["status"] })).collect();
    json!({
        "name": name,
        "status": if summary.is_null() { json!("unfinished") } else { summary["status"].clone() },
        "going": going,
        "progress": if going { read(&folder.join(STATE).join(PROGRESS)) } else { None },
        "model": summary["model"]["architecture"],
        "texts": summary["data"]["counts"]["texts"],
        "started": own["started"],
        "seconds": own["seconds"]["total"],
        "analyses": analyses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_below_the_named_folders_and_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let run = |path: &str| {
            let folder = place.path().join(path);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(SUMMARY), "{}").unwrap();
            std::fs::write(folder.join(PLAN), "{}").unwrap();
        };
        run("named/a");
        run("named/deep/b");
        run("other/c");
        let unfinished = place.path().join("named/d").join(STATE);
        std::fs::create_dir_all(&unfinished).unwrap();
        std::fs::write(unfinished.join(OWNER), "{}").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.path().join("other"), place.path().join("named/link")).unwrap();
        let runs = Runs::new(vec![place.path().join("named"), place.path().join("named/a")]);
        let names: Vec<String> = runs.all().into_keys().collect();
        assert_eq!(names, ["a", "named/a", "named/d", "named/deep/b"]);
        for stranger in ["other/c", "../other/c", "named/link/c", "", "named", "/etc"] {
            assert_eq!(runs.folder(stranger), None, "{stranger}");
        }
    }
}
