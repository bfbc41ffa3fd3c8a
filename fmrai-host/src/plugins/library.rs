//! Loads a library. The only place of this crate that runs code nobody checked.
#![expect(unsafe_code, reason = "loading a library runs its code; every block says why that is allowed")]

use std::mem::ManuallyDrop;

use fmrai_core::abi::{ENTRY_SYMBOL, EntryFunction, ForeignPlugin};

use super::PluginError;
use super::file::Checked;

#[cfg(unix)]
type Library = libloading::os::unix::Library;
#[cfg(not(unix))]
type Library = libloading::Library;

/// Loads the bytes that were checked, from a private copy, for ever.
pub(super) fn connect(checked: &Checked) -> Result<ForeignPlugin, PluginError> {
    let path = checked.path.clone();
    let fail = |what: String| PluginError::Load { path: path.clone(), what };
    // Made by this process, for this user only: nobody can put other bytes there.
    let folder =
        tempfile::Builder::new().prefix("fmrai-plugin-").tempdir().map_err(|e| fail(e.to_string()))?;
    let copy = folder.path().join(path.file_name().unwrap_or("plugin".as_ref()));
    std::fs::write(&copy, &checked.bytes).map_err(|e| fail(e.to_string()))?;
    let library = open(&copy).map_err(|e| fail(e.to_string()))?;
    #[cfg(not(unix))]
    let _ = folder.keep(); // a loaded file cannot be removed there
    // Threads, thread-local destructors and function tables of it may be in use at any time.
    let library = ManuallyDrop::new(library);
    // SAFETY: the manifest says that this symbol has the type that the header declares.
    let entry = unsafe { library.get::<EntryFunction>(ENTRY_SYMBOL.as_bytes()) };
    let entry = *entry.map_err(|e| fail(e.to_string()))?;
    // SAFETY: the user allowed its folder, which is to trust it to keep the contract; it is never unloaded.
    unsafe { ForeignPlugin::connect(entry) }
        .map_err(|source| PluginError::Handshake { path: checked.path.clone(), source })
}

#[cfg(unix)]
fn open(path: &std::path::Path) -> Result<Library, libloading::Error> {
    use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};
    /// Stays loaded whatever happens; missing symbols are told now, not in the middle of a run.
    const FLAGS: i32 = RTLD_NOW | RTLD_LOCAL | if cfg!(target_os = "linux") { 0x1000 } else { 0 };
    // SAFETY: the user allowed its folder, which is to trust its initialisers.
    unsafe { Library::open(Some(path), FLAGS) }
}

#[cfg(not(unix))]
fn open(path: &std::path::Path) -> Result<Library, libloading::Error> {
    // SAFETY: the user allowed its folder, which is to trust its initialisers.
    unsafe { Library::new(path) }
}
