//! From text to what can be read of it.

use std::path::PathBuf;

use fmrai_core::structure::StructureFile;
use fmrai_torch::data::RegisteredDataSource;
use fmrai_torch::model::RegisteredModelSource;
use serde_json::Value;

use super::capture::Capture;
use super::catalogue::{Catalogue, Config, Offer};
use super::device::DeviceChoice;
use super::limits::Limits;
use super::on_error::OnError;
use super::parity::Parity;
use super::path::JsonPath;
use super::problem::Problem;
use super::reference::{self, Reference};
use super::schema::schema;
use super::{json, validate};
use crate::plugins::Pins;

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
    /// What corrects the structure that is found.
    pub structure: Option<StructureFile>,
    /// The analyses with their positions in the plan's list.
    pub analyses: Vec<(usize, Analysis)>,
    /// The values that come from results.
    pub references: Vec<Reference>,
    /// Folder for the results, as written.
    pub output: Option<PathBuf>,
    /// When to compare with the untouched model.
    pub parity: Parity,
    /// Seconds between two checkpoints.
    pub checkpoint_seconds: u64,
    /// Whether a report is written.
    pub report: bool,
    /// Seconds that a batch may take, if there is a limit.
    pub batch_seconds: Option<u64>,
    /// What becomes of what cannot be used.
    pub on_error: OnError,
    /// What the run may take.
    pub limits: Limits,
    /// Where the model runs.
    pub device: DeviceChoice,
    /// The plugins as they were loaded, in the order of the plan.
    pub(super) plugins: Vec<Pins>,
    pub(super) document: Value,
}

/// An analysis of a plan.
#[derive(Debug)]
pub struct Analysis {
    /// Its name, and that of its folder.
    pub name: String,
    /// Its analyzer's `type`.
    pub kind: String,
    /// What its analyzer is told; with stand-ins where it takes values from results.
    pub config: Config,
    /// What makes a config of it, once these values are known.
    pub(super) offer: Offer,
    /// As it is written, with the stand-ins.
    pub(super) filled: Value,
}

impl Plan {
    /// What can be read of `text`.
    #[must_use]
    pub fn parse(text: &str, catalogue: &Catalogue) -> Self {
        Self::parse_after(Ok(Vec::new()), text, catalogue)
    }

    /// The same, with hashes of the plugins that the plan names, or what is wrong with them.
    pub(super) fn parse_after(
        plugins: Result<Vec<Pins>, Vec<Problem>>,
        text: &str,
        catalogue: &Catalogue,
    ) -> Self {
        let refused = plugins.is_err();
        let (plugins, mut problems) = plugins.map_or_else(|p| (Vec::new(), p), |p| (p, Vec::new()));
        let (mut filled, mut references) = (Value::Null, Vec::new());
        let document = match json::parse(text) {
            Ok(document) => {
                let (with_stand_ins, found, wrong) = reference::extract(&document);
                problems.extend(wrong);
                problems.extend(reference::circles(&document, &found));
                (filled, references) = (with_stand_ins, found);
                let found = validate::validate(&filled, &schema(catalogue)).into_iter().map(|problem| {
                    let stands = |reference: &&Reference| problem.path.is_in(&reference.path);
                    match references.iter().find(stands) {
                        // What was found there is not what is written.
                        Some(reference) => Problem::new(
                            reference.path.clone(),
                            format!("takes a value of another form than this field has: {}", problem.what),
                        ),
                        None => problem,
                    }
                });
                // What was refused before needs no second mistake.
                let known: Vec<JsonPath> = problems.iter().map(|problem| problem.path.clone()).collect();
                let found: Vec<Problem> =
                    found.filter(|problem| !known.iter().any(|path| problem.path.is_in(path))).collect();
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
            structure: None,
            analyses: Vec::new(),
            references,
            output: None,
            parity: Parity::default(),
            checkpoint_seconds: 60,
            report: true,
            batch_seconds: None,
            on_error: OnError::default(),
            limits: Limits::default(),
            device: DeviceChoice::default(),
            plugins,
            document,
        };
        plan.fill(catalogue, &filled);
        plan
    }

    /// Reads every part that follows the schema.
    fn fill(&mut self, catalogue: &Catalogue, filled: &Value) {
        let root = JsonPath::root();
        self.model = self.part(&root.field("model"), self.document.get("model").cloned());
        self.data = self.part(&root.field("data"), self.document.get("data").cloned());
        let activations = self.document.get("activations").cloned();
        self.activations = self.part(&root.field("activations"), activations);
        self.capture = self.part(&root.field("capture"), self.document.get("capture").cloned());
        self.structure = self.part(&root.field("structure"), self.document.get("structure").cloned());
        self.output = self.part(&root.field("output"), self.document.get("output").cloned());
        if let Some(parity) = self.document.get("parity").cloned() {
            self.parity = self.part(&root.field("parity"), Some(parity)).unwrap_or_default();
        }
        if let Some(seconds) = self.document.get("checkpoint_seconds").cloned() {
            self.checkpoint_seconds =
                self.part(&root.field("checkpoint_seconds"), Some(seconds)).unwrap_or_default();
        }
        if let Some(report) = self.document.get("report").cloned() {
            self.report = self.part(&root.field("report"), Some(report)).unwrap_or(true);
        }
        let limit = self.document.get("batch_seconds").cloned();
        self.batch_seconds = self.part(&root.field("batch_seconds"), limit);
        let on_error = self.document.get("on_error").cloned();
        self.on_error = self.part(&root.field("on_error"), on_error).unwrap_or_default();
        let limits = self.document.get("limits").cloned();
        self.limits = self.part(&root.field("limits"), limits).unwrap_or_default();
        let device = self.document.get("device").cloned();
        self.device = self.part(&root.field("device"), device).unwrap_or_default();
        let analyses = filled.get("analyses").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, mut analysis) in analyses.into_iter().enumerate() {
            let kind = analysis.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = analysis.as_object_mut().and_then(|fields| fields.shift_remove("name"));
            let name = name.as_ref().and_then(Value::as_str).unwrap_or(&kind).to_owned();
            let path = root.field("analyses").element(index);
            let (false, Some(offer)) = (self.is_wrong(&path), catalogue.analyzer(&kind)) else { continue };
            match offer.config(analysis.clone()) {
                Ok(config) => {
                    let (offer, filled) = (offer.clone(), analysis);
                    self.analyses.push((index, Analysis { name, kind, config, offer, filled }));
                }
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
