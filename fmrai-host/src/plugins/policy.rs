//! Which folders plugins may be loaded from.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::PluginError;

/// Folders that the user allowed. By default there are none, and no plugin is loaded.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    folders: Vec<PathBuf>,
    beside_plan: bool,
    /// What is wrong with the user's settings, which may allow more.
    settings: Option<Unreadable>,
}

/// Settings that cannot be used.
#[derive(Debug, Clone)]
struct Unreadable {
    path: PathBuf,
    what: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    plugin_dirs: Vec<PathBuf>,
}

impl Settings {
    /// The settings in a file; empty ones if it is absent.
    fn read(path: &Path) -> Result<Self, String> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if absent(&error) => return Ok(Self::default()),
            Err(error) => return Err(error.to_string()),
        };
        let settings: Self = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        match settings.plugin_dirs.iter().find(|folder| folder.is_relative()) {
            Some(relative) => Err(format!("plugin_dirs has {}, needed whole paths", relative.display())),
            None => Ok(settings),
        }
    }
}

/// True if there is no such file, also where something that is no folder stands in its way.
fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

impl Policy {
    /// Allows these folders, and that of the plan if `beside_plan`.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>, beside_plan: bool) -> Self {
        Self { folders, beside_plan, settings: None }
    }

    /// Allows the folder of a file too, where it really lies: who names a file on the command line means it.
    #[must_use]
    pub fn with_folder_of(mut self, file: &Path) -> Self {
        self.folders.extend(file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned)));
        self
    }

    /// Allows the folders of the user's settings too: `plugin_dirs` in `fmrai/config.json` below `XDG_CONFIG_HOME` or
    /// `~/.config`. A file that is absent allows none; one that cannot be used is a warning, and an error only for a plugin
    /// that nothing else allows.
    #[must_use]
    pub fn with_settings(mut self) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        let Some(path) = home.map(|home| home.join("fmrai/config.json")) else { return self };
        match Settings::read(&path) {
            Ok(settings) => self.folders.extend(settings.plugin_dirs),
            Err(what) => {
                tracing::warn!(path = %path.display(), what, "the settings cannot be used: they allow no plugin");
                self.settings = Some(Unreadable { path, what });
            }
        }
        self
    }

    /// Why nobody knows whether a folder is allowed, if so.
    pub(super) fn doubt(&self) -> Option<PluginError> {
        let Unreadable { path, what } = self.settings.clone()?;
        Some(PluginError::Settings { path, what })
    }

    /// The allowed folders that exist, without symbolic links.
    pub(super) fn folders(&self, plan: Option<&Path>) -> Vec<PathBuf> {
        let beside = plan.filter(|_| self.beside_plan);
        self.folders
            .iter()
            .map(PathBuf::as_path)
            .chain(beside)
            .filter_map(|f| f.canonicalize().ok())
            .collect()
    }
}
