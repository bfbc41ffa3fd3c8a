//! Why a plugin was not loaded.

use std::path::PathBuf;

use fmrai_core::abi::HandshakeError;

/// Why a plugin was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// Nothing else allows the file, and the user's settings, which might, cannot be used.
    #[error("the settings {path} cannot be used, which say where plugins may be loaded from: {what}; put them right, or allow the folder with --plugin-dir", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It lies outside of the folders that the user allowed.
    #[error("{path} is not in a folder that plugins may be loaded from: a plugin may do whatever you may, so allow its folder only if you trust it, with --plugin-dir {folder}", path = path.display(), folder = folder.display())]
    NotAllowed {
        /// The file, without symbolic links.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// Anybody could have put something else there.
    #[error("{path} can be written by everybody, so it is not loaded: chmod o-w {path}", path = path.display())]
    Writable {
        /// The file or folder.
        path: PathBuf,
    },
    /// It is another file than the plan means.
    #[error("{path} has the sha256 {found}, the plan needs {needed}: use that file, or correct the plan if you trust this one", path = path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// That of the plan.
        needed: String,
    },
    /// It links a library beside it that the plan does not pin, though it pins the plugin.
    #[error("{path} loads {library} beside it, and the plan names the hash of the plugin, but {}: add {{\"{library}\": \"{found}\"}} to its `libraries` if you trust that file", needed.as_ref().map_or_else(|| "none of that".to_owned(), |needed| format!("another one of that, {needed}")), path = path.display())]
    Library {
        /// The plugin's file.
        path: PathBuf,
        /// The library, from the plugin's folder.
        library: String,
        /// Its hash.
        found: String,
        /// That of the plan, if it has one.
        needed: Option<String>,
    },
    /// It is no plugin that this program could load.
    #[error("{path} is not loaded: {what}", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What was found, needed, and how to get there.
        what: String,
    },
    /// The system cannot load it.
    #[error("{path} cannot be loaded: {what}", path = path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What the system says.
        what: String,
    },
    /// It is loaded, but not as a plugin has to be.
    #[error("{path}: {source}", path = path.display())]
    Handshake {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: HandshakeError,
    },
}
