//! What an analysis found, as files.

use std::collections::{BTreeSet, HashMap};

use fmrai_core::report::{Figure, NamedTensor, Relation, Report, Store, Table};
use fmrai_core::tensor::to_safetensors;
use fmrai_draw::{DrawError, draw};
use serde_json::{Map, Value, json};

use super::{FORMAT, STORE};

/// Why a report could not become files: the analyzer's fault, not the disk's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Two parts of a kind have one name.
    #[error("its report has two {what} called {name:?}")]
    Duplicate {
        /// `tables`, `tensors` or `figures`.
        what: &'static str,
        /// The name, as the files would have it.
        name: String,
    },
    /// A part has no name that a file could have.
    #[error("its report has a {what} without a name")]
    Nameless {
        /// `table`, `tensor` or `figure`.
        what: &'static str,
    },
    /// A table cannot be written as CSV.
    #[error("table {name:?}: {source}")]
    Table {
        /// Its name.
        name: String,
        /// What the CSV library says.
        source: csv::Error,
    },
    /// The tensors cannot be written.
    #[error("tensors: {0}")]
    Tensors(String),
    /// Nobody waits for it any more.
    #[error("stopped while its figures were drawn")]
    Stopped,
    /// A figure cannot be drawn.
    #[error("figure {name:?}: {source}")]
    Figure {
        /// Its name.
        name: String,
        /// What the drawing says.
        source: Box<DrawError>,
    },
}

/// Pixels to a picture point of the PNG files.
const PNG_SCALE: f32 = 2.0;

/// Files below the folder of an analysis: path with `/`, and content.
pub type Files = Vec<(String, Vec<u8>)>;

/// The files of a report but for its store, which [`write_store`](super::write_store) writes; `summary.json` last: who reads it finds the others.
///
/// # Errors
/// [`ReportError`] says which part of the report cannot become a file.
pub fn files(
    name: &str,
    kind: &str,
    config: &Map<String, Value>,
    report: &Report,
) -> Result<Files, ReportError> {
    files_until(&|| false, name, kind, config, report)
}

/// As [`files`], but asks before each figure whether to stop, since drawing takes its time.
///
/// # Errors
/// As [`files`], or [`ReportError::Stopped`].
pub fn files_until(
    stop: &dyn Fn() -> bool,
    name: &str,
    kind: &str,
    config: &Map<String, Value>,
    report: &Report,
) -> Result<Files, ReportError> {
    let mut files = Files::new();
    let tables = tables(&report.tables, &mut files)?;
    let tensors = tensors(&report.tensors, &mut files)?;
    let figures = figures(&report.figures, stop, &mut files)?;
    let store = report.store.as_ref().map(store);
    let mut summary = json!({
        "format": FORMAT,
        "name": name,
        "type": kind,
        "config": config,
        "status": "ok",
        "summary": report.summary,
        "tables": tables,
        "tensors": tensors,
        "figures": figures,
    });
    if let (Some(store), Value::Object(summary)) = (store, &mut summary) {
        summary.insert("store".to_owned(), store);
    }
    files.push(("summary.json".to_owned(), pretty(&summary)));
    Ok(files)
}

/// The `summary.json` of an analysis that failed.
#[must_use]
pub fn failure(name: &str, kind: &str, config: &Map<String, Value>, stage: &str, error: &str) -> Files {
    let summary = json!({
        "format": FORMAT,
        "name": name,
        "type": kind,
        "config": config,
        "status": "failed",
        "error": { "stage": stage, "message": error },
    });
    vec![("summary.json".to_owned(), pretty(&summary))]
}

fn pretty(document: &Value) -> Vec<u8> {
    format!("{document:#}\n").into_bytes()
}

fn tables(tables: &[Table], files: &mut Files) -> Result<Vec<Value>, ReportError> {
    let mut names = Names::new("table", "tables");
    let mut index = Vec::new();
    for table in tables {
        let file = format!("tables/{}.csv", names.take(table.name())?);
        let csv = super::table::to_csv(table)
            .map_err(|source| ReportError::Table { name: table.name().to_owned(), source })?;
        let columns: Vec<Value> =
            table.columns().iter().map(|c| json!({ "name": c.name, "unit": c.unit })).collect();
        index.push(json!({ "name": table.name(), "file": file, "rows": table.rows(), "columns": columns }));
        files.push((file, csv));
    }
    Ok(index)
}

/// One safetensors file. Its metadata has, per tensor, `{"axes": [..], "unit": ..}`.
fn tensors(tensors: &[NamedTensor], files: &mut Files) -> Result<Vec<Value>, ReportError> {
    if tensors.is_empty() {
        return Ok(Vec::new());
    }
    let mut seen = BTreeSet::new();
    let mut metadata = HashMap::from([("format".to_owned(), FORMAT.to_string())]);
    let mut index = Vec::new();
    for tensor in tensors {
        if tensor.name.is_empty() || tensor.name == "format" || tensor.name == "__metadata__" {
            return Err(ReportError::Nameless { what: "tensor" });
        }
        if !seen.insert(&tensor.name) {
            return Err(ReportError::Duplicate { what: "tensors", name: tensor.name.clone() });
        }
        let (axes, shape) = (&tensor.axes, tensor.value.shape());
        if axes.len() != shape.len() {
            let what = format!("{:?} has shape {shape:?} but {} axis names", tensor.name, axes.len());
            return Err(ReportError::Tensors(what));
        }
        let described = json!({ "axes": axes, "unit": tensor.unit });
        metadata.insert(tensor.name.clone(), described.to_string());
        index.push(json!({
            "name": tensor.name,
            "axes": axes,
            "shape": shape,
            "dtype": tensor.value.data().dtype(),
            "unit": tensor.unit,
        }));
    }
    let named = tensors.iter().map(|t| (t.name.as_str(), &t.value));
    let bytes = to_safetensors(named, metadata).map_err(ReportError::Tensors)?;
    files.push(("tensors.safetensors".to_owned(), bytes));
    Ok(index)
}

/// One database, as the summary tells of it.
fn store(store: &Store) -> Value {
    for fault in super::questions::faults(store) {
        // What was found is worth more than a way to ask for it.
        tracing::warn!("{fault}; the store is written, and does not answer it");
    }
    let table = |r: &Relation| json!({ "name": r.table.name(), "about": r.about, "rows": r.table.rows() });
    let tables: Vec<Value> = store.relations.iter().map(table).collect();
    json!({ "file": STORE, "schema": store.schema, "version": store.version, "tables": tables })
}

/// Each figure as SVG, as PNG, and as the data it was drawn from.
fn figures(
    figures: &[Figure],
    stop: &dyn Fn() -> bool,
    files: &mut Files,
) -> Result<Vec<Value>, ReportError> {
    let mut names = Names::new("figure", "figures");
    let mut index = Vec::new();
    for figure in figures {
        if stop() {
            return Err(ReportError::Stopped);
        }
        let stem = names.take(&figure.name)?;
        let fail = |error| ReportError::Figure { name: figure.name.clone(), source: Box::new(error) };
        let drawing = draw(figure).map_err(fail)?;
        let png = drawing.png(PNG_SCALE).map_err(fail)?;
        let boxes = drawing.boxes();
        if !boxes.is_empty() {
            let (some, more): (String, _) = (boxes.iter().take(12).collect(), boxes.len().saturating_sub(12));
            tracing::warn!(
                figure = figure.name,
                "no font of this machine has {some}{}: boxes in the PNG file, letters in the SVG",
                if more > 0 { format!(" and {more} more characters") } else { String::new() }
            );
        }
        let paths = ["svg", "png", "json"].map(|e| format!("figures/{stem}.{e}"));
        index.push(json!({
            "name": figure.name,
            "title": figure.title,
            "caption": figure.caption,
            "files": paths,
        }));
        files.push((format!("figures/{stem}.svg"), drawing.svg().as_bytes().to_vec()));
        files.push((format!("figures/{stem}.png"), png));
        files.push((format!("figures/{stem}.json"), pretty(&json!(figure))));
    }
    Ok(index)
}

/// Names as files have them, each once (also where a file system ignores case).
struct Names {
    one: &'static str,
    many: &'static str,
    taken: BTreeSet<String>,
}

impl Names {
    fn new(one: &'static str, many: &'static str) -> Self {
        Self { one, many, taken: BTreeSet::new() }
    }

    fn take(&mut self, name: &str) -> Result<String, ReportError> {
        let safe = file_name(name);
        if safe.is_empty() {
            return Err(ReportError::Nameless { what: self.one });
        }
        if !self.taken.insert(safe.to_lowercase()) {
            return Err(ReportError::Duplicate { what: self.many, name: safe });
        }
        Ok(safe)
    }
}

/// `name` with everything but letters, digits, `.`, `-` and `_` replaced by `_`, no leading dot, at most 100 long.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    name.trim_start_matches('.').chars().map(safe).take(100).collect()
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::{Column, Values};
    use fmrai_core::tensor::{TensorData, TensorValue, from_safetensors};

    use super::*;

    fn table(name: &str) -> Table {
        Table::new(name, vec![Column::new("x", None, Values::Int(vec![1]))]).unwrap()
    }

    fn error(report: &Report) -> String {
        files("a", "b", &Map::new(), report).unwrap_err().to_string()
    }

    #[test]
    fn names_become_safe_file_names_and_clashes_are_errors() {
        let report = Report { tables: vec![table("../up & away")], ..Report::default() };
        let written = files("a", "b", &Map::new(), &report).unwrap();
        assert_eq!(written[0].0, "tables/_up___away.csv");
        let clash = Report { tables: vec![table("per head"), table("per_Head")], ..Report::default() };
        assert_eq!(error(&clash), "its report has two tables called \"per_Head\"");
        let nameless = Report { tables: vec![table("...")], ..Report::default() };
        assert_eq!(error(&nameless), "its report has a table without a name");
    }

    #[test]
    fn tensors_carry_axes_and_units() {
        let value = TensorValue::new([1, 2], TensorData::F64(vec![0.5, f64::NAN])).unwrap();
        let tensor = NamedTensor::new("entropy", &["layer", "head"], Some("nats"), value);
        let report = Report { tensors: vec![tensor.clone()], ..Report::default() };
        let written = files("a", "b", &Map::new(), &report).unwrap();
        let (read, metadata) = from_safetensors(&written[0].1).unwrap();
        assert_eq!(read[0].1.shape(), [1, 2]);
        assert_eq!(metadata["entropy"], r#"{"axes":["layer","head"],"unit":"nats"}"#);
        let twice = Report { tensors: vec![tensor.clone(), tensor.clone()], ..Report::default() };
        assert_eq!(error(&twice), "its report has two tensors called \"entropy\"");
        let axes = NamedTensor { axes: vec!["head".into()], ..tensor };
        let wrong = Report { tensors: vec![axes], ..Report::default() };
        assert_eq!(error(&wrong), "tensors: \"entropy\" has shape [1, 2] but 1 axis names");
    }
}
