//! What a plan can name: model sources, data sources, analyzers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fmrai_core::abi::{ConfigRefused, ForeignAnalyzer};
use fmrai_core::analyzer::{AnalyzerEntry, Method, RegisteredConfig, Registry};
use fmrai_core::registry::{DuplicateName, Entry, Registered};
use fmrai_torch::data::DataSourceEntry;
use fmrai_torch::model::ModelSourceEntry;
use serde_json::{Map, Value};

use crate::calls;
use crate::plugins::{self, Pins, Plugin, PluginError, Policy};

/// Everything a plan can name, each list sorted by name.
#[derive(Clone)]
pub struct Catalogue {
    /// The model sources.
    pub models: Vec<Entry>,
    /// The data sources.
    pub data: Vec<Entry>,
    /// The analyzers.
    pub analyzers: Vec<Offer>,
    /// The plugins that some of them come from.
    pub plugins: Vec<Arc<Plugin>>,
    policy: Policy,
}

/// An analyzer that a plan can name, wherever its code is.
#[derive(Clone)]
pub struct Offer {
    /// The `type` of its config in a plan.
    pub name: String,
    /// One line that says what it answers.
    pub summary: String,
    /// The crate or plugin it comes from, with version.
    pub origin: String,
    /// The config with all fields at their defaults.
    pub example: Value,
    /// JSON Schema of its config, without the `type` field.
    pub schema: Value,
    code: Code,
}

#[derive(Clone)]
enum Code {
    Linked,
    Loaded(ForeignAnalyzer, Arc<Path>),
}

/// What an analyzer is told, wherever its code is.
pub enum Config {
    /// Of an analyzer that is linked into this program.
    Linked(Box<dyn RegisteredConfig>),
    /// Of one that was loaded: its fields, defaults filled in, and the file of its plugin.
    Loaded(ForeignAnalyzer, Map<String, Value>, Arc<Path>),
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Linked(config) => config.fmt(f),
            Self::Loaded(analyzer, fields, _) => {
                f.debug_tuple(&analyzer.description().name).field(fields).finish()
            }
        }
    }
}

/// Why something cannot be named in a plan.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// It was not loaded.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// One of its analyzers has a name that is taken.
    #[error(transparent)]
    Duplicate(#[from] DuplicateName),
}

/// What is known of all components of a kind that are linked in.
fn registry<T: Registered>() -> Result<Vec<Entry>, DuplicateName> {
    Ok(fmrai_core::registry::Registry::<T>::linked()?.iter().map(|entry| *entry.about()).collect())
}

impl Catalogue {
    /// Everything linked into this program.
    ///
    /// # Errors
    /// [`DuplicateName`] if two components of one kind have one name.
    pub fn linked() -> Result<Self, DuplicateName> {
        Ok(Self {
            models: registry::<ModelSourceEntry>()?,
            data: registry::<DataSourceEntry>()?,
            analyzers: Registry::linked()?.iter().map(Offer::linked).collect(),
            plugins: Vec::new(),
            policy: Policy::default(),
        })
    }

    /// The same, where plans may name plugins in the folders of `policy`.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Loads one more plugin and adds its analyzers. `plan` is the folder of the plan that names it, if one does.
    ///
    /// # Errors
    /// [`OfferError`]; nothing was added then.
    pub fn load(&mut self, path: &Path, pins: &Pins, plan: Option<&Path>) -> Result<Arc<Plugin>, OfferError> {
        let plugin = plugins::load(path, pins, &self.policy, plan)?;
        if self.plugins.iter().any(|p| p.sha256 == plugin.sha256) {
            return Ok(plugin);
        }
        let mut all: BTreeMap<String, Offer> =
            self.analyzers.iter().map(|o| (o.name.clone(), o.clone())).collect();
        for analyzer in plugin.foreign.analyzers() {
            let offer = Offer::loaded(analyzer, &plugin);
            let (name, second) =
                (offer.name.clone(), format!("{} ({})", offer.origin, plugin.path.display()));
            if let Some(first) = all.insert(name.clone(), offer) {
                return Err(DuplicateName::of::<AnalyzerEntry>(&name, [&first.origin, &second]).into());
            }
        }
        self.analyzers = all.into_values().collect();
        self.plugins.push(Arc::clone(&plugin));
        Ok(plugin)
    }

    /// The same methods, each behind its own C functions.
    #[cfg(test)]
    pub(crate) fn through_abi(mut self) -> Self {
        let mut foreign = fmrai_core::abi::loopback().unwrap();
        for offer in &mut self.analyzers {
            let at = foreign.iter().position(|a| a.description().name == offer.name).unwrap();
            offer.code = Code::Loaded(foreign.swap_remove(at), Path::new("loopback").into());
        }
        self
    }

    /// The analyzer called `name`.
    #[must_use]
    pub fn analyzer(&self, name: &str) -> Option<&Offer> {
        self.analyzers.iter().find(|offer| offer.name == name)
    }
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Offer {
    fn linked(entry: &AnalyzerEntry) -> Self {
        let about = entry.about;
        Self {
            name: about.name.to_owned(),
            summary: about.summary.to_owned(),
            origin: about.origin.to_owned(),
            example: serde_json::to_value((entry.example)()).unwrap_or_default(),
            schema: (about.schema)(),
            code: Code::Linked,
        }
    }

    fn loaded(analyzer: &ForeignAnalyzer, plugin: &Plugin) -> Self {
        let description = analyzer.description().clone();
        let about = &plugin.manifest.about;
        let own = || format!("{} {}", about.name, about.version);
        let schema = description.schema;
        Self {
            name: description.name,
            summary: description.summary,
            origin: if description.origin.is_empty() { own() } else { description.origin },
            example: description.example,
            schema: if schema.is_object() { schema } else { serde_json::json!({ "type": "object" }) },
            code: Code::Loaded(analyzer.clone(), plugin.path.as_path().into()),
        }
    }

    /// A config of this analyzer, from an object with its `type`.
    ///
    /// # Errors
    /// What the analyzer says against it.
    pub fn config(&self, document: Value) -> Result<Config, String> {
        match &self.code {
            Code::Linked => serde_json::from_value(document).map(Config::Linked).map_err(|e| e.to_string()),
            Code::Loaded(analyzer, plugin) => {
                let mut fields = document.as_object().cloned().unwrap_or_default();
                fields.shift_remove("type");
                let complete =
                    calls::during("configure", &who(analyzer, plugin), || analyzer.complete(&fields));
                let complete = complete.map_err(|e| e.to_string())?;
                Ok(Config::Loaded(analyzer.clone(), complete, Arc::clone(plugin)))
            }
        }
    }
}

/// A loaded analyzer, for messages.
fn who(analyzer: &ForeignAnalyzer, plugin: &Path) -> String {
    format!("the analyzer {} of the plugin {}", analyzer.description().name, plugin.display())
}

impl Config {
    /// The file of the plugin that the analyzer comes from, if it was loaded.
    #[must_use]
    pub fn plugin(&self) -> Option<&Path> {
        match self {
            Self::Linked(_) => None,
            Self::Loaded(_, _, plugin) => Some(plugin),
        }
    }

    /// Its `type` in a plan.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Linked(config) => config.typetag_name(),
            Self::Loaded(analyzer, _, _) => &analyzer.description().name,
        }
    }

    /// A method that follows this config. Relative paths of files that it reads start from `base`.
    ///
    /// # Errors
    /// [`ConfigRefused`] for a field whose value makes no sense.
    pub fn build(&self, base: &Path) -> Result<Method, ConfigRefused> {
        match self {
            Self::Linked(config) => config.method_in(base).map_err(|error| ConfigRefused {
                field: Some(error.field.to_owned()),
                what: format!("is {}, needed {}", error.found, error.valid),
            }),
            Self::Loaded(analyzer, fields, plugin) => {
                calls::during("create", &who(analyzer, plugin), || analyzer.build(fields))
            }
        }
    }

    /// Its fields, without `type`.
    ///
    /// # Errors
    /// That of the config's serialization.
    pub fn fields(&self) -> Result<Map<String, Value>, serde_json::Error> {
        match self {
            Self::Loaded(_, fields, _) => Ok(fields.clone()),
            Self::Linked(config) => {
                let mut value = serde_json::to_value(config)?;
                let mut fields = value.as_object_mut().map(std::mem::take).unwrap_or_default();
                fields.shift_remove("type");
                Ok(fields)
            }
        }
    }
}
