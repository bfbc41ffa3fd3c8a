//! Loads a library. The only place of this crate that runs code nobody checked.
#![expect(unsafe_code, reason = "loading a library runs its code; every block says why that is allowed")]

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use fmrai_core::abi::{ENTRY_SYMBOL, EntryFunction, ForeignPlugin};

use super::error::PluginError;
use super::file::Checked;
use super::neighbours;
use super::places::places;

#[cfg(unix)]
type Library = libloading::os::unix::Library;
#[cfg(not(unix))]
type Library = libloading::Library;

/// Loads the bytes that were checked, from a private copy, for ever.
pub(super) fn connect(checked: &Checked) -> Result<ForeignPlugin, PluginError> {
    let path = checked.path.clone();
    let fail = |what: String| PluginError::Load { path: path.clone(), what };
    let library = loaded(checked).map_err(fail)?;
    // Threads, thread-local destructors and function tables of it may be in use at any time.
    let library = ManuallyDrop::new(library);
    // SAFETY: the manifest says that this symbol has the type that the header declares.
    let entry = unsafe { library.get::<EntryFunction>(ENTRY_SYMBOL.as_bytes()) };
    let entry = *entry.map_err(|e| fail(reason(&e)))?;
    // SAFETY: the user allowed its folder, which is to trust it to keep the contract; it is never unloaded.
    unsafe { ForeignPlugin::connect(entry) }
        .map_err(|source| PluginError::Handshake { path: checked.path.clone(), source })
}

/// The library, loaded from the first place where that is possible: a folder for temporary files may be full, or mounted so
/// that nothing in it can be executed.
fn loaded(checked: &Checked) -> Result<Library, String> {
    let mut reasons: Vec<(PathBuf, String)> = Vec::new();
    for place in places() {
        match from(&place, checked) {
            Ok(library) => return Ok(library),
            Err(reason) => reasons.push((place, reason)),
        }
    }
    // A library that the system refuses is refused everywhere for the same reason.
    let (_, first) = reasons.first().cloned().unwrap_or_default();
    let same = reasons.iter().all(|(_, reason)| *reason == first);
    let mut what = if same {
        first
    } else {
        let each =
            reasons.iter().map(|(place, reason)| format!("from a copy in {}: {reason}", place.display()));
        let each = each.collect::<Vec<_>>().join("; ");
        format!("{each}; TMPDIR names another place for the copy")
    };
    let folder = checked.path.parent().unwrap_or(Path::new("/"));
    if let Some(advice) = reasons.iter().find_map(|(_, reason)| neighbours::advice(reason, folder)) {
        what = format!("{what}: {advice}");
    }
    Err(what)
}

/// Loads the library from a copy below `place`.
fn from(place: &Path, checked: &Checked) -> Result<Library, String> {
    let said = |error: std::io::Error| error.to_string();
    // Made by this process, for this user only: nobody can put other bytes there.
    let folder = tempfile::Builder::new().prefix("fmrai-plugin-").tempdir_in(place).map_err(said)?;
    for neighbour in &checked.neighbours {
        let copy = folder.path().join(&neighbour.place);
        std::fs::create_dir_all(copy.parent().unwrap_or(folder.path())).map_err(said)?;
        std::fs::write(&copy, &neighbour.bytes).map_err(said)?;
    }
    let copy = folder.path().join(checked.path.file_name().unwrap_or("plugin".as_ref()));
    std::fs::write(&copy, &checked.bytes).map_err(said)?;
    let shown = folder.path().display().to_string();
    // The copy is gone when this is read: what counts is the file.
    let library = open(&copy).map_err(|e| reason(&e).replace(&format!("{shown}/"), ""))?;
    #[cfg(not(unix))]
    let _ = folder.keep(); // a loaded file cannot be removed there
    Ok(library)
}

/// What the system itself says, where it says anything.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(unix)]
fn open(path: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};
    /// Stays loaded whatever happens; missing symbols are told now, not in the middle of a run.
    const FLAGS: i32 = RTLD_NOW | RTLD_LOCAL | if cfg!(target_os = "linux") { 0x1000 } else { 0 };
    // SAFETY: the user allowed its folder, which is to trust its initialisers.
    unsafe { Library::open(Some(path), FLAGS) }
}

#[cfg(not(unix))]
fn open(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: the user allowed its folder, which is to trust its initialisers.
    unsafe { Library::new(path) }
}
