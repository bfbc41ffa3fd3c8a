//! Reports as a JSON document and attached tensors.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::report::{Figure, NamedTensor, Report, Store, Table};
use crate::tensor::TensorValue;

/// A report but for the numbers of its tensors.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    summary: Map<String, Value>,
    tables: Vec<Table>,
    tensors: Vec<Attached>,
    figures: Vec<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Store>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<String>,
}

/// What a document says of a tensor that goes beside it.
#[derive(Serialize, Deserialize)]
struct Attached {
    name: String,
    axes: Vec<String>,
    #[serde(default)]
    unit: Option<String>,
}

/// The document of a report, and its tensors by name.
pub(super) fn write(report: Report) -> Result<(String, Vec<(String, TensorValue)>), String> {
    let Report { summary, tables, tensors, figures, store, gaps } = report;
    let mut attached = Vec::new();
    let mut listed = Vec::new();
    for NamedTensor { name, axes, unit, value } in tensors {
        attached.push((name.clone(), value));
        listed.push(Attached { name, axes, unit });
    }
    let document = Document { summary, tables, tensors: listed, figures, store, gaps };
    let text = serde_json::to_string(&document).map_err(|e| format!("the report has no JSON: {e}"))?;
    Ok((text, attached))
}

/// The report of a document and attached tensors, checked.
pub(super) fn read(text: &str, mut attached: Vec<(String, TensorValue)>) -> Result<Report, String> {
    let Document { summary, tables, tensors, figures, store, gaps } = serde_json::from_str(text).map_err(|e| {
        format!("the report's document cannot be read: {e} (a number that JSON has no form for is null or \"inf\")")
    })?;
    let mut report = Report { summary, tables, tensors: Vec::new(), figures, store, gaps };
    for Attached { name, axes, unit } in tensors {
        let at = attached.iter().position(|(attached, _)| *attached == name);
        let Some(at) = at else {
            return Err(format!("the report names the tensor {name:?}, which was not added"));
        };
        let (_, value) = attached.swap_remove(at);
        if value.shape().len() != axes.len() {
            let shape = value.shape();
            return Err(format!(
                "tensor {name:?} has the shape {shape:?}, its document names the axes {axes:?}"
            ));
        }
        report.tensors.push(NamedTensor { name, axes, unit, value });
    }
    match attached.first() {
        None => Ok(report),
        Some((name, _)) => Err(format!("the tensor {name:?} was added, but the report does not name it")),
    }
}
