//! Kinds of sites.

use std::fmt;

use super::site::Site;
use super::sites::{Block, Sites};

/// A kind of site, which each block has one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SiteKind {
    /// The stream before the block, `[row, position, channel]`.
    ResidualBefore,
    /// The stream between attention and feed-forward block.
    ResidualBetween,
    /// The stream after the block.
    ResidualAfter,
    /// What attention adds to the stream.
    AttentionOutput,
    /// What the feed-forward block adds to the stream.
    FfnOutput,
    /// What each head gives, before the output projection, `[row, head, position, channel]`.
    Head,
    /// The queries, as they go into the product.
    Query,
    /// The keys, as they go into the product; one of each key and value head.
    Key,
    /// The values; one of each key and value head.
    Value,
    /// The attention probabilities, `[row, head, query, key]`.
    Probabilities,
}

impl SiteKind {
    /// All kinds, by how they are named.
    pub const ALL: [Self; 10] = [
        Self::ResidualBefore,
        Self::ResidualBetween,
        Self::ResidualAfter,
        Self::AttentionOutput,
        Self::FfnOutput,
        Self::Head,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Probabilities,
    ];

    /// Its name in plans and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ResidualBefore => "residual.before",
            Self::ResidualBetween => "residual.between",
            Self::ResidualAfter => "residual.after",
            Self::AttentionOutput => "attention_output",
            Self::FfnOutput => "ffn_output",
            Self::Head => "head",
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Probabilities => "probabilities",
        }
    }

    /// What it is, for headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::ResidualBefore => "residual stream before the block",
            Self::ResidualBetween => "residual stream between attention and FFN",
            Self::ResidualAfter => "residual stream after the block",
            Self::AttentionOutput => "attention output",
            Self::FfnOutput => "FFN output",
            Self::Head => "head output",
            Self::Query => "queries",
            Self::Key => "keys",
            Self::Value => "values",
            Self::Probabilities => "attention probabilities",
        }
    }

    /// True for what each head has of its own.
    #[must_use]
    pub fn of_heads(self) -> bool {
        matches!(self, Self::Head | Self::Query | Self::Key | Self::Value | Self::Probabilities)
    }

    /// The site in a block; `None` where the block has none.
    #[must_use]
    pub fn site(self, sites: &Sites<'_>, block: &Block<'_>) -> Option<Site> {
        match self {
            Self::ResidualBefore => block.before().map(|tensor| sites.stream(tensor)),
            Self::ResidualBetween => block.between().map(|tensor| sites.stream(tensor)),
            Self::ResidualAfter => block.after().map(|tensor| sites.stream(tensor)),
            Self::AttentionOutput => {
                let write = block.attention_write.filter(|write| write.writers.len() == 1);
                write.map(|write| sites.stream(write.written))
            }
            Self::FfnOutput => match (block.feed_forward_write, block.feed_forward) {
                (Some(write), _) if write.writers.len() == 1 => Some(sites.stream(write.written)),
                // Added together with the attention: what the second linear map gives.
                (Some(_), Some(feed_forward)) => Some(sites.stream(feed_forward.output)),
                _ => None,
            },
            Self::Head => Some(sites.head(block)),
            Self::Query => Some(sites.query(block)),
            Self::Key => Some(sites.key(block)),
            Self::Value => Some(sites.value(block)),
            Self::Probabilities => Some(sites.probabilities(block)),
        }
    }
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
