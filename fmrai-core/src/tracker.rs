//! Recording what a model does, and keeping the tensors that somebody asked for.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::graph::{OperationId, RecordedGraph, TensorId};
use crate::tensor::{DeviceTensor, TensorError, TensorView};

/// Any error of a model.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One forward pass of a model.
pub type Forward<'a> = dyn FnMut() -> Result<(), BoxError> + 'a;

/// The tensors that somebody wants kept during a forward pass. Requests are joined with [`CaptureRequest::union`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureRequest {
    tensors: BTreeSet<TensorId>,
}

impl CaptureRequest {
    /// Asks for no tensor.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Asks for one more tensor.
    pub fn add(&mut self, tensor: TensorId) {
        self.tensors.insert(tensor);
    }

    /// Everything that either request asks for.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.tensors.extend(&other.tensors);
        self
    }

    /// The tensors asked for, in the order of their ids.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorId> + '_ {
        self.tensors.iter().copied()
    }

    /// True when `tensor` is asked for.
    #[must_use]
    pub fn contains(&self, tensor: TensorId) -> bool {
        self.tensors.contains(&tensor)
    }
}

impl FromIterator<TensorId> for CaptureRequest {
    fn from_iter<I: IntoIterator<Item = TensorId>>(tensors: I) -> Self {
        Self { tensors: tensors.into_iter().collect() }
    }
}

/// The kept tensors of one forward pass.
pub trait Activations {
    /// A kept tensor as dense CPU memory; `None` if it was not asked for.
    ///
    /// `float16` and `bfloat16` elements are widened to `f32`, which is exact.
    ///
    /// # Errors
    /// [`TensorError::DType`] for elements that have no plain form, such as complex numbers.
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>>;

    /// The tensor with this id where the model has it, if that is a CUDA device; all work on it has ended. `None` for
    /// tensors of the CPU.
    fn on_device(&self, _: TensorId) -> Option<DeviceTensor<'_>> {
        None
    }
}

const _: Option<&dyn Activations> = None; // stays object-safe

/// Watches forward passes of one model; two required methods.
///
/// The first pass is discovered, later ones are tracked against what it recorded. A tracker belongs to one thread
/// at a time; trackers of different threads do not see each other, and one that runs inside the forward pass of another sees its own
/// part only, while the other sees all.
pub trait Tracker {
    /// Runs `forward` once and records every operation. Keeps no tensor: memory stays that of the bare pass.
    ///
    /// # Errors
    /// [`TrackError::Forward`] with the error of the model, [`TrackError::OtherThreads`] if it hands operations to other
    /// threads. Tracking is off again afterwards in every case.
    fn discover(&mut self, forward: &mut Forward<'_>) -> Result<Arc<RecordedGraph>, TrackError>;

    /// Runs `forward` once and keeps the requested tensors.
    ///
    /// # Errors
    /// - [`TrackError::NothingDiscovered`] before the first [`discover`](Self::discover).
    /// - [`TrackError::UnknownTensor`] for an id that the graph does not have.
    /// - [`TrackError::Diverged`] if the pass does not run the recorded operations; nothing is handed out then.
    /// - [`TrackError::NotSeen`] for a tensor that was overwritten unseen, or that the pass did not make.
    /// - [`TrackError::OtherThreads`] if the pass hands operations to other threads.
    /// - [`TrackError::Forward`] with the error of the model.
    fn track(
        &mut self,
        request: &CaptureRequest,
        forward: &mut Forward<'_>,
    ) -> Result<Box<dyn Activations>, TrackError>;
}

const _: Option<&dyn Tracker> = None; // stays object-safe

/// Where a forward pass left the recorded graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The first operation that differs.
    pub at: OperationId,
    /// The operation of the recorded graph; `None` if it has ended there.
    pub recorded: Option<String>,
    /// The operation that ran instead; `None` if the pass has ended there.
    pub found: Option<String>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.0;
        match (&self.recorded, &self.found) {
            (Some(recorded), Some(found)) => {
                write!(f, "operation {at} was {recorded} in the recorded pass, and is {found} in this one")
            }
            (None, Some(found)) => {
                write!(f, "this pass ran more than the recorded one, which had {at} operations: {found}")
            }
            (Some(recorded), None) => {
                write!(f, "this pass ended after {at} operations, the recorded one went on with {recorded}")
            }
            (None, None) => write!(f, "it differs after operation {at}"),
        }
    }
}

/// Why a forward pass could not be recorded or tracked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The model itself failed.
    #[error("the model failed: {0}")]
    Forward(#[source] BoxError),
    /// The pass ran other operations than the recorded ones.
    #[error("the model took another path than in the recorded pass: {0}")]
    Diverged(Divergence),
    /// There is no graph to track against.
    #[error("nothing has been discovered yet: run `discover` first")]
    NothingDiscovered,
    /// The request names a tensor that the graph does not have.
    #[error("tensor {found} was asked for, the graph has #0 to #{last}")]
    UnknownTensor {
        /// The id asked for.
        found: TensorId,
        /// The largest id there is.
        last: u32,
    },
    /// A requested tensor exists in the graph but was not seen, e.g. overwritten before it could be kept.
    #[error("tensor {0} was asked for, but this pass did not make it available")]
    NotSeen(TensorId),
    /// The pass handed operations to threads of libtorch, where their order is not that of the program.
    #[error(
        "{operations} operations of the model ran on other threads ({first} first), where they cannot be followed: run all of \
         it on the thread of the pass, e.g. without torch.jit.fork, or as a model of the type `torchscript`, which does that"
    )]
    OtherThreads {
        /// How many were seen; there may be more.
        operations: u64,
        /// The name of the first one.
        first: String,
    },
    /// Nothing can act there.
    #[error("nothing can act on {place}: {why}")]
    NoPlace {
        /// The place.
        place: String,
        /// What stands against it.
        why: &'static str,
    },
    /// What acts on the pass failed, or gave what cannot go on in its place.
    #[error("what acts on {place} failed: {source}")]
    Action {
        /// Where it acts.
        place: String,
        /// Its error.
        source: BoxError,
    },
    /// The recording is broken: a bug of fMRAi.
    #[error("internal error in capture, please report it: {0}")]
    Internal(String),
}
