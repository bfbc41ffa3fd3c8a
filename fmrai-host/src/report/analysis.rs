//! What one analysis has left.

use std::path::Path;

use fmrai_core::report::{Figure, NamedTensor};
use fmrai_core::tensor::from_safetensors;
use fmrai_report::{Analysis, Answer, Failure, ShownTable, ShownTensor, Status};
use serde_json::{Map, Value};

use super::inside::{below, json, object};
use crate::results::folder::SUMMARY;
use crate::results::from_csv;
use crate::stores::{OpenStore, answer, defaults, section};

/// The analysis that the summary of the run lists; `None` if it has no name.
pub(super) fn read(folder: &Path, listed: &Value, notes: &mut Vec<String>) -> Option<Analysis> {
    let name = listed["name"].as_str()?;
    let kind = listed["type"].as_str().unwrap_or_default();
    let mut analysis = empty(name, kind, failure(&listed["error"]));
    let mut note = |what: String| notes.push(format!("{name}: {what}"));
    let Some(place) = below(folder, name) else {
        note("its folder is gone".to_owned());
        return Some(analysis);
    };
    let own = match json(&place.join(SUMMARY)) {
        Ok(own) => own.map(object).unwrap_or_default(),
        Err(error) => {
            note(error.to_string());
            return Some(analysis);
        }
    };
    let field = |name: &str| own.get(name).cloned().unwrap_or_default();
    analysis.config = object(field("config"));
    analysis.summary = object(field("summary"));
    for part in field("tables").as_array().into_iter().flatten() {
        match table(&place, part) {
            Ok(table) => analysis.tables.push(table),
            Err(what) => note(format!("a table: {what}")),
        }
    }
    match tensors(&place, &field("tensors")) {
        Ok(tensors) => analysis.tensors = tensors,
        Err(what) => note(format!("its tensors: {what}")),
    }
    for part in field("figures").as_array().into_iter().flatten() {
        match figure(&place, part) {
            Ok(figure) => analysis.figures.push(figure),
            Err(what) => note(format!("a figure: {what}")),
        }
    }
    if let Some(store) = field("store")["file"].as_str().and_then(|file| below(&place, file)) {
        analysis.answers = answers(&store, &mut note);
    }
    Some(analysis)
}

/// An analysis without any part.
pub(super) fn empty(name: &str, kind: &str, error: Option<Failure>) -> Analysis {
    Analysis {
        name: name.to_owned(),
        kind: kind.to_owned(),
        status: if error.is_some() { Status::Failed } else { Status::Ok },
        config: Map::new(),
        error,
        summary: Map::new(),
        tables: Vec::new(),
        tensors: Vec::new(),
        figures: Vec::new(),
        answers: Vec::new(),
    }
}

/// Why it failed, if it did.
pub(super) fn failure(error: &Value) -> Option<Failure> {
    let field = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    error.is_object().then(|| Failure { stage: field("stage"), message: field("message") })
}

fn table(place: &Path, part: &Value) -> Result<ShownTable, String> {
    let file = part["file"].as_str().and_then(|file| below(place, file)).ok_or("its file is gone")?;
    let column = |column: &Value| {
        (column["name"].as_str().unwrap_or_default().to_owned(), column["unit"].as_str().map(str::to_owned))
    };
    let columns: Vec<_> = part["columns"].as_array().into_iter().flatten().map(column).collect();
    let csv = std::fs::read(file).map_err(|error| error.to_string())?;
    from_csv(part["name"].as_str().unwrap_or_default(), &columns, &csv).map(ShownTable::whole)
}

fn tensors(place: &Path, listed: &Value) -> Result<Vec<ShownTensor>, String> {
    let listed = listed.as_array().cloned().unwrap_or_default();
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let file = below(place, "tensors.safetensors").ok_or("their file is gone")?;
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let (mut read, _) = from_safetensors(&bytes)?;
    let mut tensors = Vec::new();
    for part in listed {
        let name = part["name"].as_str().unwrap_or_default();
        let Some(at) = read.iter().position(|(known, _)| known == name) else { continue };
        let (name, value) = read.swap_remove(at);
        let axes = part["axes"].as_array().into_iter().flatten();
        let axes: Vec<&str> = axes.filter_map(Value::as_str).collect();
        let tensor = NamedTensor::new(&name, &axes, part["unit"].as_str(), value);
        tensors.push(ShownTensor::with_data(&tensor));
    }
    Ok(tensors)
}

fn figure(place: &Path, part: &Value) -> Result<Figure, String> {
    let files = part["files"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let data = files.into_iter().find(|file| file.ends_with(".json"));
    let file = data.and_then(|file| below(place, file)).ok_or("its file is gone")?;
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// What a store answers in cards, to questions that need not be told anything.
pub(super) fn answers(store: &Path, note: &mut dyn FnMut(String)) -> Vec<Answer> {
    match OpenStore::open(store.to_owned()) {
        Ok(store) => asked(&store, note),
        Err(error) => {
            note(error.to_string());
            Vec::new()
        }
    }
}

/// The same of a store that is open.
pub(super) fn asked(store: &OpenStore, note: &mut dyn FnMut(String)) -> Vec<Answer> {
    let mut answers = Vec::new();
    for question in store.questions() {
        let Some(told) = defaults(question) else { continue };
        match answer(store, question, &told) {
            Ok(answered) => answers.push(Answer {
                question: question.name.clone(),
                about: question.about.clone(),
                sections: answered.iter().map(section).collect(),
            }),
            Err(error) => note(error.to_string()),
        }
    }
    answers
}
