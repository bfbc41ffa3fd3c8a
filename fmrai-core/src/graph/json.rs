//! Graphs as JSON files.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Graph, GraphError, GraphOutput, Operation, RecordedGraph, TensorNode, fingerprint};

/// Version of the file format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    fingerprint: Fingerprint,
    operations: &'a [Operation],
    tensors: &'a [TensorNode],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    outputs: &'a [GraphOutput],
}

#[derive(Deserialize)]
struct Read {
    format: u32,
    operations: Vec<Operation>,
    tensors: Vec<TensorNode>,
    #[serde(default)]
    outputs: Vec<GraphOutput>,
}

/// A graph as JSON: `format`, `fingerprint`, `operations`, `tensors`, and `outputs` where these are known. NaN is `null`, infinities are the
/// texts `inf` and `-inf`.
///
/// # Errors
/// [`GraphError::Json`] if a value cannot be written.
pub fn to_json(graph: &dyn Graph) -> Result<String, GraphError> {
    let written = Written {
        format: FORMAT,
        fingerprint: fingerprint(graph),
        operations: graph.operations(),
        tensors: graph.tensors(),
        outputs: graph.outputs(),
    };
    Ok(serde_json::to_string(&written)?)
}

/// The graph that [`to_json`] wrote. The fingerprint is computed again, not read.
///
/// # Errors
/// [`GraphError`] for text that is not a graph, is of another format, or has ids that point nowhere.
pub fn from_json(text: &str) -> Result<RecordedGraph, GraphError> {
    let read: Read = serde_json::from_str(text)?;
    if read.format != FORMAT {
        return Err(GraphError::Format { found: read.format, supported: FORMAT });
    }
    RecordedGraph::new(read.operations, read.tensors)?.with_outputs(read.outputs)
}
