//! One process at a time writes into an output folder.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::error::FolderError;
use super::names::{LOCK, STATE};
use crate::results::WriteError;

/// How often a lock file that vanishes under our hands is made again.
const TRIES: usize = 100;

/// A locked file in an output folder. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
    /// Whether the file was not there before.
    made: bool,
}

impl Lock {
    /// Locks the folder `output`, which is made if it is absent.
    ///
    /// # Errors
    /// [`FolderError::Busy`] if another process holds it, [`FolderError::Write`] if nothing can be written there.
    pub(super) fn take(output: &Path) -> Result<Self, FolderError> {
        let path = output.join(STATE).join(LOCK);
        let fail = |source| FolderError::Write(WriteError { path: path.clone(), source });
        for _ in 0..TRIES {
            std::fs::create_dir_all(output.join(STATE)).map_err(fail)?;
            let made = !path.exists();
            let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = match opened {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => continue, // a run has just ended here
                Err(error) => return Err(fail(error)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read_to_string(&path).unwrap_or_default();
                    let holder = holder.trim().parse().ok();
                    return Err(FolderError::Busy { path: output.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => tracing::warn!(
                    %error,
                    folder = %output.display(),
                    "this file system has no locks: two runs at once in this folder would mix their files"
                ),
            }
            // Who held it may have removed it just before: then what we hold is nobody's.
            if is_same(&file, &path) {
                let told = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                let lock = Self { path: path.clone(), file, made };
                return match told {
                    Ok(()) => Ok(lock),
                    Err(error) => {
                        lock.undo();
                        Err(fail(error))
                    }
                };
            }
        }
        Err(fail(io::Error::other("it vanishes as often as it is made")))
    }

    /// Gives a lock back that was taken in vain, and with it what was made for it alone.
    pub(super) fn undo(self) {
        if self.made
            && std::fs::remove_file(&self.path).is_ok()
            && let Some(state) = self.path.parent()
        {
            let _ = std::fs::remove_dir(state); // stays if there is anything else in it
        }
    }

    /// True while the lock file is where it was, so that nobody else can take the folder.
    pub(super) fn is_held(&self) -> bool {
        is_same(&self.file, &self.path)
    }
}

/// Who writes into the folder `output` now: `None` if nobody does, else the process, if it has told.
pub(crate) fn holder(output: &Path) -> Option<Option<u32>> {
    let path = output.join(STATE).join(LOCK);
    match File::open(&path).ok()?.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Some(std::fs::read_to_string(&path).ok().and_then(|holder| holder.trim().parse().ok()))
        }
        _ => None,
    }
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: io::Result<std::fs::Metadata>| metadata.ok().map(|m| (m.dev(), m.ino()));
    let there = id(std::fs::metadata(path));
    there.is_some() && there == id(file.metadata())
}

#[cfg(not(unix))]
fn is_same(_: &File, path: &Path) -> bool {
    path.exists() // an open file is not removed there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_by_any_path_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("out");
        let first = Lock::take(&real).unwrap();
        let link = folder.path().join("link");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&real, &link).unwrap();
        #[cfg(unix)]
        for path in [&real, &link, &folder.path().join("absent/../out/.")] {
            std::fs::create_dir_all(folder.path().join("absent")).unwrap();
            let error = Lock::take(path).unwrap_err().to_string();
            let pid = std::process::id();
            assert!(error.ends_with(&format!("is in use by another run, process {pid}")), "{error}");
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
        assert!(first.is_held());
        drop(first);
        assert!(Lock::take(&link).unwrap().is_held());
    }

    #[test]
    fn a_folder_that_was_removed_is_no_longer_held() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let first = Lock::take(&out).unwrap();
        std::fs::remove_dir_all(&out).unwrap();
        assert!(!first.is_held());
        let second = Lock::take(&out).unwrap();
        assert!(second.is_held() && !first.is_held());
    }
}
