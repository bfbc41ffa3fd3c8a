//! What an analyzer may know of the model, across the boundary: whole as JSON, and in part as structs for C.

use serde::{Deserialize, Serialize};

use super::batch::count;
use super::raw::{self, Str, text};
use crate::analyzer::ModelView;
use crate::batch::Vocabulary;
use crate::graph::{RecordedGraph, from_json, to_json};
use crate::structure::Structure;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Vocabulary")]
struct Words {
    tokens: Vec<String>,
    first: Option<u32>,
    separator: Option<u32>,
    padding: Option<u32>,
    unknown: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Wrapped(#[serde(with = "Words")] Vocabulary);

/// Calls `call` with a model as C sees it.
pub(super) fn lend<R>(model: &ModelView<'_>, call: impl FnOnce(*const raw::Model) -> R) -> Result<R, String> {
    let graph = to_json(model.graph).map_err(|e| e.to_string())?;
    let structure = serde_json::to_string(model.structure).map_err(|e| e.to_string())?;
    let vocabulary = model.vocabulary.map(|v| serde_json::to_string(&Wrapped(v.clone())));
    let vocabulary = vocabulary.transpose().map_err(|e| e.to_string())?;

    let inputs: Vec<Vec<u32>> =
        model.graph.operations().iter().map(|o| o.inputs().map(|id| id.0).collect()).collect();
    let outputs: Vec<Vec<u32>> =
        model.graph.operations().iter().map(|o| o.outputs.iter().map(|id| id.0).collect()).collect();
    let operations: Vec<raw::Operation> = (model.graph.operations().iter().zip(&inputs).zip(&outputs))
        .map(|((operation, inputs), outputs)| raw::Operation {
            struct_size: raw::size::<raw::Operation>(),
            id: operation.id.0,
            name: Str::of(&operation.name),
            module: Str::of(&operation.module),
            inputs: inputs.as_ptr(),
            outputs: outputs.as_ptr(),
            n_inputs: count(inputs.len()),
            n_outputs: count(outputs.len()),
        })
        .collect();
    let operation_list: Vec<*const raw::Operation> = operations.iter().map(std::ptr::from_ref).collect();

    let found = model.structure.blocks();
    let parts: Vec<Vec<raw::Part>> = found.iter().map(|b| b.parts.iter().map(part).collect()).collect();
    let part_lists: Vec<Vec<*const raw::Part>> =
        parts.iter().map(|p| p.iter().map(std::ptr::from_ref).collect()).collect();
    let blocks: Vec<raw::Block> = found
        .iter()
        .zip(&part_lists)
        .map(|(block, parts)| raw::Block {
            struct_size: raw::size::<raw::Block>(),
            layer: count(block.layer),
            role: Str::of(block.role),
            module: Str::of(block.module),
            parts: parts.as_ptr(),
            n_parts: count(parts.len()),
            reserved: 0,
        })
        .collect();
    let block_list: Vec<*const raw::Block> = blocks.iter().map(std::ptr::from_ref).collect();
    Ok(call(&raw::Model {
        struct_size: raw::size::<raw::Model>(),
        n_tensors: count(model.graph.tensors().len()),
        n_operations: count(operations.len()),
        n_blocks: count(blocks.len()),
        operations: operation_list.as_ptr(),
        blocks: block_list.as_ptr(),
        graph_json: Str::of(&graph),
        structure_json: Str::of(&structure),
        vocabulary_json: Str::of_option(vocabulary.as_deref()),
    }))
}

fn part((name, tensor): &(&'static str, crate::graph::TensorId)) -> raw::Part {
    raw::Part { struct_size: raw::size::<raw::Part>(), tensor: tensor.0, name: Str::of(name) }
}

/// A model of the other side.
pub(super) struct Received {
    graph: RecordedGraph,
    structure: Structure,
    vocabulary: Option<Vocabulary>,
}

impl Received {
    /// # Safety
    /// `model` is a model of the other side.
    pub(super) unsafe fn read(model: *const raw::Model) -> Result<Self, String> {
        // SAFETY: the caller's promise, here and below.
        let model = unsafe { raw::read_prefix(model) }?;
        // SAFETY: as above.
        let graph = unsafe { text(model.graph_json) }?.ok_or("the model has no graph")?;
        // SAFETY: as above.
        let structure = unsafe { text(model.structure_json) }?.ok_or("the model has no structure")?;
        // SAFETY: as above.
        let vocabulary = unsafe { text(model.vocabulary_json) }?;
        let unreadable = |what: &str, e: String| format!("the model's {what} cannot be read: {e}");
        let words = vocabulary.map(serde_json::from_str::<Wrapped>).transpose();
        Ok(Self {
            graph: from_json(graph).map_err(|e| unreadable("graph", e.to_string()))?,
            structure: serde_json::from_str(structure).map_err(|e| unreadable("structure", e.to_string()))?,
            vocabulary: words.map_err(|e| unreadable("vocabulary", e.to_string()))?.map(|w| w.0),
        })
    }

    pub(super) fn view(&self) -> ModelView<'_> {
        ModelView { graph: &self.graph, structure: &self.structure, vocabulary: self.vocabulary.as_ref() }
    }
}
