//! Plugins as they are loaded, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fmrai_core::abi::{ForeignPlugin, Manifest};

use super::error::PluginError;
use super::pins::Pins;
use super::policy::Policy;
use super::{file, library, neighbours};
use crate::calls;

/// A loaded plugin.
pub struct Plugin {
    /// Its file.
    pub path: PathBuf,
    /// SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Hashes of the libraries that were loaded with it from its folder, by their places in that.
    pub libraries: BTreeMap<String, String>,
    /// What the file said of itself before it was loaded.
    pub manifest: Manifest,
    /// Its analyzers.
    pub foreign: ForeignPlugin,
}

/// A file that was checked, none of its code having run.
pub struct Inspected {
    /// SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What the file says of itself.
    pub manifest: Manifest,
    /// The symbols that it exports.
    pub exports: BTreeSet<String>,
}

/// Checks a file as before loading it, and does not load it.
///
/// # Errors
/// As [`load`], but for those of the last stages.
pub fn inspect(path: &Path, policy: &Policy) -> Result<Inspected, PluginError> {
    let file::Checked { sha256, manifest, exports, .. } = file::check(path, &Pins::default(), policy, None)?;
    Ok(Inspected { sha256, manifest, exports })
}

/// Loads a plugin, or gives back the one of the same bytes that is loaded already.
///
/// `plan` is the folder of the plan that names it, if one does.
///
/// # Errors
/// [`PluginError`] says what was found, what is needed and how to get there. No code of the file has run but for errors
/// of the last stages, [`PluginError::Load`] and [`PluginError::Handshake`].
pub fn load(
    path: &Path,
    pins: &Pins,
    policy: &Policy,
    plan: Option<&Path>,
) -> Result<Arc<Plugin>, PluginError> {
    static LOADED: Mutex<BTreeMap<String, Arc<Plugin>>> = Mutex::new(BTreeMap::new());
    let checked = file::check(path, pins, policy, plan)?;
    let libraries = neighbours::hashes(&checked.neighbours);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    // The system's loader takes a library for loaded by its name alone.
    for plugin in loaded.values() {
        for (place, hash) in &libraries {
            let name = Path::new(place).file_name();
            let other = plugin.libraries.iter().find(|(other, _)| Path::new(other).file_name() == name);
            if other.is_some_and(|(_, other)| other != hash) {
                let with = plugin.path.display();
                let what =
                    format!("it needs {place}, and another library of that name is loaded with {with}");
                return Err(PluginError::Unfit { path: checked.path, what });
            }
        }
    }
    if let Some(plugin) = loaded.get(&checked.sha256) {
        return Ok(Arc::clone(plugin));
    }
    let who = format!("the plugin {}", checked.path.display());
    let foreign = calls::during("loading", &who, || library::connect(&checked))?;
    let file::Checked { path, sha256, manifest, .. } = checked;
    let plugin = Arc::new(Plugin { path, sha256: sha256.clone(), libraries, manifest, foreign });
    loaded.insert(sha256, Arc::clone(&plugin));
    Ok(plugin)
}
