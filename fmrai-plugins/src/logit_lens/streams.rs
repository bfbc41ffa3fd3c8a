//! The streams that are read, and where.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::Block;
use fmrai_core::graph::TensorId;
use fmrai_core::structure::Visible;
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Value, json};

use super::config::{LogitLensConfig, Target};
use crate::lens::{Lens, settled};
use crate::read_blocks::{ReadBlocks, lens_of};
use fmrai_core::sequences::Stream;

/// Where a stream is among the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before this block; the last one is behind all of them.
    Layer(usize),
    /// Between attention and feed-forward part of this block.
    Between(usize),
}

/// The streams of a model that are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Streams {
    pub(super) lens: Lens,
    /// Those before each block and the last one, then those between.
    pub(super) at: Vec<(Place, TensorId)>,
    pub(super) blocks: usize,
    /// Whose tokens the positions are.
    pub(super) sequence: Stream,
    pub(super) target: Target,
}

impl Streams {
    pub(super) fn of(model: &ModelView<'_>, config: &LogitLensConfig) -> Result<Self, AnalyzerError> {
        let lens = lens_of(model)?;
        let ReadBlocks { blocks: own, sequence } = ReadBlocks::of(model, &lens)?;
        let before = own.iter().filter_map(Block::before);
        let mut at: Vec<_> =
            before.chain([lens.stream()]).enumerate().map(|(l, id)| (Place::Layer(l), id)).collect();
        if config.between {
            let settled = settled(model.structure);
            let between = own.iter().enumerate().filter_map(|(l, block)| {
                let raw = block.between()?;
                let write = model.structure.residual.iter().position(|write| write.after == raw);
                Some((Place::Between(l), write.and_then(|at| settled.get(at).copied()).unwrap_or(raw)))
            });
            at.extend(between);
        }
        let ahead = |visible: Visible| visible.reach().is_some_and(|[_, after]| after != Some(0));
        let encodes = own.iter().any(|block| ahead(block.attention.visible));
        let target = config.target.unwrap_or(if encodes { Target::OwnToken } else { Target::NextToken });
        Ok(Self { lens, at, blocks: own.len(), sequence, target })
    }

    pub(super) fn layers(&self) -> usize {
        self.blocks + 1
    }

    pub(super) fn request(&self) -> CaptureRequest {
        self.at.iter().map(|(_, id)| *id).chain(self.lens.logits().ok()).collect()
    }

    /// What states have to agree on.
    pub(super) fn to_document(&self) -> Value {
        let place = |(place, _): &(Place, TensorId)| match place {
            Place::Layer(l) => json!(l),
            Place::Between(l) => json!(format!("between {l}")),
        };
        json!({ "streams": self.at.iter().map(place).collect::<Vec<_>>(), "tokens": self.lens.tokens(), "target": self.target })
    }
}
