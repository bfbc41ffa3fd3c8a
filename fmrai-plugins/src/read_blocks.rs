//! The blocks that write to the stream which the model's logits are made of.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::{Block, Sites};

use crate::lens::Lens;
use fmrai_core::sequences::Stream;

/// Blocks of attention and what follows them, in execution order, and whose tokens their positions are.
pub(crate) struct ReadBlocks<'s> {
    pub(crate) blocks: Vec<Block<'s>>,
    pub(crate) sequence: Stream,
}

impl<'s> ReadBlocks<'s> {
    /// Those of the stream that a lens reads.
    pub(crate) fn of(model: &ModelView<'s>, lens: &Lens) -> Result<Self, AnalyzerError> {
        let stream = |block: &Block<'_>| {
            let writes = [block.attention_write, block.feed_forward_write];
            writes.into_iter().flatten().map(|write| write.stream).next()
        };
        let mut blocks = Sites::of(model.graph, model.structure).blocks;
        blocks.retain(|block| stream(block) == Some(lens.stream_number()));
        let Some(first) = blocks.first() else {
            return Err(AnalyzerError::Unsuitable {
                found: "no block of attention that writes to the stream of its logits".to_owned(),
                needed: "one or more".to_owned(),
            });
        };
        let shape = model.graph.tensor(lens.stream()).map_or(&[][..], |t| &t.shape);
        let length = if let [_, length, _] = shape { Some(*length) } else { None };
        let positions = first.attention.query_positions.as_ref();
        let sequence =
            Stream::of(model.graph, positions, length).map_err(|found| AnalyzerError::Unsuitable {
                found: format!("blocks that cannot be read: {found}"),
                needed: "positions that are those of tokens".to_owned(),
            })?;
        Ok(Self { blocks, sequence })
    }
}

/// The lens of a model.
pub(crate) fn lens_of(model: &ModelView<'_>) -> Result<Lens, AnalyzerError> {
    Lens::find(model.graph, model.structure).map_err(|error| AnalyzerError::Unsuitable {
        found: format!("no logits that could be read of a stream: {error}"),
        needed: "a map from its last residual stream to a vocabulary".to_owned(),
    })
}
