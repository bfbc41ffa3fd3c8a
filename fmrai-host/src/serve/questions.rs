//! Questions to the stores of a run, those that analyzers declare and plain SQL. Both can only read, see few rows, and are stopped when they
//! take long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fmrai_core::report::{Argument, Kind, Question};
use serde_json::{Value, json};

use super::reply::{Refusal, absent, wrong};
use crate::checkpoint::interim_store;
use crate::plan::is_name;
use crate::results::STORE;
use crate::stores::{OpenStore, answer, section};

/// For a question to be answered.
const TIME: Duration = Duration::from_secs(10);
/// Characters of a query.
const LONGEST: usize = 20_000;

/// The store of an analysis, of a complete run or of one that goes on.
fn store(folder: &Path, analysis: &str) -> Result<OpenStore, Refusal> {
    if !is_name(analysis) {
        return Err(absent("there is no such analysis"));
    }
    let places: [PathBuf; 2] = [folder.join(analysis).join(STORE), interim_store(folder, analysis)];
    let own = |path: &PathBuf| {
        // A link that leads out of the folder is no store of this run.
        path.canonicalize()
            .ok()
            .filter(|real| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)))
    };
    let path = places.iter().find_map(own).ok_or_else(|| absent("this analysis has no store"))?;
    let store = OpenStore::open(path).map_err(wrong)?;
    store.stop_after(TIME);
    Ok(store)
}

/// What can be asked of the stores of a run, and the tables that they have.
pub(super) fn list(folder: &Path) -> Result<Value, Refusal> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.extend(
        crate::checkpoint::interim_stores(folder)
            .iter()
            .filter_map(|path| path.file_stem().map(|name| name.to_string_lossy().into_owned())),
    );
    names.sort();
    names.dedup();
    let mut stores = Vec::new();
    for name in names {
        let Ok(store) = store(folder, &name) else { continue };
        let tables = store.tables().map_err(wrong)?;
        stores.push(json!({ "analysis": name, "schema": store.schema().0, "version": store.schema().1, "tables": tables, "questions": store.questions() }));
    }
    Ok(json!(stores))
}

/// Answers a question.
pub(super) fn ask(
    folder: &Path,
    analysis: &str,
    question: &str,
    parameters: &BTreeMap<String, Value>,
) -> Result<Value, Refusal> {
    let store = store(folder, analysis)?;
    let question = store.questions().iter().find(|known| known.name == question);
    let question = question.ok_or_else(|| absent("there is no such question"))?;
    question.check().map_err(wrong)?;
    let told = told(question, parameters)?;
    let answered = answer(&store, question, &told).map_err(wrong)?;
    Ok(json!({
        "question": question.name,
        "about": question.about,
        "sections": answered.iter().map(section).collect::<Vec<_>>(),
    }))
}

/// The parameters as the question takes them.
fn told(question: &Question, given: &BTreeMap<String, Value>) -> Result<Vec<(String, Argument)>, Refusal> {
    let mut told = Vec::new();
    for parameter in &question.parameters {
        let name = &parameter.name;
        let value = match (given.get(name), &parameter.default) {
            (Some(value), _) => argument(parameter.kind, value)
                .ok_or_else(|| wrong(format!("{name} is {value}, needed {}", parameter.kind.name())))?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(wrong(format!("{name} has to be told: {}", parameter.about))),
        };
        told.push((name.clone(), value));
    }
    Ok(told)
}

fn argument(kind: Kind, value: &Value) -> Option<Argument> {
    match kind {
        Kind::Integer => value.as_i64().map(Argument::Integer),
        Kind::Number => value.as_f64().map(Argument::Number),
        Kind::Text => value.as_str().map(|text| Argument::Text(text.to_owned())),
    }
}

/// Answers a query in SQL.
pub(super) fn sql(folder: &Path, analysis: &str, sql: &str) -> Result<Value, Refusal> {
    if sql.len() > LONGEST {
        return Err(wrong(format!("a query of {} characters, at most {LONGEST} are read", sql.len())));
    }
    let store = store(folder, analysis)?;
    let begin = Instant::now();
    let (columns, rows, cut) = store.select(sql).map_err(|error| match begin.elapsed() >= TIME {
        true => wrong(format!("it took more than {} seconds and was stopped", TIME.as_secs())),
        false => wrong(error),
    })?;
    Ok(json!({ "columns": columns, "rows": rows, "cut": cut }))
}
