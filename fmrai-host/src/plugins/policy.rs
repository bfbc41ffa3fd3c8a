//! Which folders plugins may be loaded from.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::PluginError;

/// Folders that the user allowed. By default there are none, and no plugin is loaded.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    folders: Vec<PathBuf>,
    beside_plan: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    plugin_dirs: Vec<PathBuf>,
}

impl Policy {
    /// Allows these folders, and that of the plan if `beside_plan`.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>, beside_plan: bool) -> Self {
        Self { folders, beside_plan }
    }

    /// Allows the folder of a file too, where it really lies: who names a file on the command line means it.
    #[must_use]
    pub fn with_folder_of(mut self, file: &Path) -> Self {
        self.folders.extend(file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned)));
        self
    }

    /// Allows the folders of the user's settings too: `plugin_dirs` in `fmrai/config.json` below `XDG_CONFIG_HOME` or
    /// `~/.config`. A file that is absent allows none.
    ///
    /// # Errors
    /// [`PluginError::Settings`] if the file cannot be read.
    pub fn with_settings(mut self) -> Result<Self, PluginError> {
        let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        let Some(path) = home.map(|home| home.join("fmrai/config.json")) else { return Ok(self) };
        let fail = |what: String| PluginError::Settings { path: path.clone(), what };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            Err(error) => return Err(fail(error.to_string())),
        };
        let settings: Settings = serde_json::from_slice(&bytes).map_err(|e| fail(e.to_string()))?;
        if let Some(relative) = settings.plugin_dirs.iter().find(|folder| folder.is_relative()) {
            return Err(fail(format!("plugin_dirs has {}, needed whole paths", relative.display())));
        }
        self.folders.extend(settings.plugin_dirs);
        Ok(self)
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
