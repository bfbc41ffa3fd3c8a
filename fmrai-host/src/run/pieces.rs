//! Where a batch can be cut, and its activations put together again.

use std::collections::BTreeMap;
use std::ops::Range;

use fmrai_core::batch::{PairRole, Sample};
use fmrai_core::graph::TensorId;
use fmrai_core::tensor::{OwnedTensor, TensorError, TensorView};
use fmrai_core::tracker::{Activations, CaptureRequest};

use super::rows::{Along, Layout, Rows};

/// The next piece of a batch: from the sample `from` on, about `count` of them. The two texts of a pair stay together, and no piece has fewer than
/// `least` samples unless the whole batch has.
pub(super) fn next(samples: &[Sample], from: usize, count: usize, least: usize) -> Range<usize> {
    let all = samples.len();
    let apart = |at: usize| {
        let corrupted = |sample: &Sample| sample.pair.as_ref().is_some_and(|p| p.role == PairRole::Corrupted);
        at >= all || !samples.get(at).is_some_and(corrupted)
    };
    let allowed =
        |to: usize| apart(to) && (to >= all || all - to >= least) && to - from >= least.min(all - from);
    let wanted = from.saturating_add(count.max(1)).min(all);
    let below = (from + 1..=wanted).rev().find(|to| allowed(*to));
    let to = below.or_else(|| (wanted..=all).find(|to| allowed(*to))).unwrap_or(all);
    from..to
}

/// The activations of a batch, put together from those of its pieces.
#[derive(Default)]
pub(super) struct Joined {
    pieces: BTreeMap<TensorId, Vec<OwnedTensor>>,
    /// Samples of each piece.
    samples: Vec<usize>,
}

impl Joined {
    /// Adds what was requested of the next piece, which has so many samples.
    pub(super) fn add(
        &mut self,
        samples: usize,
        activations: &dyn Activations,
        request: &CaptureRequest,
    ) -> Result<(), TensorError> {
        self.samples.push(samples);
        for id in request.tensors() {
            let Some(view) = activations.tensor(id) else { continue };
            self.pieces.entry(id).or_default().push(OwnedTensor::copy_of(&view?));
        }
        Ok(())
    }

    /// Of how many samples it has activations.
    pub(super) fn samples(&self) -> usize {
        self.samples.iter().sum()
    }

    /// All of the batch. The samples lie in each tensor as `layouts` say.
    ///
    /// # Errors
    /// The id of a tensor in which that cannot be told.
    pub(super) fn finish(self, layouts: &BTreeMap<TensorId, Layout>) -> Result<Whole, TensorId> {
        let mut tensors = BTreeMap::new();
        for (id, pieces) in self.pieces {
            let whole = match layouts.get(&id).map(|layout| &layout.rows) {
                Some(Rows::Apart) => pieces.into_iter().next(),
                Some(Rows::Along(axes)) => match axes.as_slice() {
                    [along] => joined(&pieces, &self.samples, *along),
                    _ => None,
                },
                _ => None,
            };
            tensors.insert(id, whole.ok_or(id)?);
        }
        Ok(Whole(tensors))
    }
}

/// Activations in memory of their own.
pub(super) struct Whole(BTreeMap<TensorId, OwnedTensor>);

impl Activations for Whole {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        self.0.get(&id).map(OwnedTensor::view)
    }
}

/// `None` where the pieces are not of one kind.
fn joined(pieces: &[OwnedTensor], samples: &[usize], along: Along) -> Option<OwnedTensor> {
    let first = pieces.first()?;
    let size = *first.shape().get(along.axis)?;
    let all: usize = samples.iter().sum();
    let mut shape = first.shape().to_vec();
    *shape.get_mut(along.axis)? = size.checked_div(*samples.first()?)? * all;
    let before: usize = first.shape().iter().take(along.axis).product();
    let after: usize = first.shape().iter().skip(along.axis + 1).product();
    // Elements of one sample that lie together.
    let inner = along.inner * after;
    let parts: Vec<(&OwnedTensor, usize)> =
        pieces.iter().zip(samples.iter().map(|samples| samples * inner)).collect();
    OwnedTensor::interleaved(shape, &parts, before * along.outer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fmrai_core::batch::Pair;
    use fmrai_core::testing::MemoryActivations;

    use super::*;

    fn texts(count: u64) -> Vec<Sample> {
        (0..count).map(Sample::new).collect()
    }

    fn cut(samples: &[Sample], count: usize, least: usize) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < samples.len() {
            let piece = next(samples, from, count, least);
            from = piece.end;
            pieces.push(piece);
        }
        pieces
    }

    #[test]
    fn pieces_follow_on_each_other() {
        assert_eq!(cut(&texts(7), 3, 1), [0..3, 3..6, 6..7]);
        assert_eq!(cut(&texts(7), 100, 1), std::slice::from_ref(&(0..7)));
        assert_eq!(cut(&texts(2), 0, 1), [0..1, 1..2]);
    }

    #[test]
    fn no_piece_is_smaller_than_a_model_takes() {
        assert_eq!(cut(&texts(7), 3, 2), [0..3, 3..5, 5..7]);
        assert_eq!(cut(&texts(5), 1, 2), [0..2, 2..5], "the rest would be one");
        assert_eq!(cut(&texts(1), 1, 2), std::slice::from_ref(&(0..1)));
    }

    #[test]
    fn the_two_texts_of_a_pair_stay_together() {
        let pair = |role| Pair { role, right: vec![1], wrong: Vec::new(), marks: BTreeMap::new() };
        let samples: Vec<Sample> = (0..6)
            .map(|id| {
                let role = if id % 2 == 0 { PairRole::Clean } else { PairRole::Corrupted };
                Sample { pair: Some(pair(role)), ..Sample::new(id) }
            })
            .collect();
        assert_eq!(cut(&samples, 1, 1), [0..2, 2..4, 4..6]);
        assert_eq!(cut(&samples, 3, 1), [0..2, 2..4, 4..6]);
        assert_eq!(cut(&samples, 5, 1), [0..4, 4..6]);
    }

    #[test]
    fn activations_are_put_together_along_the_samples() {
        let (a, b, c, d) = (TensorId(0), TensorId(1), TensorId(2), TensorId(3));
        // Samples 0 and 1 in one piece, 2 in the other: `[sample, 2]`, `[2, sample]`, `[head * sample * token]`, a constant.
        let first = MemoryActivations::new()
            .with_f32(a, [2, 2], vec![0.0, 1.0, 10.0, 11.0])
            .unwrap()
            .with_f32(b, [2, 2], vec![0.0, 10.0, 1.0, 11.0])
            .unwrap()
            .with_f32(c, [8], vec![0.0, 1.0, 10.0, 11.0, 100.0, 101.0, 110.0, 111.0])
            .unwrap()
            .with_f32(d, [1], vec![7.0])
            .unwrap();
        let second = MemoryActivations::new()
            .with_f32(a, [1, 2], vec![20.0, 21.0])
            .unwrap()
            .with_f32(b, [2, 1], vec![20.0, 21.0])
            .unwrap()
            .with_f32(c, [4], vec![20.0, 21.0, 120.0, 121.0])
            .unwrap()
            .with_f32(d, [1], vec![7.0])
            .unwrap();
        let request: CaptureRequest = [a, b, c, d].into_iter().collect();
        let mut joined = Joined::default();
        joined.add(2, &first, &request).unwrap();
        joined.add(1, &second, &request).unwrap();
        let along = |axis, outer, inner| {
            let rows = Rows::Along(vec![Along { axis, outer, inner }]);
            Layout { rows, mixed: false }
        };
        let layouts = BTreeMap::from([
            (a, along(0, 1, 1)),
            (b, along(1, 1, 1)),
            (c, along(0, 2, 2)),
            (d, Layout { rows: Rows::Apart, mixed: false }),
        ]);
        let whole = joined.finish(&layouts).unwrap();
        let read = |id| {
            let view = whole.tensor(id).unwrap().unwrap();
            (view.shape().to_vec(), view.f32().unwrap().to_vec())
        };
        assert_eq!(read(a), (vec![3, 2], vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0]));
        assert_eq!(read(b), (vec![2, 3], vec![0.0, 10.0, 20.0, 1.0, 11.0, 21.0]));
        let heads = vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 100.0, 101.0, 110.0, 111.0, 120.0, 121.0];
        assert_eq!(read(c), (vec![12], heads));
        assert_eq!(read(d), (vec![1], vec![7.0]));
        let mut again = Joined::default();
        again.add(2, &first, &request).unwrap();
        assert_eq!(again.finish(&BTreeMap::new()).err(), Some(a), "nobody knows where the samples are");
    }
}
