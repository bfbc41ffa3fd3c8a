//! The sites of a model, block by block, as its structure was found.

use super::place::Place;
use super::site::{Axis, Layout, Site, Size};
use crate::graph::{Graph, TensorId};
use crate::structure::{
    Attention, AttentionForm, AttentionKind, FeedForward, Residual, Structure, Writer, recorded_batch,
};

/// One block of a transformer: a self-attention and what follows it up to the next one. What a model does not have is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block<'s> {
    /// Position among the blocks, from 0.
    pub layer: usize,
    /// Its attention.
    pub attention: &'s Attention,
    /// Its feed-forward block.
    pub feed_forward: Option<&'s FeedForward>,
    /// The addition of what the attention gives to the stream.
    pub attention_write: Option<&'s Residual>,
    /// The addition of what the feed-forward block gives to the stream; the same one where the two run in parallel and are added together.
    pub feed_forward_write: Option<&'s Residual>,
}

impl Block<'_> {
    /// True where attention and feed-forward block read the same stream, so there is none between them.
    #[must_use]
    pub fn parallel(&self) -> bool {
        match (self.attention_write, self.feed_forward_write) {
            (Some(attention), Some(feed_forward)) => {
                attention.operation == feed_forward.operation
                    || self.feed_forward.is_some_and(|_| attention.before == feed_forward.before)
            }
            _ => false,
        }
    }

    /// The stream before the block, `[row, position, channel]`.
    #[must_use]
    pub fn before(&self) -> Option<TensorId> {
        let first =
            [self.attention_write, self.feed_forward_write].into_iter().flatten().min_by_key(|w| w.layer)?;
        Some(first.before)
    }

    /// The stream between attention and feed-forward block, `[row, position, channel]`.
    #[must_use]
    pub fn between(&self) -> Option<TensorId> {
        if self.parallel() || self.feed_forward_write.is_none() {
            return None;
        }
        self.feed_forward_write.map(|write| write.before)
    }

    /// What the block adds to the stream, each addition once, `[row, position, channel]`.
    #[must_use]
    pub fn written(&self) -> Vec<TensorId> {
        let writes = [self.attention_write, self.feed_forward_write].into_iter().flatten();
        let mut written: Vec<TensorId> = writes.map(|write| write.written).collect();
        written.dedup();
        written
    }

    /// The stream after the block, `[row, position, channel]`.
    #[must_use]
    pub fn after(&self) -> Option<TensorId> {
        let last =
            [self.attention_write, self.feed_forward_write].into_iter().flatten().max_by_key(|w| w.layer)?;
        Some(last.after)
    }
}

/// The blocks of a model, and the sites in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sites<'s> {
    /// The blocks, in execution order.
    pub blocks: Vec<Block<'s>>,
    shapes: Shapes,
}

/// What is needed of the recorded pass.
#[derive(Debug, Clone, PartialEq)]
struct Shapes {
    rows: usize,
    tensors: Vec<Vec<i64>>,
}

/// The blocks of a structure, in execution order. Cross-attention is part of none.
#[must_use]
pub fn blocks(structure: &Structure) -> Vec<Block<'_>> {
    let write_of = |writer: Writer| structure.residual.iter().find(|write| write.writers.contains(&writer));
    let own: Vec<(usize, &Attention)> = structure
        .attention
        .iter()
        .enumerate()
        .filter(|(_, attention)| attention.kind == AttentionKind::SelfAttention)
        .collect();
    let mut blocks: Vec<Block<'_>> = own
        .iter()
        .map(|(at, attention)| Block {
            layer: attention.layer,
            attention,
            feed_forward: None,
            attention_write: write_of(Writer::Attention(*at)),
            feed_forward_write: None,
        })
        .collect();
    for (at, feed_forward) in structure.feed_forward.iter().enumerate() {
        let Some(write) = write_of(Writer::FeedForward(at)) else { continue };
        // The last block of the same stream whose attention is not added after it; of parallel ones, the one it is added with.
        let of_block = blocks.iter().rposition(|block| {
            block.attention_write.is_some_and(|attention| {
                attention.stream == write.stream
                    && (attention.layer <= write.layer || attention.before == write.before)
                    && block.feed_forward.is_none()
            })
        });
        let Some(block) = of_block.map(|at| &mut blocks[at]) else { continue };
        block.feed_forward = Some(feed_forward);
        block.feed_forward_write = Some(write);
    }
    blocks
}

impl<'s> Sites<'s> {
    /// Those of a structure, which was found in this graph. Cross-attention is part of no block.
    #[must_use]
    pub fn of(graph: &dyn Graph, structure: &'s Structure) -> Self {
        let rows = recorded_batch(graph).and_then(|rows| usize::try_from(rows).ok()).unwrap_or(1);
        let tensors = graph.tensors().iter().map(|tensor| tensor.shape.to_vec()).collect();
        Self { blocks: blocks(structure), shapes: Shapes { rows, tensors } }
    }

    /// The stream, or something that is added to it.
    #[must_use]
    pub fn stream(&self, tensor: TensorId) -> Site {
        Site { place: Place::Tensor(tensor), layout: Layout::stream() }
    }

    /// What each head gives, before the output projection: `[row, head, position, channel]`.
    #[must_use]
    pub fn head(&self, block: &Block<'_>) -> Site {
        Site { place: Place::Tensor(block.attention.context), layout: Layout::heads(block.attention.heads) }
    }

    /// The queries, `[row, head, position, channel]`: as they go into the product, so after rotation and norms.
    #[must_use]
    pub fn query(&self, block: &Block<'_>) -> Site {
        let heads = self.heads(block.attention.query, block.attention);
        Site { place: Place::Tensor(block.attention.query), layout: Layout::heads(heads) }
    }

    /// The keys, `[row, head, position, channel]`, or with the last two swapped where the model has them so. Where they are shared by several
    /// heads, they may be repeated for each of them: [`shared`](Self::shared) tells.
    #[must_use]
    pub fn key(&self, block: &Block<'_>) -> Site {
        let attention = block.attention;
        let heads = self.heads(attention.key, attention);
        let mut layout = Layout::heads(heads);
        if attention.form == AttentionForm::Eager && self.swapped(attention) {
            layout.0[2] = (Axis::Channel, Size::Like(2));
            layout.0[3] = (Axis::Position, Size::Rest);
        }
        Site { place: Place::Tensor(attention.key), layout }
    }

    /// The values, `[row, head, position, channel]`.
    #[must_use]
    pub fn value(&self, block: &Block<'_>) -> Site {
        let heads = self.heads(block.attention.value, block.attention);
        Site { place: Place::Tensor(block.attention.value), layout: Layout::heads(heads) }
    }

    /// The scores, `[row, head, query, key]`: scaled, masked (minus infinity where a query does not see a key), before the softmax.
    #[must_use]
    pub fn scores(&self, block: &Block<'_>) -> Site {
        let attention = block.attention;
        let place = attention.scores.map_or(Place::Scores(attention.operation), Place::Tensor);
        Site { place, layout: Layout::probabilities(attention.heads) }
    }

    /// The attention probabilities, `[row, head, query, key]`.
    #[must_use]
    pub fn probabilities(&self, block: &Block<'_>) -> Site {
        Site {
            place: Place::Tensor(block.attention.probabilities),
            layout: Layout::probabilities(block.attention.heads),
        }
    }

    /// The neurons of the feed-forward block, `[row, position, neuron]`: what the second linear map takes.
    #[must_use]
    pub fn neurons(&self, block: &Block<'_>) -> Option<Site> {
        block.feed_forward.map(|feed_forward| self.stream(feed_forward.activation))
    }

    /// The heads of `site` that stand for each key and value head: more than one where shared ones are repeated.
    #[must_use]
    pub fn shared(&self, block: &Block<'_>, site: &Site) -> Vec<Vec<usize>> {
        let there = site.layout.0.iter().find_map(|(axis, size)| match (axis, size) {
            (Axis::Head, Size::Known(heads)) => Some(*heads),
            _ => None,
        });
        let shared = block.attention.key_value_heads.max(1);
        let each = there.unwrap_or(shared) / shared;
        (0..shared).map(|head| (head * each.max(1)..(head + 1) * each.max(1)).collect()).collect()
    }

    /// How many heads a tensor of queries, keys or values has.
    fn heads(&self, tensor: TensorId, attention: &Attention) -> usize {
        let shape = self.shape(tensor);
        let leading: i64 = shape.iter().rev().skip(2).product();
        let rows = i64::try_from(self.shapes.rows).unwrap_or(1).max(1);
        let found = usize::try_from(leading / rows).unwrap_or(0);
        if found == attention.key_value_heads { found } else { attention.heads }
    }

    /// Whether keys are `[..., channel, key]`: then their last axis is as long as that of the scores, and the one before as that of the queries.
    fn swapped(&self, attention: &Attention) -> bool {
        let last = |id: TensorId, back: usize| {
            let shape = self.shape(id);
            shape.len().checked_sub(back).and_then(|at| shape.get(at)).copied()
        };
        let (channels, keys) = (last(attention.query, 1), last(attention.value, 2));
        (last(attention.key, 2), last(attention.key, 1)) == (channels, keys) && channels != keys
    }

    fn shape(&self, tensor: TensorId) -> &[i64] {
        self.shapes.tensors.get(tensor.0 as usize).map_or(&[], Vec::as_slice)
    }
}
