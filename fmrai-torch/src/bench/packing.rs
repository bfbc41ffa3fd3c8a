//! Which variants run together.

use std::collections::BTreeMap;

use fmrai_core::experiment::{Place, Variant};
use fmrai_core::graph::{Graph, RecordedGraph};

/// Variants that run in one pass, and what its rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    /// The variants, by their positions, in the order of their rows.
    pub(super) variants: Vec<usize>,
    /// The row of the batch for each row of the pass.
    pub(super) rows: Vec<usize>,
}

/// Passes whose rows are the same, so that they share a clean pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) passes: Vec<Packed>,
    /// The last operation at which one of them begins to differ from the clean pass, by its position.
    pub(super) last: u32,
}

/// Puts variants into passes: those of the same rows together, as many as `fits` says for that number of rows, those that change
/// the model at about the same place in one pass, since it can be served up to there. All passes of a group have the same rows: those of
/// the last one are filled up with a repetition.
pub(super) fn pack(graph: &RecordedGraph, variants: &[Variant], fits: &dyn Fn(usize) -> usize) -> Vec<Group> {
    let mut classes: BTreeMap<&[usize], Vec<usize>> = BTreeMap::new();
    for (at, variant) in variants.iter().enumerate() {
        classes.entry(&variant.rows).or_default().push(at);
    }
    let first = |at: &usize| first_edit(graph, &variants[*at]);
    let mut groups = Vec::new();
    for (rows, mut members) in classes {
        members.sort_by_key(first);
        let most = fits(rows.len()).clamp(1, members.len());
        let starts: Vec<u32> = members.iter().map(first).collect();
        let each = best(&starts, most, graph.operations().len());
        let last = members.chunks(each).filter_map(|members| members.first()).map(first).max().unwrap_or(0);
        let passes = members.chunks(each).map(|members| {
            let packed = rows.iter().copied().cycle().take(rows.len() * each).collect();
            Packed { variants: members.to_vec(), rows: packed }
        });
        groups.push(Group { passes: passes.collect(), last });
    }
    groups
}

/// How many variants to put into each pass, at most `most`, so that least has to be computed: a pass begins to differ where its first variant
/// does, and the clean pass has as many rows as each of them. `starts` has where each variant begins to differ, ascending.
fn best(starts: &[u32], most: usize, operations: usize) -> usize {
    let operations = operations as u64;
    let cost = |each: usize| -> u64 {
        let left = |chunk: &[u32]| operations.saturating_sub(u64::from(chunk.first().copied().unwrap_or(0)));
        (starts.chunks(each).map(left).sum::<u64>() + operations) * each as u64
    };
    // Fewer rows than half of what fits cost more in other ways.
    (most.div_ceil(2)..=most).min_by_key(|each| (cost(*each), usize::MAX - each)).unwrap_or(1)
}

/// The first operation that a variant changes something of.
fn first_edit(graph: &RecordedGraph, variant: &Variant) -> u32 {
    let operation = |place: Place| match place {
        Place::Tensor(id) => graph.producer(id).map_or(0, |operation| operation.id.0),
        Place::Scores(operation) => operation.0,
    };
    variant.edits.iter().map(|edit| operation(edit.site.place)).min().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fmrai_core::testing::empty_graph;

    #[test]
    fn passes_of_a_group_have_the_same_rows() {
        let graph = empty_graph().unwrap();
        let variants: Vec<Variant> =
            (0..7).map(|_| Variant::clean([1, 3])).chain([Variant::clean([0])]).collect();
        let groups = pack(&graph, &variants, &|rows| 6 / rows);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].passes, [Packed { variants: vec![7], rows: vec![0] }]);
        // Twelve variants of three layers, of which five fit: four to a pass, so that no pass begins before its layer.
        let starts: Vec<u32> = (0..12).map(|at| at / 4 * 100).collect();
        assert_eq!(best(&starts, 5, 300), 4);
        let passes = &groups[1].passes;
        assert_eq!(passes.iter().map(|pass| pass.variants.len()).sum::<usize>(), 7);
        assert!(passes.iter().all(|pass| pass.rows == passes[0].rows));
    }
}
