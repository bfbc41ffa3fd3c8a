//! A text of the visitor's own, run through the model of a run: what it attends to, what it predicts, which neurons are strongest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use fmrai_core::analyzer::RegisteredConfig;
use fmrai_core::report::Report;
use fmrai_report::{Analysis, Document, FORMAT, Failure, ShownTable, ShownTensor, Status, excerpt};
use fmrai_torch::Device;
use fmrai_torch::data::GivenTexts;
use fmrai_torch::model::{LoadContext, Model, RegisteredModelSource};
use serde_json::{Map, Value, json};

use super::lent::Lent;
use crate::plan::Parity;
use crate::results::folder::{PLAN, RUN};
use crate::run::Run;

/// Characters of a text.
const LONGEST: usize = 20_000;
/// Tokens that the model is shown.
const TOKENS: usize = 128;

/// What is asked of a text. Analyses that the model is not made for are left out.
fn analyses() -> Vec<(&'static str, Value)> {
    vec![
        ("attention", json!({ "type": "attention_view", "texts": 1, "max_tokens": TOKENS })),
        ("prediction", json!({ "type": "logit_lens", "texts": 1, "top_k": 10 })),
        ("neurons", json!({ "type": "neuron_view", "texts": 1, "max_tokens": TOKENS })),
    ]
}

/// The model that was used last: one at a time fits into memory.
pub(super) struct Texts {
    loaded: Mutex<Option<(PathBuf, Box<dyn Model>)>>,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { loaded: Mutex::new(None) }
    }

    /// Runs the model of the run in `folder` on a text.
    pub(super) fn run(&self, folder: &Path, text: &str) -> Result<Document, String> {
        if text.trim().is_empty() {
            return Err("there is nothing in the text".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("a text of {} characters, at most {LONGEST} are read", text.len()));
        }
        // A panic of one text is not the end of the others: the model is loaded again.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let model = match loaded.take() {
            Some((own, model)) if own == folder => model,
            other => {
                drop(other);
                load(folder)?
            }
        };
        if model.tokenizer().is_none() {
            *loaded = Some((folder.to_owned(), model));
            return Err("the model of this run reads no texts".to_owned());
        }
        let (back, returned) = channel();
        let document = through(Box::new(Lent::new(model, back)), text);
        if let Ok(model) = returned.try_recv() {
            *loaded = Some((folder.to_owned(), model));
        }
        document
    }
}

/// Loads the model that the plan of a run names, from where the run found it.
fn load(folder: &Path) -> Result<Box<dyn Model>, String> {
    let read = |name: &str| -> Result<Value, String> {
        let bytes =
            std::fs::read(folder.join(name)).map_err(|error| format!("{name} of the run: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("{name} of the run: {error}"))
    };
    let (plan, run) = (read(PLAN)?, read(RUN)?);
    let source: Box<dyn RegisteredModelSource> = serde_json::from_value(plan["model"].clone())
        .map_err(|error| format!("the model of the run cannot be named again: {error}"))?;
    let file = run["plan_file"].as_str().map(PathBuf::from).unwrap_or_default();
    let base = file.parent().map(Path::to_owned).unwrap_or_default();
    source.load(&LoadContext::new(&base, Device::Cpu)).map_err(|error| {
        format!(
            "{error}; paths of the plan start from {}, where fmrai serve was started like fmrai run",
            base.display()
        )
    })
}

/// What a model does with a text, as a page shows it: what its heads attend to, what it predicts at each layer, and which neurons
/// are strongest.
pub(crate) fn through(model: Box<dyn Model>, text: &str) -> Result<Document, String> {
    let most = model.info().max_tokens.map_or(TOKENS, |most| most.min(TOKENS));
    let data = GivenTexts { max_tokens: Some(most), ..GivenTexts::new(vec![text.to_owned()]) };
    let architecture = model.info().architecture.clone();
    let mut run = Run::new().model(model).data_source(Box::new(data)).parity(Parity::Off).threads(1);
    let mut configs = BTreeMap::new();
    for (name, config) in analyses() {
        configs.insert(name.to_owned(), config["type"].as_str().unwrap_or_default().to_owned());
        let config: Box<dyn RegisteredConfig> =
            serde_json::from_value(config).map_err(|error| error.to_string())?;
        run = run.config(name, config);
    }
    let outcome = run.run().map_err(|error| error.to_string())?;
    let mut document = Document {
        format: FORMAT,
        title: "a text".to_owned(),
        status: "ok".to_owned(),
        run: Map::new(),
        model: None,
        analyses: Vec::new(),
        notes: Vec::new(),
    };
    document.run.insert("model".to_owned(), json!({ "architecture": architecture }));
    document.run.insert("data".to_owned(), json!({ "counts": outcome.counts }));
    for (name, answer) in outcome.analyses {
        let kind = configs.get(&name).cloned().unwrap_or_default();
        match answer {
            Ok(report) => document.analyses.push(analysis(&name, &kind, report)),
            Err(failure) => {
                document.notes.push(format!("{name}: {}", failure.message));
                let error = Failure { stage: failure.stage, message: failure.message };
                document.analyses.push(Analysis {
                    status: Status::Failed,
                    error: Some(error),
                    ..analysis(&name, &kind, Report::default())
                });
            }
        }
    }
    Ok(excerpt(document))
}

fn analysis(name: &str, kind: &str, report: Report) -> Analysis {
    Analysis {
        name: name.to_owned(),
        kind: kind.to_owned(),
        status: Status::Ok,
        config: Map::new(),
        error: None,
        summary: report.summary,
        tables: report.tables.into_iter().map(ShownTable::whole).collect(),
        tensors: report.tensors.iter().map(ShownTensor::with_data).collect(),
        figures: report.figures,
        answers: Vec::new(),
    }
}
