//! What is added to a stream against the stream's difference.

use crate::graph::Graph;
use crate::structure::{Addition, Residual};
use crate::tracker::Activations;

use super::numbers::{numbers, tolerance};

/// Elements that are compared.
const COMPARED: usize = 4096;

pub(super) fn check(
    graph: &dyn Graph,
    write: &Residual,
    pass: &dyn Activations,
) -> Option<Result<(), String>> {
    let sign = match write.addition {
        Addition::Sum => 1.0,
        Addition::Difference => -1.0,
        // The factor is not kept.
        Addition::Scaled | Addition::Interpolation | Addition::InProduct => return None,
    };
    let [before, written, after] = [write.before, write.written, write.after].map(|id| numbers(pass, id));
    let (before, written, after) = (before?, written?, after?);
    if before.shape != after.shape || written.shape != after.shape {
        return None;
    }
    let largest = before.largest().max(written.largest()).max(after.largest());
    let limit = tolerance(graph.tensor(write.after).map(|t| t.dtype), largest);
    let step = (after.len() / COMPARED).max(1);
    let far = |i: &usize| {
        let (found, wanted) = (after.at(*i) - before.at(*i), sign * written.at(*i));
        found.is_finite() && wanted.is_finite() && (found - wanted).abs() > limit
    };
    Some(match (0..after.len()).step_by(step).find(far) {
        None => Ok(()),
        Some(i) => Err(format!(
            "the stream changes by {:.4} where {:.4} is said to be added (element {i})",
            after.at(i) - before.at(i),
            sign * written.at(i)
        )),
    })
}
