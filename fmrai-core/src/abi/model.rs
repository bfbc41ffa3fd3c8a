//! What an analyzer may know of the model, across the boundary: whole as JSON, and in part as structs for C.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use super::batch::count;
use super::guard::{Failure, guard};
use super::raw::experiment::NamedSite;
use super::raw::{
    self, Collected, DLManagedTensorVersioned, ERR_UNSUPPORTED, OK, ReleaseWeights, RetainWeights, Sink,
    Status, Str, text,
};
use super::sites::lent_site;
use super::tensor;
use crate::analyzer::{ModelView, Weights};
use crate::batch::Vocabulary;
use crate::experiment::{SiteKind, Sites};
use crate::graph::{RecordedGraph, TensorId, from_json, to_json};
use crate::structure::Structure;
use crate::tensor::{TensorError, TensorValue};

/// Calls `call` with a model as C sees it; `weights` may be read as long as they stay where they are, and longer by who
/// retains them.
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

    let found = model.structure.components();
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
    let sites = named_sites(model)?;
    let site_list: Vec<*const NamedSite> = sites.iter().map(std::ptr::from_ref).collect();
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
        retain_weights: weights.map(|_| retain_weights as RetainWeights),
        release_weights: weights.map(|_| release_weights as ReleaseWeights),
        sites: site_list.as_ptr(),
        n_sites: count(site_list.len()),
        logits: model.structure.unembedding.last().map_or(u32::MAX, |found| found.output.0),
    }))
}

/// The sites of each block, by the names that plans have for them.
fn named_sites(model: &ModelView<'_>) -> Result<Vec<NamedSite>, String> {
    let sites = Sites::of(model.graph, model.structure);
    let mut named = Vec::new();
    for block in &sites.blocks {
        let kinds = SiteKind::ALL.iter().map(|kind| (kind.name(), kind.site(&sites, block)));
        for (name, site) in kinds.chain([("neurons", sites.neurons(block))]) {
            let Some(site) = site else { continue };
            named.push(NamedSite {
                struct_size: raw::size::<NamedSite>(),
                layer: count(block.layer),
                name: Str::of(name),
                site: lent_site(&site)?,
            });
        }
    }
    Ok(named)
}

unsafe extern "C" fn lend_weight(
    weights: *const c_void,
    id: u32,
    out: *mut *mut DLManagedTensorVersioned,
    err: *mut Sink,
) -> Status {
    let run = || {
        // SAFETY: `lend` or `retain_weights` made it, and it lives: the first until the instance that was shown it is
        // destroyed, the second until it is released.
        let weights = unsafe { weights.cast::<Arc<dyn Weights>>().as_ref() };
        let Some(weights) = weights.filter(|_| !out.is_null()) else {
            return Err(Failure::invalid("weights or out is NULL"));
        };
        match weights.weight(TensorId(id)) {
            None => Err(Failure::status(ERR_UNSUPPORTED, "it is no parameter of the graph")),
            Some(Ok(value)) => {
                // SAFETY: not NULL, and the plugin's.
                unsafe { out.write(tensor::managed(value, 0)) };
                Ok(())
            }
            Some(Err(error)) => Err(Failure::invalid(error.to_string())),
        }
    };
    // SAFETY: the plugin's sink lives during the call.
    unsafe { guard(err, run) }
}

unsafe extern "C" fn retain_weights(weights: *const c_void) -> *const c_void {
    // SAFETY: as for `lend_weight`.
    let weights = unsafe { weights.cast::<Arc<dyn Weights>>().as_ref() };
    weights
        .map_or(std::ptr::null(), |weights| Box::into_raw(Box::new(Arc::clone(weights))).cast_const().cast())
}

unsafe extern "C" fn release_weights(weights: *const c_void) {
    if !weights.is_null() {
        // SAFETY: `retain_weights` made it, and it is released once.
        let weights = unsafe { Box::from_raw(weights.cast::<Arc<dyn Weights>>().cast_mut()) };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(weights))) {
            std::mem::forget(payload); // its own drop may panic too
        }
    }
}

/// Weights of the other side.
struct ForeignWeights {
    weight: raw::Weight,
    hold: Hold,
}

/// What keeps a handle valid.
enum Hold {
    /// A handle of our own.
    Retained(*const c_void, ReleaseWeights),
    /// A host of version 1.0 keeps it for the instance that was shown it, and [`Lease`] takes it back after that.
    Leased(Arc<RwLock<Option<Handle>>>),
}

/// A handle of the other side's weights.
#[derive(Clone, Copy)]
pub(super) struct Handle(*const c_void);

// SAFETY: the contract lets the host's functions be called from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}
// SAFETY: as above; the handle is used by reading and by one release.
unsafe impl Send for ForeignWeights {}
// SAFETY: as above.
unsafe impl Sync for ForeignWeights {}

impl ForeignWeights {
    /// # Safety
    /// `handle` is valid during the call, and `weight` takes it.
    unsafe fn read(&self, handle: *const c_void, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        let mut err = Collected::new();
        let mut given = std::ptr::null_mut();
        // SAFETY: the caller's promise; sink and place live during the call.
        match unsafe { (self.weight)(handle, id.0, &mut given, &mut err.sink()) } {
            // SAFETY: it was given away.
            OK => Some(unsafe { tensor::take(given) }.map_err(TensorError::Unreadable)),
            ERR_UNSUPPORTED => None,
            status => Some(Err(TensorError::Unreadable(err.message(status)))),
        }
    }
}

impl Weights for ForeignWeights {
    fn weight(&self, id: TensorId) -> Option<Result<TensorValue, TensorError>> {
        match &self.hold {
            // SAFETY: it was retained, and is released when this is dropped.
            Hold::Retained(handle, _) => unsafe { self.read(*handle, id) },
            Hold::Leased(lease) => {
                // Held during the call, so that the lease cannot end in it.
                let lease = lease.read().unwrap_or_else(PoisonError::into_inner);
                match *lease {
                    // SAFETY: the lease has not ended, so the instance that was shown the handle is there.
                    Some(Handle(handle)) => unsafe { self.read(handle, id) },
                    None => Some(Err(TensorError::Unreadable(
                        "this host keeps weights for the analyzer that was shown them only, and that is gone"
                            .to_owned(),
                    ))),
                }
            }
        }
    }
}

impl Drop for ForeignWeights {
    fn drop(&mut self) {
        if let Hold::Retained(handle, release) = self.hold {
            // SAFETY: retained once, released once.
            unsafe { release(handle) };
        }
    }
}

/// Weights that a host keeps for one instance only: kept beside it, and dropped after it.
pub(super) struct Lease(Arc<RwLock<Option<Handle>>>);

impl Drop for Lease {
    fn drop(&mut self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
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
    lease: Option<Lease>,
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
        // SAFETY: as above.
        let (weights, lease) = unsafe { hold(&model) }.unzip();
        Ok(Self {
            weights: weights.map(|weights| Arc::new(weights) as Arc<dyn Weights>),
            lease: lease.flatten(),
            graph: from_json(graph).map_err(|e| unreadable("graph", e.to_string()))?,
            structure: serde_json::from_str(structure).map_err(|e| unreadable("structure", e.to_string()))?,
            vocabulary: words.map_err(|e| unreadable("vocabulary", e.to_string()))?,
        })
    }

    /// To be kept until the instance that was shown this model is gone.
    pub(super) fn lease(&mut self) -> Option<Lease> {
        self.lease.take()
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

/// A hold on the weights of a model, and what takes it back where they are not ours.
///
/// # Safety
/// `model` is a model of the other side.
unsafe fn hold(model: &raw::Model) -> Option<(ForeignWeights, Option<Lease>)> {
    let weight = model.weight.filter(|_| !model.weights.is_null())?;
    if let (Some(retain), Some(release)) = (model.retain_weights, model.release_weights) {
        // SAFETY: the model's own handle, which lives during the call.
        let handle = unsafe { retain(model.weights) };
        let weights = ForeignWeights { weight, hold: Hold::Retained(handle, release) };
        return (!handle.is_null()).then_some((weights, None));
    }
    let lease = Arc::new(RwLock::new(Some(Handle(model.weights))));
    Some((ForeignWeights { weight, hold: Hold::Leased(Arc::clone(&lease)) }, Some(Lease(lease))))
}
