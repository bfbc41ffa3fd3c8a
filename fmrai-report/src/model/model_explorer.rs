//! Graphs for Google's Model Explorer, in its JSON format: <https://github.com/google-ai-edge/model-explorer>.

use fmrai_core::graph::{Graph, Origin, TensorId};
use fmrai_core::structure::Structure;
use serde_json::{Value, json};

use super::blocks;
use super::graph::constants;

/// A graph as Model Explorer reads it: one collection with one graph. Nodes are operations, and inputs and parameters; they stand in
/// groups by module, or, where the model tells none, by the blocks that were found.
///
/// # Errors
/// What serde says.
pub fn to_model_explorer(
    graph: &dyn Graph,
    structure: &Structure,
    title: &str,
) -> Result<String, serde_json::Error> {
    let (_, coverage) = Structure::with_coverage(graph);
    let blocks = blocks::paths(graph, structure, &coverage);
    let modules = graph.operations().iter().any(|operation| !operation.module.is_empty());
    let leaf = |id: TensorId| format!("tensor {}", id.0);
    let operation_id = |id: u32| format!("operation {id}");
    let mut nodes = Vec::new();
    for tensor in graph.tensors().iter().filter(|tensor| !matches!(tensor.origin, Origin::Operation { .. })) {
        let origin = match tensor.origin {
            Origin::Input => "input",
            Origin::Parameter => "parameter",
            _ => "constant",
        };
        nodes.push(json!({
            "id": leaf(tensor.id),
            "label": tensor.name.as_deref().unwrap_or(origin),
            "namespace": format!("{origin}s"),
            "attrs": [{ "key": "origin", "value": origin }],
            "outputsMetadata": [metadata(graph, 0, tensor.id)],
        }));
    }
    for (operation, block) in graph.operations().iter().zip(&blocks) {
        let namespace = if modules { operation.module.replace('.', "/") } else { block.clone() };
        let mut edges = Vec::new();
        for (place, input) in operation.inputs().enumerate() {
            let (source, output) = match graph.tensor(input).map(|tensor| tensor.origin) {
                Some(Origin::Operation { operation, output }) => (operation_id(operation.0), output),
                _ => (leaf(input), 0),
            };
            edges.push(json!({
                "sourceNodeId": source,
                "sourceNodeOutputId": output.to_string(),
                "targetNodeInputId": place.to_string(),
            }));
        }
        let mut attributes = vec![attribute("operation", &operation.name)];
        let told = [
            ("block", block.as_str()),
            ("constants", &constants(operation)),
            ("source", operation.source.as_deref().unwrap_or_default()),
        ];
        attributes.extend(told.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| attribute(k, v)));
        let outputs = operation.outputs.iter().enumerate();
        let outputs: Vec<Value> = outputs.map(|(place, id)| metadata(graph, place, *id)).collect();
        nodes.push(json!({
            "id": operation_id(operation.id.0),
            "label": operation.base_name(),
            "namespace": namespace,
            "attrs": attributes,
            "incomingEdges": edges,
            "outputsMetadata": outputs,
        }));
    }
    serde_json::to_string(&json!({ "label": title, "graphs": [{ "id": "graph", "nodes": nodes }] }))
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value })
}

/// What is told of a tensor on an edge.
fn metadata(graph: &dyn Graph, place: usize, id: TensorId) -> Value {
    let mut attributes = vec![attribute("__tensor_tag", &format!("#{}", id.0))];
    if let Some(tensor) = graph.tensor(id) {
        attributes.push(attribute("shape", &format!("{:?}", tensor.shape)));
        attributes.push(attribute("dtype", &tensor.dtype.to_string()));
    }
    json!({ "id": place.to_string(), "attrs": attributes })
}
