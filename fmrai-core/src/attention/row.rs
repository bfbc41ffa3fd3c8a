//! One row of attention.

use std::ops::Range;

use crate::structure::Visible;

/// What one query of one head gives to the keys: a distribution over the tokens of a text and the sinks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionRow<'a> {
    /// The block among those of self-attention, from 0.
    pub layer: usize,
    /// The head in its layer, from 0.
    pub head: usize,
    /// The head among those of all layers, as [`HeadLayout`](super::HeadLayout) counts them.
    pub index: usize,
    /// The query's place among the valid tokens of the text, from 0.
    pub query: usize,
    /// Probabilities `[key]` of the tokens that the query can see, as far as the graph tells: of a causal layer itself and those before it.
    pub keys: &'a [f32],
    /// The place of the first of [`keys`](Self::keys) among the valid tokens: 0 but for windows.
    pub first_key: usize,
    /// Probabilities of keys that are no tokens; empty for most models.
    pub sinks: &'a [f32],
    /// Which keys the queries of the layer see.
    pub visible: Visible,
}

/// The keys among `tokens` that a query sees, as far as it is known.
pub(super) fn seen(visible: Visible, query: usize, tokens: usize) -> Range<usize> {
    let reach = |limit: Option<u64>| limit.map_or(tokens, |limit| usize::try_from(limit).unwrap_or(tokens));
    match visible.reach() {
        None => 0..tokens,
        Some([before, after]) => {
            query.saturating_sub(reach(before))
                ..query.saturating_add(1).saturating_add(reach(after)).min(tokens)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::ModelView;
    use crate::attention::{BatchAttention, HeadLayout};
    use crate::batch::Batch;
    use crate::graph::TensorId;
    use crate::testing::{MemoryActivations, empty_graph, padded_sample, self_attention};

    #[test]
    fn rows_hold_what_counts_and_nothing_else() {
        let graph = empty_graph().unwrap();
        let mut structure = self_attention(&[1]);
        structure.attention[0].visible = Visible::Causal;
        let model = ModelView { graph: &graph, structure: &structure, vocabulary: None, weights: None };
        let layout = HeadLayout::of(&model).unwrap();
        // One token of padding, then three, of which the second has a row of zeros.
        let mut rows = vec![9.0; 4];
        rows.extend([9.0, 1.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 9.0, 0.25, 0.25, 0.5]);
        let kept = MemoryActivations::new().with_f32(TensorId(0), [1, 1, 4, 4], rows).unwrap();
        let samples = [padded_sample(7, &[1, 2, 3], 1)];
        let batch = Batch::new(0, &samples, &kept);
        let attention = BatchAttention::read(&batch, &layout).unwrap();
        let found: Vec<(usize, Vec<f32>)> = attention
            .texts()
            .flat_map(|text| text.rows().map(|row| (row.query, row.keys.to_vec())))
            .collect();
        assert_eq!(found, [(0, vec![1.0]), (2, vec![0.25, 0.25, 0.5])]);
    }

    #[test]
    fn queries_see_what_their_layer_lets_them() {
        assert_eq!(seen(Visible::Unknown, 2, 5), 0..5);
        assert_eq!(seen(Visible::Full, 2, 5), 0..5);
        assert_eq!(seen(Visible::Causal, 2, 5), 0..3);
        let window = Visible::Window { before: Some(1), after: Some(0) };
        assert_eq!((seen(window, 0, 5), seen(window, 4, 5)), (0..1, 3..5));
        assert_eq!(seen(Visible::Window { before: Some(9), after: None }, 1, 5), 0..5);
    }
}
