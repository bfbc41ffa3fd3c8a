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
pub use catalogue::Catalogue;
pub(crate) use describe::needed as words;
pub use path::{JsonPath, Step};
pub use problem::Problem;
pub use resolve::{ResolvedAnalysis, ResolvedPlan, Source};
pub use schema::schema;

use std::fmt;
use std::path::{Path, PathBuf};

use fmrai_core::analyzer::AnalyzerConfig;
use fmrai_core::data::DataSource;
use fmrai_core::model::ModelSource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    pub model: Option<Box<dyn ModelSource>>,
    /// The data.
    pub data: Option<Box<dyn DataSource>>,
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
    pub config: Box<dyn AnalyzerConfig>,
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
    let text = String::from_utf8(bytes).map_err(|e| {
        unreadable(format!("is not UTF-8 text: byte {} is out of place", e.utf8_error().valid_up_to()))
    })?;
    Plan::parse(&text, catalogue).resolve(file).map_err(fail)
}

impl Plan {
    /// What can be read of `text`.
    #[must_use]
    pub fn parse(text: &str, catalogue: &Catalogue) -> Self {
        let (document, problems) = match json::parse(text) {
            Ok(document) => {
                let problems = validate::validate(&document, &schema(catalogue));
                (document, problems)
            }
            Err(problem) => (Value::Null, vec![problem]),
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
            document,
        };
        plan.fill();
        plan
    }

    /// Reads every part that follows the schema.
    fn fill(&mut self) {
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
        let analyses = self.document.get("analyses").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, mut analysis) in analyses.into_iter().enumerate() {
            let kind = analysis.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = analysis.as_object_mut().and_then(|fields| fields.shift_remove("name"));
            let name = name.as_ref().and_then(Value::as_str).unwrap_or(&kind).to_owned();
            if let Some(config) = self.part(&root.field("analyses").element(index), Some(analysis)) {
                self.analyses.push((index, Analysis { name, kind, config }));
            }
        }
    }

    /// The value at `path`, unless a mistake is known of it; what serde finds wrong is one more mistake.
    fn part<T: serde::de::DeserializeOwned>(&mut self, path: &JsonPath, value: Option<Value>) -> Option<T> {
        if self.problems.iter().any(|p| p.path.is_in(path) || path.is_in(&p.path)) {
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
