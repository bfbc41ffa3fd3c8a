//! Tensors as names, in place of numbers.

use serde_json::Value;

use crate::graph::{Graph, TensorId};
use crate::suggest::nearest;

use super::error::StructureFileError;

/// Fields that hold a tensor.
const TENSORS: [&str; 16] = [
    "query",
    "key",
    "value",
    "scores",
    "probabilities",
    "context",
    "input",
    "output",
    "pre_activation",
    "linear",
    "activation",
    "weight",
    "bias",
    "before",
    "written",
    "after",
];

/// Fields that are told by others, and so left out where they are written.
const TOLD: [&str; 6] = ["layer", "operation", "operations", "query_positions", "key_positions", "positions"];

/// Numbers of tensors as names, and what need not be told left out.
pub(super) fn told(graph: &dyn Graph, value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|one| told(graph, one)),
        Value::Object(fields) => {
            fields.retain(|name, _| !TOLD.contains(&name.as_str()) || name == "operations");
            fields.remove("axes");
            for (name, field) in fields {
                match field.as_u64().filter(|_| TENSORS.contains(&name.as_str())) {
                    Some(id) => *field = name_of(graph, id).into(),
                    None => told(graph, field),
                }
            }
        }
        _ => {}
    }
}

fn name_of(graph: &dyn Graph, id: u64) -> String {
    let id = TensorId(u32::try_from(id).unwrap_or(u32::MAX));
    let name = graph.tensor(id).and_then(|t| t.name.clone());
    let unique = name
        .filter(|name| graph.tensors().iter().filter(|t| t.name.as_ref() == Some(name)).take(2).count() == 1);
    unique.map_or_else(|| id.to_string(), |name| format!("%{name}"))
}

/// Names of tensors as numbers.
pub(super) fn resolved(graph: &dyn Graph, value: &mut Value, place: &str) -> Result<(), StructureFileError> {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = format!("{place}.{name}");
                match field.as_str().filter(|_| TENSORS.contains(&name.as_str())) {
                    Some(text) => *field = u64::from(tensor(graph, text, &place)?.0).into(),
                    None => resolved(graph, field, &place)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn tensor(graph: &dyn Graph, text: &str, place: &str) -> Result<TensorId, StructureFileError> {
    let found = match (text.strip_prefix('#'), text.strip_prefix('%')) {
        (Some(id), _) => id.parse().ok().map(TensorId).filter(|id| graph.tensor(*id).is_some()),
        (_, Some(name)) => graph.tensors().iter().find(|t| t.name.as_deref() == Some(name)).map(|t| t.id),
        _ => None,
    };
    found.ok_or_else(|| {
        let names = graph.tensors().iter().filter_map(|t| t.name.as_deref());
        let near = text.strip_prefix('%').and_then(|name| nearest(name, names, 2).first().copied());
        StructureFileError::Tensor {
            place: place.to_owned(),
            tensor: text.to_owned(),
            near: match near {
                Some(name) => format!(" (did you mean `%{name}`?)"),
                None if text.starts_with(['#', '%']) => String::new(),
                None => "; tensors are written `%name` or `#id`".to_owned(),
            },
        }
    })
}
