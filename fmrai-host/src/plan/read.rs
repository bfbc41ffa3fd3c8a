//! A plan's file, with the plugins that it names.

use std::fmt;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::FileKind;
use fmrai_torch::data::RegisteredDataSource;
use serde::Deserialize;
use serde_json::Value;

use super::catalogue::{Catalogue, OfferError};
use super::json;
use super::parse::Plan;
use super::path::JsonPath;
use super::problem::Problem;
use super::resolve::base_of;
use super::resolved::ResolvedPlan;
use crate::plugins::{Pins, PluginError};

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
    let text = text_of(file)?;
    let (catalogue, plugins) = with_plugins(&text, catalogue, &base_of(file));
    Plan::parse_after(plugins, &text, &catalogue)
        .resolve(file)
        .map_err(|problems| PlanError { file: file.to_owned(), problems })
}

/// Reads and resolves the plan in a file without its analyses and captures, and with `data` in place of its own where these are given: for
/// what needs its model and data alone. No plugin is loaded.
///
/// # Errors
/// As of [`read`].
pub(crate) fn read_subject(
    file: &Path,
    data: Option<&dyn RegisteredDataSource>,
) -> Result<ResolvedPlan, PlanError> {
    let fail = |problems| PlanError { file: file.to_owned(), problems };
    let odd = |what: String| fail(vec![Problem::new(JsonPath::root(), what)]);
    let mut document = json::parse(&text_of(file)?).map_err(|problem| fail(vec![problem]))?;
    let Some(fields) = document.as_object_mut() else {
        return Err(odd("is neither a model nor a plan".to_owned()));
    };
    for field in ["plugins", "capture"] {
        fields.shift_remove(field);
    }
    fields.insert("analyses".to_owned(), Value::Array(Vec::new()));
    if let Some(data) = data {
        let data = serde_json::to_value(data).map_err(|error| odd(format!("the data: {error}")))?;
        fields.insert("data".to_owned(), data);
    }
    let catalogue = Catalogue::linked().map_err(|error| odd(error.to_string()))?;
    let mut plan = Plan::parse(&document.to_string(), &catalogue);
    // That there are none is no mistake here.
    plan.problems.retain(|problem| problem.path != JsonPath::root().field("analyses"));
    plan.resolve(file).map_err(fail)
}

/// The text of a plan's file.
fn text_of(file: &Path) -> Result<String, PlanError> {
    let unreadable = |what: String| {
        let problems = vec![Problem::new(JsonPath::root(), what)];
        PlanError { file: file.to_owned(), problems }
    };
    let bytes = std::fs::read(file).map_err(|e| unreadable(format!("cannot be read: {e}")))?;
    if let Some(kind) = FileKind::of(&bytes).filter(|kind| !matches!(kind, FileKind::Json | FileKind::Empty))
    {
        return Err(unreadable(format!("is {kind}; a plan is JSON in UTF-8")));
    }
    String::from_utf8(bytes).map_err(|e| {
        unreadable(format!("is not UTF-8 text: byte {} is out of place", e.utf8_error().valid_up_to()))
    })
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
