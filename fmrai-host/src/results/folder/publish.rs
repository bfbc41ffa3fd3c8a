//! New results take the place of old ones: all of them or none.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use fmrai_core::report::Store;

use super::names::{STAGED, STATE, SUMMARY};
use super::output::OutputFolder;
use super::sweep;
use crate::results::{StoreError, WriteError, json_text, remove, write, write_store, write_with};

/// Results that are written but not yet in their places, in the order in which they are moved there.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    files: Vec<Written>,
}

/// A file with this many bytes, relative to the output folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its path, with `/`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl Staging {
    /// Writes the file that will be `name` below the output folder.
    ///
    /// # Errors
    /// [`WriteError`] names the file.
    pub fn write(&mut self, name: String, content: &[u8]) -> Result<(), WriteError> {
        write(&self.folder.join(&name), content)?;
        self.files.push(Written { name, bytes: content.len() as u64 });
        Ok(())
    }

    /// As [`write`](Self::write), a store as a database. Says where it stands until it is published.
    ///
    /// # Errors
    /// [`StoreError`] says whose fault it is.
    pub(crate) fn write_store(&mut self, name: String, store: &Store) -> Result<PathBuf, StoreError> {
        let path = self.folder.join(&name);
        write_store(&path, store)?;
        let size = std::fs::metadata(&path).map_err(|source| WriteError { path: path.clone(), source })?;
        self.files.push(Written { name, bytes: size.len() });
        Ok(path)
    }

    /// As [`write`](Self::write), a document as indented JSON that ends in a line feed.
    ///
    /// # Errors
    /// [`WriteError`] names the file.
    pub fn write_json(&mut self, name: String, document: &impl serde::Serialize) -> Result<(), WriteError> {
        let path = self.folder.join(&name);
        let text = json_text(&path, document)?;
        self.write(name, text.as_bytes())
    }
}

impl OutputFolder {
    /// A place for new results beside the old ones.
    ///
    /// # Errors
    /// [`WriteError`] if what a run that died has left there cannot be removed.
    pub fn stage(&self) -> Result<Staging, WriteError> {
        sweep::remove_staged(&self.path)?;
        Ok(Staging { folder: self.path.join(STATE).join(STAGED), files: Vec::new() })
    }

    /// Moves new results, with the run's summary as their last file, to their places; `there` are files that are in their
    /// places already. Old results that are not among them are removed, then what the unfinished run had kept.
    ///
    /// # Errors
    /// [`WriteError`] names the file that cannot be moved or removed, or that somebody has taken away. The folder then holds an
    /// unfinished run as before.
    #[expect(clippy::needless_pass_by_value, reason = "what is published cannot be published again")]
    pub fn publish(&mut self, staging: Staging, there: &[Written]) -> Result<(), WriteError> {
        let new: BTreeSet<PathBuf> =
            staging.files.iter().chain(there).map(|file| PathBuf::from(&file.name)).collect();
        self.owner.files.extend(new.iter().cloned());
        self.owner.write(&self.path)?;
        sweep::retire(&self.path, &self.owner.files)?;
        let (summary, parts): (Vec<_>, Vec<_>) = staging.files.iter().partition(|file| file.name == SUMMARY);
        for file in &parts {
            self.place(&staging, file)?;
        }
        for path in self.owner.files.difference(&new) {
            remove(&self.path.join(path))?;
            remove_empty_parents(&self.path, path);
        }
        for file in parts.into_iter().chain(there) {
            look_up(&self.path, file)?;
        }
        for file in summary {
            self.place(&staging, file)?;
        }
        sweep::release(&self.path)
    }

    fn place(&self, staging: &Staging, file: &Written) -> Result<(), WriteError> {
        let (from, to) = (staging.folder.join(&file.name), self.path.join(&file.name));
        let fail = |source| WriteError { path: to.clone(), source };
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        match std::fs::rename(&from, &to) {
            // Somebody has put a part of the folder on another disk.
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                let mut content = std::fs::File::open(&from).map_err(fail)?;
                write_with(&to, |file| io::copy(&mut content, file))?;
                remove(&from)
            }
            moved => moved.map_err(fail),
        }
    }
}

/// Finds out that a file that was written is still there, whole.
///
/// # Errors
/// [`WriteError`] says what is there instead.
pub(crate) fn look_up(output: &Path, file: &Written) -> Result<(), WriteError> {
    let path = output.join(&file.name);
    let what = match std::fs::metadata(&path) {
        Ok(found) if found.len() == file.bytes => return Ok(()),
        Ok(found) => format!("{} bytes were written, it now has {}", file.bytes, found.len()),
        Err(error) => format!("it was written and is gone: {error}"),
    };
    Err(WriteError { path, source: io::Error::other(what) })
}

/// Removes the folders of a removed file that are empty now.
fn remove_empty_parents(output: &Path, file: &Path) {
    for parent in file.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
        if std::fs::remove_dir(output.join(parent)).is_err() {
            break; // not empty
        }
    }
}
