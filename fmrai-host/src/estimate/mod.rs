//! What a run will take, told before it runs: its shapes, and a few of its batches on trial.
//!
//! The program runs the plan on one batch, and on a few that lie evenly in the data: batches that stand together are alike in length. What differs
//! between the two grows with the data; the rest is paid once. States that fill up, as those with the strongest triggers do, grow less than in a
//! straight line, so their part is a bound.

mod shapes;
mod told;
mod trial;

use std::ffi::OsString;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::plan::ResolvedPlan;
use shapes::Shapes;
pub(crate) use told::told;
use trial::{Trial, tried};

/// Batches that are tried, at least, where there are so many.
const TRIED: u64 = 8;

/// What a run will take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Batches of the data, and how many of them were tried.
    pub(crate) batches: u64,
    pub(crate) tried: u64,
    /// Samples of the last batch, and positions of the longest of them.
    pub(crate) last_batch: (usize, usize),
    pub(crate) memory: Memory,
    pub(crate) seconds: Seconds,
    pub(crate) disk: Disk,
}

/// Bytes of memory, at the moment that takes most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Memory {
    pub(crate) peak: u64,
    /// The model's weights and buffers.
    pub(crate) weights: u64,
    /// What analyses keep of a batch.
    pub(crate) kept: u64,
    /// The state of each analysis after the last batch.
    pub(crate) states: Vec<(String, u64)>,
    /// Everything else: the program with libtorch, the data, the activations of a pass that nobody keeps, reports and pictures.
    pub(crate) rest: u64,
}

/// Seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Seconds {
    pub(crate) total: f64,
    /// Until the first batch is taken.
    pub(crate) load: f64,
    /// Of a batch, in the mean over all of them.
    pub(crate) batch: f64,
    pub(crate) conclude: f64,
}

/// Bytes on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Disk {
    pub(crate) activations: u64,
    pub(crate) results: u64,
}

/// Estimates the run of the plan in `file`; `plugins` are the options that say where its plugins may be.
pub(crate) fn estimate(file: &Path, plan: ResolvedPlan, plugins: &[OsString]) -> Result<Estimate, Error> {
    let shapes = shapes::of(plan)?;
    let stride = (shapes.batches / TRIED).max(1);
    let one = tried(file, shapes.batches, 1, plugins)?;
    let more = match shapes.batches / stride {
        1 => one.clone(),
        few => tried(file, stride, few, plugins)?,
    };
    Ok(extrapolated(&shapes, &one, &more))
}

/// From what one and a few batches took to what all of them will.
fn extrapolated(shapes: &Shapes, one: &Trial, more: &Trial) -> Estimate {
    let steps = more.batches.saturating_sub(one.batches).max(1);
    let left = shapes.batches.saturating_sub(more.batches);
    // In a straight line, and never less than what was seen.
    let line = |one: u64, more: u64| more + more.saturating_sub(one) * left / steps;
    let share = shapes.batches as f64 / more.batches.max(1) as f64;
    let track = more.track * share;
    let load = more.load.min(one.load);
    // Less than a fifth of a second is noise.
    let growth =
        if more.conclude - one.conclude > 0.2 { (more.conclude - one.conclude) / steps as f64 } else { 0.0 };
    let conclude = more.conclude + growth * left as f64;
    let states: Vec<(String, u64)> = one
        .states
        .iter()
        .zip(&more.states)
        .map(|((name, one), (_, more))| (name.clone(), line(*one, *more)))
        .collect();
    let seen: u64 = more.states.iter().map(|(_, bytes)| bytes).sum();
    let all: u64 = states.iter().map(|(_, bytes)| bytes).sum();
    let peak = more.memory + all.saturating_sub(seen);
    let parts = shapes.weights + shapes.kept + all;
    Estimate {
        batches: shapes.batches,
        tried: more.batches,
        last_batch: shapes.last,
        memory: Memory {
            peak,
            weights: shapes.weights,
            kept: shapes.kept,
            states,
            rest: peak.saturating_sub(parts),
        },
        seconds: Seconds {
            total: load + track + conclude,
            load,
            batch: track / shapes.batches.max(1) as f64,
            conclude,
        },
        disk: Disk {
            activations: (more.activations as f64 * share) as u64,
            results: line(one.results, more.results),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(
        batches: u64,
        [load, track, conclude]: [f64; 3],
        memory: u64,
        state: u64,
        results: u64,
    ) -> Trial {
        let (states, activations) = (vec![("map".to_owned(), state)], 100 * batches);
        Trial { batches, load, track, conclude, memory, states, activations, results }
    }

    #[test]
    fn what_grows_is_taken_to_the_end_and_the_rest_is_paid_once() {
        let shapes = Shapes { batches: 102, weights: 1000, kept: 50, last: (8, 64) };
        let one = trial(1, [2.0, 0.5, 0.1], 5000, 10, 700);
        let more = trial(6, [2.1, 3.0, 0.2], 5200, 60, 705);
        let found = extrapolated(&shapes, &one, &more);
        assert!((found.seconds.batch - 0.5).abs() < 1e-9 && (found.seconds.load - 2.0).abs() < 1e-9);
        assert!((found.seconds.conclude - 0.2).abs() < 1e-9, "a tenth of a second more is noise");
        assert!((found.seconds.total - (2.0 + 51.0 + 0.2)).abs() < 1e-9);
        assert_eq!(found.memory.states, [("map".to_owned(), 1020)], "ten bytes a batch");
        assert_eq!(found.memory.peak, 5200 + 960);
        assert_eq!(found.memory.rest, 6160 - 1000 - 50 - 1020);
        assert_eq!((found.disk.activations, found.disk.results), (10_200, 705 + 96));
    }

    #[test]
    fn one_batch_is_what_it_is() {
        let shapes = Shapes { batches: 1, weights: 1000, kept: 50, last: (1, 3) };
        let one = trial(1, [2.0, 0.5, 0.1], 5000, 10, 700);
        let found = extrapolated(&shapes, &one, &one);
        assert!((found.seconds.total - 2.6).abs() < 1e-9);
        assert_eq!((found.memory.peak, found.disk.results, found.disk.activations), (5000, 700, 100));
    }
}
