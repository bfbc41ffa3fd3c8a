//! `fmrai plugin trial`: one trial of `fmrai plugin check`, in the process that it may bring down.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::abi::ForeignAnalyzer;
use fmrai_core::analyzer::{Analyzer, Method};
use fmrai_core::testing::contract::{Duty, LAWS};
use fmrai_core::testing::{Recorded, drive, driven};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::decoder;
use crate::error::{Error, Exit};
use crate::plan::words;
use crate::plugins::{Pins, Plugin, Policy, load};
use crate::resident::held;
use crate::results::questions::faults;
use crate::results::{analysis, in_memory, write};

/// One trial.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrialOptions {
    /// The plugin.
    pub(crate) file: PathBuf,
    /// Its analyzer; absent for the trial `load`.
    pub(crate) analyzer: String,
    /// Name of the trial.
    pub(crate) trial: String,
    /// The recorded batches.
    pub(crate) activations: PathBuf,
    /// Config of the analyzer, as JSON.
    pub(crate) config: Option<String>,
    /// Where the outcome is written.
    pub(crate) result: PathBuf,
}

/// What a trial gave.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// How the contract is broken; absent if it holds.
    pub(super) broken: Option<String>,
    /// What could not be looked at, and why.
    pub(super) note: Option<String>,
    /// Names of the analyzers; of the trial `load` only.
    #[serde(default)]
    pub(super) analyzers: Vec<String>,
}

/// A part of the contract that is tried.
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) duty: Duty,
    pub(super) promise: &'static str,
}

/// Everything that is tried of an analyzer, the laws of the contract included.
pub(super) fn trials() -> Vec<Trial> {
    let own = |name, duty, promise| Trial { name, duty, promise };
    let mut trials = vec![
        own("describe", Duty::Must, "its schema is one, and its example obeys it"),
        own("config", Duty::Must, "fills in its config, and a filled-in one stays as it is"),
        own("unknown field", Duty::Should, "refuses a field that it does not know"),
    ];
    trials.extend(LAWS.iter().map(|law| own(law.name, law.duty, law.promise)));
    trials.extend([
        own("passes", Duty::Should, "says about how many passes it takes, if it drives the model"),
        own("report", Duty::Must, "its report can be written and drawn"),
        own("leaks", Duty::Must, "gives back what it takes, in many lives"),
    ]);
    trials
}

/// Runs one trial and writes its outcome.
pub(crate) fn trial(options: &TrialOptions) -> Result<Exit, Error> {
    let TrialOptions { file, result, .. } = options;
    let plugin = load(file, &Pins::default(), &Policy::default().with_folder_of(file), None)?;
    // What the plugin has time for begins now.
    write(&loaded_mark(result), b"")?;
    let outcome = match options.trial.as_str() {
        "load" => {
            let names = plugin.foreign.analyzers().iter().map(|a| a.description().name.clone()).collect();
            loaded(names)
        }
        name => {
            let found = plugin.foreign.analyzers().iter().find(|a| a.description().name == options.analyzer);
            let Some(found) = found else {
                return Err(Error::Usage(format!("it has no analyzer {:?}", options.analyzer)));
            };
            let (broken, note) = match try_one(name, &plugin, found, options)? {
                Ok(note) => (None, note),
                Err(broken) => (Some(broken), None),
            };
            Outcome { broken, note, analyzers: Vec::new() }
        }
    };
    let text = serde_json::to_vec(&outcome).map_err(|e| Error::Internal(e.to_string()))?;
    write(result, &text)?;
    Ok(Exit::Success)
}

/// The file that says that the plugin of a trial is loaded.
pub(super) fn loaded_mark(result: &Path) -> PathBuf {
    result.with_extension("loaded")
}

fn loaded(analyzers: Vec<String>) -> Outcome {
    let twice = analyzers.iter().find(|name| analyzers.iter().filter(|other| other == name).count() > 1);
    let broken = match (analyzers.is_empty(), twice) {
        (true, _) => Some("it has no analyzer".to_owned()),
        (_, Some(name)) => Some(format!("it has two analyzers called {name:?}")),
        _ => None,
    };
    Outcome { broken, note: None, analyzers }
}

/// Holds, perhaps with a note; or how it is broken.
type Held = Result<Option<String>, String>;

fn try_one(
    name: &str,
    plugin: &Plugin,
    analyzer: &ForeignAnalyzer,
    options: &TrialOptions,
) -> Result<Held, Error> {
    let given: Map<String, Value> = match &options.config {
        None => Map::new(),
        Some(text) => serde_json::from_str(text)
            .map_err(|e| Error::Usage(format!("--config needs a JSON object: {e}")))?,
    };
    match name {
        "describe" => return Ok(describe(analyzer)),
        "config" => return Ok(config(analyzer, &given)),
        "unknown field" => return Ok(unknown_field(analyzer, &given)),
        _ => {}
    }
    let complete = match analyzer.complete(&given) {
        Ok(complete) => complete,
        Err(error) => return Ok(Err(format!("its config is refused: {error}"))),
    };
    if name == "passes" {
        return Ok(passes(analyzer, &complete));
    }
    let recorded = if analyzer.drives_model() {
        decoder::recorded().map_err(|e| Error::Internal(e.to_string()))?
    } else {
        Recorded::open(&options.activations)?
    };
    let (recorded, benches) = (Arc::new(recorded), decoder::benches());
    let make = || {
        let method = analyzer.build(&complete).map_err(|e| format!("its config is refused: {e}"))?;
        Ok(match method {
            Method::Analyzer(analyzer) => analyzer,
            Method::Experiment(experiment) => driven(experiment, Arc::clone(&benches), Arc::clone(&recorded)),
        })
    };
    Ok(match name {
        "report" => report(analyzer, &make, &complete, &recorded),
        "leaks" => {
            let lives = if analyzer.drives_model() { DRIVEN_LIVES } else { LIVES };
            leaks(plugin, &make, &recorded, lives)
        }
        _ => match LAWS.iter().find(|law| law.name == name) {
            Some(law) => law.check(&make, &recorded).map(|()| note(name, analyzer)),
            None => return Err(Error::Usage(format!("there is no trial {name:?}"))),
        },
    })
}

/// What a user may not expect.
fn note(trial: &str, analyzer: &ForeignAnalyzer) -> Option<String> {
    let about = trial == "run" && analyzer.drives_model();
    about.then(|| "it drives the model: tried on a decoder of two layers, not on recorded batches".to_owned())
}

/// Told and counted may differ by this factor: variants are packed, and a clean pass is served from.
const ABOUT: f64 = 2.0;

fn passes(analyzer: &ForeignAnalyzer, config: &Map<String, Value>) -> Held {
    let method = analyzer.build(config).map_err(|e| format!("its config is refused: {e}"))?;
    let Method::Experiment(mut experiment) = method else { return Ok(None) };
    let (told, counted) = decoder::passes(experiment.as_mut()).map_err(|e| e.to_string())?;
    if told.is_nan() || told < 0.0 {
        return Err(format!("it says {told}, needed a number of at least 0"));
    }
    if told > counted.max(1.0) * ABOUT || counted > told.max(1.0) * ABOUT {
        return Err(format!("it says {told:.1} passes for a batch, and takes {counted:.1}"));
    }
    Ok(Some(format!("{told:.1} told, {counted:.1} taken for a batch of four texts")))
}

fn describe(analyzer: &ForeignAnalyzer) -> Held {
    let about = analyzer.description();
    if about.summary.trim().is_empty() || about.summary.lines().count() != 1 {
        return Err(format!("its summary is {:?}, needed one line that says what it answers", about.summary));
    }
    let schema = jsonschema::validator_for(&about.schema);
    let schema = schema.map_err(|e| format!("its schema is no JSON Schema: {e}"))?;
    let mut example = about.example.clone();
    let Some(fields) = example.as_object_mut() else {
        return Err(format!("its example is {example}, needed an object"));
    };
    fields.shift_remove("type");
    if let Err(error) = schema.validate(&example) {
        return Err(format!("its example does not obey its schema: {error}"));
    }
    let undescribed = about.schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .find(|(_, field)| field.get("description").and_then(Value::as_str).is_none_or(str::is_empty));
    match undescribed {
        Some((field, schema)) => Err(format!(
            "its schema does not describe the field {field:?} ({})",
            words(schema, &about.schema)
        )),
        None => Ok(None),
    }
}

fn config(analyzer: &ForeignAnalyzer, given: &Map<String, Value>) -> Held {
    let complete = analyzer.complete(given).map_err(|e| format!("its config is refused: {e}"))?;
    let again = analyzer.complete(&complete).map_err(|e| format!("its filled-in config is refused: {e}"))?;
    if again != complete {
        return Err(format!("{} is filled in as {}", json!(complete), json!(again)));
    }
    let schema = jsonschema::validator_for(&analyzer.description().schema).map_err(|e| e.to_string())?;
    match schema.validate(&json!(complete)) {
        Ok(()) => analyzer.build(&complete).map(|_| None).map_err(|e| format!("create refuses it: {e}")),
        Err(error) => Err(format!("the filled-in config does not obey the schema: {error}")),
    }
}

fn unknown_field(analyzer: &ForeignAnalyzer, given: &Map<String, Value>) -> Held {
    let mut unknown = given.clone();
    unknown.insert("no_such_field".to_owned(), Value::Bool(true));
    let refused = match jsonschema::validator_for(&analyzer.description().schema) {
        Ok(schema) => !schema.is_valid(&json!(unknown)),
        Err(_) => false,
    };
    if refused || analyzer.complete(&unknown).is_err() {
        return Ok(None);
    }
    Err("a field that it does not know is taken: a plan with a mistake would run".to_owned())
}

type Make<'a> = &'a (dyn Fn() -> Result<Box<dyn Analyzer>, String> + Sync);

fn report(
    analyzer: &ForeignAnalyzer,
    make: Make<'_>,
    config: &Map<String, Value>,
    recorded: &Recorded,
) -> Held {
    let report = drive(make()?.as_mut(), recorded).map_err(|e| e.to_string())?;
    let name = &analyzer.description().name;
    let files = analysis::files(name, name, config, &report).map_err(|e| e.to_string())?;
    report.store.as_ref().map(in_memory).transpose().map_err(|e| format!("store: {e}"))?;
    if let Some(fault) = report.store.iter().flat_map(faults).next() {
        return Err(fault.to_string());
    }
    let nothing = report.summary.is_empty() && report.store.is_none() && files.len() == 1;
    if nothing {
        return Err("its report is empty".to_owned());
    }
    let places = report.not_numbers();
    Ok((!places.is_empty())
        .then(|| format!("warning: in it are numbers that are none ({})", places.join("; "))))
}

/// Lives before memory is measured, and lives that are measured.
const LIVES: (u32, u32) = (40, 200);
/// The same of methods that drive the model, which take longer.
const DRIVEN_LIVES: (u32, u32) = (10, 30);
/// Growth that is taken for the allocator's, in bytes.
const SLACK: u64 = 1 << 20;

fn leaks(plugin: &Plugin, make: Make<'_>, recorded: &Recorded, (before, measured): (u32, u32)) -> Held {
    let life = || -> Result<(), String> {
        let mut one = make()?;
        drive(one.as_mut(), recorded).map_err(|e| e.to_string())?;
        let mut two = make()?;
        two.prepare(&recorded.model()).map_err(|e| e.to_string())?;
        let state = one.state().map_err(|e| e.to_string())?;
        two.merge(&state).map_err(|e| e.to_string())?;
        // A life that ends in the middle, and one that fails.
        let mut foreign = state;
        foreign.analyzer.push('_');
        let _ = two.merge(&foreign);
        let _ = make()?.prepare(&recorded.model());
        Ok(())
    };
    (0..before).try_for_each(|_| life())?;
    let before = held();
    (0..measured).try_for_each(|_| life())?;
    if let Some((instances, tensors)) = plugin.foreign.live().filter(|live| *live != (0, 0)) {
        return Err(format!("{instances} instances and {tensors} tensors are still there at the end"));
    }
    match (before, held()) {
        (Some(before), Some(after)) if after > before + SLACK => {
            let each = (after - before) / u64::from(measured) / 1024;
            Err(format!("memory grows by about {each} KiB from one life to the next"))
        }
        (Some(_), Some(_)) if plugin.foreign.live().is_none() => {
            Ok(Some("by memory in use only: it does not offer fmrai.live/1".to_owned()))
        }
        (Some(_), Some(_)) => Ok(None),
        _ => Ok(Some("memory in use is not known on this system".to_owned())),
    }
}
