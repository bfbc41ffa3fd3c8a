//! What the tensors of a graph take, by their shapes on the batch that it was recorded on.

use fmrai_core::graph::{Graph, Origin, TensorNode};
use fmrai_core::tracker::CaptureRequest;

/// Bytes of a model's weights and buffers.
pub(crate) fn weights(graph: &dyn Graph) -> u64 {
    graph.tensors().iter().filter(|tensor| tensor.origin == Origin::Parameter).map(bytes).sum()
}

/// Bytes of the tensors of a request.
pub(crate) fn kept(graph: &dyn Graph, request: &CaptureRequest) -> u64 {
    request.tensors().filter_map(|id| graph.tensor(id)).map(bytes).sum()
}

fn bytes(tensor: &TensorNode) -> u64 {
    let elements: i64 = tensor.shape.iter().product();
    u64::try_from(elements).unwrap_or(0) * tensor.dtype.size().unwrap_or(0) as u64
}
