//! What is checked of a plugin's file before any of its code runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fmrai_core::abi::{ABI_MAJOR, ABI_MINOR, ENTRY_SYMBOL, Manifest};
use object::{Architecture, BinaryFormat, Object, ObjectSection};

use super::error::PluginError;
use super::facts::{hash, writable_by_all};
use super::neighbours::{self, Neighbour};
use super::pins::Pins;
use super::policy::Policy;
use crate::version::Versions;

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
