//! Ending a pass before its end.

use std::fmt;

use fmrai_core::experiment::Place;
use fmrai_core::graph::{Graph, OperationId, TensorId};
use fmrai_core::tracker::CaptureRequest;

/// Why a pass was ended before its end: everything that was wanted is there.
#[derive(Debug)]
pub(crate) struct Enough;

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("everything that was wanted is there")
    }
}

impl std::error::Error for Enough {}

/// Where a pass can be ended that is run for these tensors alone: the result of an operation by which all of them have been seen. `None` if only
/// the end of the pass is such a place.
pub(super) fn place(graph: &dyn Graph, request: &CaptureRequest) -> Option<Place> {
    let mut last = OperationId(0);
    for id in request.tensors() {
        last = last.max(seen(graph, id)?);
    }
    let after = graph.operations().get(last.0 as usize..)?;
    let (_, before_the_end) = after.split_last()?;
    // What is a view of memory that the operation writes cannot be acted on.
    let plain = |id: &TensorId| graph.tensor(*id).is_some_and(|t| t.version_of.is_none() && !t.on_request);
    let result = before_the_end.iter().find_map(|operation| operation.outputs.iter().copied().find(plain))?;
    Some(Place::Tensor(result))
}

/// The operation with which a tensor is seen: the one that makes it, or the first that takes what was there or was written unseen.
fn seen(graph: &dyn Graph, id: TensorId) -> Option<OperationId> {
    let first_use = || graph.users(id).first().copied();
    match (graph.producer(id), graph.tensor(id)?.version_of) {
        (Some(operation), None) => Some(operation.id),
        (Some(operation), Some(_)) if operation.outputs.first() == Some(&id) => Some(operation.id),
        _ => first_use(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use fmrai_core::tracker::Tracker;

    use super::*;
    use crate::capture::DispatchTracker;
    use crate::ffi::tensor::Tensor;

    #[test]
    fn what_comes_after_the_last_wanted_tensor_is_not_computed() {
        let x = Tensor::from_slice(&[1.0f32, 2.0]).unwrap();
        let ended = Cell::new(0);
        let mut forward = || {
            let doubled = x.mul_scalar(2.0)?;
            let shares = doubled.softmax(0)?;
            shares.matmul(&shares)?;
            ended.set(ended.get() + 1);
            Ok(())
        };
        let mut tracker = DispatchTracker::new().unwrap();
        let graph = tracker.discover(&mut forward).unwrap();
        assert_eq!(ended.get(), 1);
        let made = |at: usize| graph.operations()[at].outputs[0];
        let last = graph.operations().len() - 1;
        for (wanted, whole) in [(0, false), (1, false), (last, true)] {
            ended.set(0);
            let request = CaptureRequest::from_iter([made(wanted)]);
            let kept = tracker.track_to_the_last(&request, &mut forward).unwrap();
            let early = kept.tensor(made(wanted)).unwrap().unwrap().f32().unwrap().to_vec();
            assert_eq!(ended.get() == 1, whole, "operation {wanted}");
            let kept = tracker.track(&request, &mut forward).unwrap();
            assert_eq!(kept.tensor(made(wanted)).unwrap().unwrap().f32().unwrap(), early);
        }
    }

    #[test]
    fn errors_of_the_model_stay_errors() {
        let x = Tensor::from_slice(&[1.0f32, 2.0]).unwrap();
        let fails = Cell::new(false);
        let mut forward = || {
            let doubled = x.mul_scalar(2.0)?;
            if fails.get() {
                return Err("the model is tired".into());
            }
            doubled.softmax(0)?.softmax(0)?;
            Ok(())
        };
        let mut tracker = DispatchTracker::new().unwrap();
        let graph = tracker.discover(&mut forward).unwrap();
        fails.set(true);
        let request = CaptureRequest::from_iter([graph.operations()[1].outputs[0]]);
        let error = tracker.track_to_the_last(&request, &mut forward).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "the model failed: the model is tired");
    }
}
