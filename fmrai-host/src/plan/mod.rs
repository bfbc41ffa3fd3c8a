//! Plans: what to run, as a JSON file.
//!
//! Text becomes a [`Plan`], whose parts may be absent where the text has mistakes, and a plan without mistakes
//! becomes a [`ResolvedPlan`], the only thing that runs. All mistakes are reported at once.

mod capture;
mod catalogue;
mod describe;
mod json;
mod path;
mod problem;
mod resolve;
mod schema;
#[cfg(test)]
mod tests;
mod validate;

pub use capture::Capture;
pub use catalogue::{Catalogue, Config, Offer, OfferError};
pub(crate) use describe::needed as words;
pub use path::{JsonPath, Step};
pub use problem::Problem;
pub use resolve::{ResolvedAnalysis, ResolvedPlan, Source};
pub use schema::schema;

pub use crate::held::Held;

use std::fmt;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::FileKind;
use fmrai_torch::data::RegisteredDataSource;
use fmrai_torch::model::RegisteredModelSource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plugins::{Pins, PluginError};

/// Version of the plan format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// Batches on which the untouched model runs as well, to compare its outputs with those of the watched one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// The first batch.
    #[default]
    First,
    /// Every batch; the model then runs twice as often.
    Every,
    /// None.
    Off,
}

/// What could be read of a plan. A part that has mistakes is `None`, or absent from its list.
#[derive(Debug)]
pub struct Plan {
    /// The mistakes, in the order of the text.
    pub problems: Vec<Problem>,
    /// The model.
    pub model: Option<Box<dyn RegisteredModelSource>>,
    /// The data.
    pub data: Option<Box<dyn RegisteredDataSource>>,
    /// The folder of activations in place of model and data, as written.
    pub activations: Option<PathBuf>,
    /// The activations to write.
    pub capture: Option<Capture>,
    /// The analyses with their positions in the plan's list.
    pub analyses: Vec<(usize, Analysis)>,
    /// Folder for the results, as written.
    pub output: Option<PathBuf>,
    /// When to compare with the untouched model.
    pub parity: Parity,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: u64,
    /// Seconds that a batch may take, if there is a limit.
    pub batch_seconds: Option<u64>,
    /// The plugins as they were loaded, in the order of the plan.
    plugins: Vec<Pins>,
    document: Value,
}

/// An analysis of a plan.
#[derive(Debug)]
pub struct Analysis {
    /// Its name, and that of its folder.
    pub name: String,
    /// Its analyzer's `type`.
    pub kind: String,
    /// What its analyzer is told.
    pub config: Config,
}

/// All mistakes of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanError {
    /// The plan's file.
    pub file: PathBuf,
    /// The mistakes, in the order of the text.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = if self.problems.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{}: {} {mistakes}", self.file.display(), self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Reads and resolves the plan in a file.
///
/// # Errors
/// [`PlanError`] lists every mistake, or says why the file cannot be read.
pub fn read(file: &Path, catalogue: &Catalogue) -> Result<ResolvedPlan, PlanError> {
    let fail = |problems| PlanError { file: file.to_owned(), problems };
    let unreadable = |what: String| fail(vec![Problem::new(JsonPath::root(), what)]);
    let bytes = std::fs::read(file).map_err(|e| unreadable(format!("cannot be read: {e}")))?;
    if let Some(kind) = FileKind::of(&bytes).filter(|kind| !matches!(kind, FileKind::Json | FileKind::Empty))
    {
        return Err(unreadable(format!("is {kind}; a plan is JSON in UTF-8")));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        unreadable(format!("is not UTF-8 text: byte {} is out of place", e.utf8_error().valid_up_to()))
    })?;
    let (catalogue, plugins) = with_plugins(&text, catalogue, &base_of(file));
    Plan::parse_after(plugins, &text, &catalogue).resolve(file).map_err(fail)
}

/// Folder that relative paths of a plan start from.
fn base_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A plugin as a plan names it.
#[derive(Deserialize)]
struct Named {
    path: PathBuf,
    #[serde(flatten)]
    pins: Pins,
}

/// The catalogue with the plugins that a plan names; and their hashes, or what is wrong with those that were not loaded.
fn with_plugins(
    text: &str,
    catalogue: &Catalogue,
    base: &Path,
) -> (Catalogue, Result<Vec<Pins>, Vec<Problem>>) {
    let mut catalogue = catalogue.clone();
    let (mut problems, mut hashes) = (Vec::new(), Vec::new());
    let document = json::parse(text).unwrap_or_default();
    let named = document.get("plugins").and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, named) in named.into_iter().enumerate() {
        // What is not of this form is for the schema to tell.
        let Ok(Named { path, pins }) = serde_json::from_value(named) else { continue };
        match catalogue.load(&base.join(path), &pins, Some(base)) {
            Ok(plugin) => {
                hashes
                    .push(Pins { sha256: Some(plugin.sha256.clone()), libraries: plugin.libraries.clone() });
            }
            Err(error) => {
                let place = JsonPath::root().field("plugins").element(index);
                let place = place.field(match error {
                    OfferError::Plugin(PluginError::Hash { .. }) => "sha256",
                    OfferError::Plugin(PluginError::Library { .. }) => "libraries",
                    _ => "path",
                });
                problems.push(Problem::new(place, error.to_string()));
            }
        }
    }
    (catalogue, if problems.is_empty() { Ok(hashes) } else { Err(problems) })
}

impl Plan {
    /// What can be read of `text`.
    #[must_use]
    pub fn parse(text: &str, catalogue: &Catalogue) -> Self {
        Self::parse_after(Ok(Vec::new()), text, catalogue)
    }

    /// The same, with hashes of the plugins that the plan names, or what is wrong with them.
    fn parse_after(plugins: Result<Vec<Pins>, Vec<Problem>>, text: &str, catalogue: &Catalogue) -> Self {
        let refused = plugins.is_err();
        let (plugins, mut problems) = plugins.map_or_else(|p| (Vec::new(), p), |p| (p, Vec::new()));
        let document = match json::parse(text) {
            Ok(document) => {
                let found = validate::validate(&document, &schema(catalogue));
                // Without all plugins nobody knows which types there are.
                let unknown = |p: &Problem| refused && p.path.to_string().ends_with("].type");
                problems.extend(found.into_iter().filter(|p| !unknown(p)));
                document
            }
            Err(problem) => {
                problems.push(problem);
                Value::Null
            }
        };
        let mut plan = Self {
            problems,
            model: None,
            data: None,
            activations: None,
            capture: None,
            analyses: Vec::new(),
            output: None,
            parity: Parity::default(),
            checkpoint_seconds: 60,
            batch_seconds: None,
            plugins,
            document,
        };
        plan.fill(catalogue);
        plan
    }

    /// Reads every part that follows the schema.
    fn fill(&mut self, catalogue: &Catalogue) {
        let root = JsonPath::root();
        self.model = self.part(&root.field("model"), self.document.get("model").cloned());
        self.data = self.part(&root.field("data"), self.document.get("data").cloned());
        let activations = self.document.get("activations").cloned();
        self.activations = self.part(&root.field("activations"), activations);
        self.capture = self.part(&root.field("capture"), self.document.get("capture").cloned());
        self.output = self.part(&root.field("output"), self.document.get("output").cloned());
        if let Some(parity) = self.document.get("parity").cloned() {
            self.parity = self.part(&root.field("parity"), Some(parity)).unwrap_or_default();
        }
        if let Some(seconds) = self.document.get("checkpoint_seconds").cloned() {
            self.checkpoint_seconds =
                self.part(&root.field("checkpoint_seconds"), Some(seconds)).unwrap_or_default();
        }
        let limit = self.document.get("batch_seconds").cloned();
        self.batch_seconds = self.part(&root.field("batch_seconds"), limit);
        let analyses = self.document.get("analyses").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, mut analysis) in analyses.into_iter().enumerate() {
            let kind = analysis.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = analysis.as_object_mut().and_then(|fields| fields.shift_remove("name"));
            let name = name.as_ref().and_then(Value::as_str).unwrap_or(&kind).to_owned();
            let path = root.field("analyses").element(index);
            let (false, Some(offer)) = (self.is_wrong(&path), catalogue.analyzer(&kind)) else { continue };
            match offer.config(analysis) {
                Ok(config) => self.analyses.push((index, Analysis { name, kind, config })),
                Err(error) => self.problems.push(Problem::new(path, error)),
            }
        }
    }

    /// True if a mistake is known of what is at `path`.
    fn is_wrong(&self, path: &JsonPath) -> bool {
        self.problems.iter().any(|p| p.path.is_in(path) || path.is_in(&p.path))
    }

    /// The value at `path`, unless a mistake is known of it; what serde finds wrong is one more mistake.
    fn part<T: serde::de::DeserializeOwned>(&mut self, path: &JsonPath, value: Option<Value>) -> Option<T> {
        if self.is_wrong(path) {
            return None;
        }
        match serde_json::from_value(value?) {
            Ok(part) => Some(part),
            Err(error) => {
                self.problems.push(Problem::new(path.clone(), error.to_string()));
                None
            }
        }
    }
}
