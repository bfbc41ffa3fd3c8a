//! What an analyzer may know of the model, across the boundary: whole as JSON, and in part as structs for C.

use std::ffi::c_void;
use std::sync::Arc;

use super::batch::count;
use super::raw::{
    self, Collected, DLManagedTensorVersioned, ERR_INVALID, ERR_UNSUPPORTED, OK, Sink, Status, Str, text,
};
use super::tensor;
use crate::analyzer::{ModelView, Weights};
use crate::batch::Vocabulary;
use crate::graph::{RecordedGraph, TensorId, from_json, to_json};
use crate::structure::Structure;
use crate::tensor::{TensorError, TensorValue};

/// Calls `call` with a model as C sees it; `weights` may be read as long as they stay where they are.
pub(super) fn lend<R>(
    model: &ModelView<'_>,
    weights: Option<&Arc<dyn Weights>>,
    call: impl FnOnce(*const raw::Model) -> R,
) -> Result<R, String> {
    let graph = to_json(model.graph).map_err(|e| e.to_string())?;
    let structure = serde_json::to_string(model.structure).map_err(|e| e.to_string())?;
    let vocabulary = model.vocabulary.map(serde_json::to_string);
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
        weights: weights.map_or(std::ptr::null(), |weights| std::ptr::from_ref(weights).cast()),
        weight: weights.map(|_| lend_weight as raw::Weight),
    }))
}

unsafe extern "C" fn lend_weight(
    weights: *const c_void,
    id: u32,
    out: *mut *mut DLManagedTensorVersioned,
    err: *mut Sink,
) -> Status {
    // SAFETY: `lend` put it there, and the instance that was shown it keeps it until it is destroyed.
    let Some(weights) = (unsafe { weights.cast::<Arc<dyn Weights>>().as_ref() }) else { return ERR_INVALID };
    if out.is_null() {
        return ERR_INVALID;
    }
    match weights.weight(TensorId(id)) {
        None => ERR_UNSUPPORTED,
        Some(Ok(value)) => {
            // SAFETY: not NULL, and the plugin's.
            unsafe { out.write(tensor::managed(value, 0)) };
            OK
        }
        Some(Err(error)) => {
            // SAFETY: the plugin's sink lives during the call.
            unsafe { raw::write(err, error.to_string().as_bytes()) };
            ERR_INVALID
        }
    }
}

/// Weights of the other side.
struct ForeignWeights {
    weights: *const c_void,
    weight: raw::Weight,
}

// SAFETY: the contract lets the host's functions be called from any thread.
unsafe impl Send for ForeignWeights {}
// SAFETY: as above.
unsafe impl Sync for ForeignWeights {}

impl Weights for ForeignWeights {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        let mut err = Collected::new();
        let mut given = std::ptr::null_mut();
        // SAFETY: the other side keeps its weights while the analyzer that holds this lives.
        match unsafe { (self.weight)(self.weights, id.0, &mut given, &mut err.sink()) } {
            // SAFETY: it was given away.
            OK => Some(unsafe { tensor::take(given) }.map_err(TensorError::Unreadable)),
            ERR_UNSUPPORTED => None,
            status => Some(Err(TensorError::Unreadable(err.message(status)))),
        }
    }
}

fn part((name, tensor): &(&'static str, TensorId)) -> raw::Part {
    raw::Part { struct_size: raw::size::<raw::Part>(), tensor: tensor.0, name: Str::of(name) }
}

/// A model of the other side.
pub(super) struct Received {
    graph: RecordedGraph,
    structure: Structure,
    vocabulary: Option<Vocabulary>,
    weights: Option<Arc<dyn Weights>>,
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
        let words = vocabulary.map(serde_json::from_str::<Vocabulary>).transpose();
        let weights = model.weight.filter(|_| !model.weights.is_null());
        let weights = weights.map(|weight| ForeignWeights { weights: model.weights, weight });
        Ok(Self {
            weights: weights.map(|weights| Arc::new(weights) as Arc<dyn Weights>),
            graph: from_json(graph).map_err(|e| unreadable("graph", e.to_string()))?,
            structure: serde_json::from_str(structure).map_err(|e| unreadable("structure", e.to_string()))?,
            vocabulary: words.map_err(|e| unreadable("vocabulary", e.to_string()))?,
        })
    }

    pub(super) fn view(&self) -> ModelView<'_> {
        ModelView {
            graph: &self.graph,
            structure: &self.structure,
            vocabulary: self.vocabulary.as_ref(),
            weights: self.weights.as_ref(),
        }
    }
}
