//! What is checked of a plugin's file before any of its code runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fmrai_core::abi::{ABI_MAJOR, ABI_MINOR, ENTRY_SYMBOL, HandshakeError, Manifest};
use object::{Architecture, BinaryFormat, Object, ObjectSection};
use sha2::{Digest, Sha256};

use super::neighbours::{self, Neighbour};
use super::{Pins, Policy};
use crate::version::Versions;

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

/// A file that may be loaded, and its bytes.
pub(super) struct Checked {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: String,
    pub(super) manifest: Manifest,
    pub(super) exports: BTreeSet<String>,
    /// What it needs of its own folder.
    pub(super) neighbours: Vec<Neighbour>,
}

pub(super) fn check(
    path: &Path,
    pins: &Pins,
    policy: &Policy,
    plan: Option<&Path>,
) -> Result<Checked, PluginError> {
    let io = |source| PluginError::Io { path: path.to_owned(), source };
    let real = path.canonicalize().map_err(io)?;
    let folders = policy.folders(plan);
    let Some(allowed) = folders.iter().find(|folder| real.starts_with(folder)) else {
        if let Some(settings) = policy.doubt() {
            return Err(settings);
        }
        let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
        return Err(PluginError::NotAllowed { path: real, folder });
    };
    if !real.is_file() {
        return Err(PluginError::Unfit { path: real, what: "it is not a file".to_owned() });
    }
    for place in real.ancestors().take_while(|place| place.starts_with(allowed)) {
        if writable_by_all(place).map_err(io)? {
            return Err(PluginError::Writable { path: place.to_owned() });
        }
    }
    let bytes = std::fs::read(&real).map_err(io)?;
    let found = hash(&bytes);
    let pinned = pins.sha256.as_deref();
    if let Some(needed) = pinned.filter(|needed| !needed.eq_ignore_ascii_case(&found)) {
        return Err(PluginError::Hash { path: real, found, needed: needed.to_owned() });
    }
    let (manifest, exports) =
        inspect(&bytes).map_err(|what| PluginError::Unfit { path: real.clone(), what })?;
    let folder = real.parent().unwrap_or(Path::new("/"));
    let neighbours = neighbours::of(&real, &bytes, folder, allowed)?;
    for (library, found) in neighbours::hashes(&neighbours) {
        let needed = pins.libraries.get(&library).cloned();
        let same = needed.as_ref().map(|needed| needed.eq_ignore_ascii_case(&found));
        if same == Some(false) || same.is_none() && pinned.is_some() {
            return Err(PluginError::Library { path: real, library, found, needed });
        }
    }
    Ok(Checked { path: real, bytes, sha256: found, manifest, exports, neighbours })
}

/// SHA-256 in lower-case hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(unix)]
pub(super) fn writable_by_all(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(path.metadata()?.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
pub(super) fn writable_by_all(_: &Path) -> std::io::Result<bool> {
    Ok(false)
}

/// Manifest and exports of a library for this machine and this program; otherwise what is wrong, and how to put it right.
fn inspect(bytes: &[u8]) -> Result<(Manifest, BTreeSet<String>), String> {
    let file = object::File::parse(bytes)
        .map_err(|e| format!("it is not a library ({e}); needed a plugin for fmrai"))?;
    let (format, name) = match std::env::consts::OS {
        "macos" => (BinaryFormat::MachO, "Mach-O"),
        "windows" => (BinaryFormat::Pe, "PE"),
        _ => (BinaryFormat::Elf, "ELF"),
    };
    if file.format() != format {
        return Err(format!("it is a {:?} file, needed {name}: build it for this system", file.format()));
    }
    let needed = match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        _ => Architecture::Unknown,
    };
    if file.architecture() != needed {
        let found = file.architecture();
        return Err(format!("it is for {found:?} processors, needed {needed:?}: build it for this machine"));
    }
    let section = file.section_by_name(".fmrai").or_else(|| file.section_by_name("__fmrai"));
    let section = section.ok_or("it has no section .fmrai, so it is a library but not a plugin for fmrai")?;
    let manifest = Manifest::read(section.data().map_err(|e| format!("its manifest cannot be read: {e}"))?)?;
    if manifest.abi_major != ABI_MAJOR {
        let (major, minor) = (manifest.abi_major, manifest.abi_minor);
        let how = if major > ABI_MAJOR { "use a newer fmrai" } else { "build it against a newer fmrai-core" };
        return Err(format!(
            "it speaks plugin ABI {major}.{minor}, this program speaks {ABI_MAJOR}.{ABI_MINOR}: {how}"
        ));
    }
    if manifest.aborts {
        let how = "build it with panic = \"unwind\"";
        return Err(format!("a panic in it would end this program: {how}"));
    }
    let ours = Versions::current().libtorch;
    if let Some(theirs) = manifest.about.libtorch.as_ref().filter(|theirs| **theirs != ours) {
        return Err(format!(
            "it links libtorch {theirs}, this program links {ours}: build it against the same"
        ));
    }
    if manifest.about.libtorch.is_none() && links_libtorch(&file) {
        return Err(format!(
            "it links libtorch, but its manifest does not say which: name the version with libtorch: {ours:?}, or build it \
             with fmrai-core without default features"
        ));
    }
    let unreadable = |e| format!("its symbols cannot be read: {e}");
    let mut exports = BTreeSet::new();
    for export in file.exports().map_err(unreadable)? {
        if let object::read::NameOrOrdinal::Name(name) = export.map_err(unreadable)?.name() {
            // Symbols of Mach-O begin with an underscore.
            let name = if file.format() == BinaryFormat::MachO {
                name.strip_prefix(b"_").unwrap_or(name)
            } else {
                name
            };
            exports.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    if !exports.contains(ENTRY_SYMBOL) {
        return Err(format!("it does not export {ENTRY_SYMBOL}: see export_plugin! or fmrai.h"));
    }
    Ok((manifest, exports))
}

/// True if the names that the system's loader reads mention a library of libtorch.
fn links_libtorch(file: &object::File<'_>) -> bool {
    let names = file.section_by_name(".dynstr").and_then(|section| section.data().ok());
    names.unwrap_or_default().split(|byte| *byte == 0).any(|name| {
        let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        let ours = file.starts_with(b"libtorch") || file.starts_with(b"libc10");
        ours && file.windows(3).any(|part| part == b".so")
    })
}
