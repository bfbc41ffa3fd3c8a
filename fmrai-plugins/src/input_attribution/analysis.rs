//! The analysis, as its parts know it.

use fmrai_core::batch::Vocabulary;
use fmrai_core::graph::TensorId;

use super::config::InputAttributionConfig;
use super::kept::Kept;
use super::start::{Baseline, Start};
use super::totals::Totals;
use crate::attention::HeadLayout;

/// Attributes an answer to the tokens of its text.
pub struct InputAttribution {
    pub(super) config: InputAttributionConfig,
    pub(super) baseline: Baseline,
    /// The logits, and how many there are at a position.
    pub(super) logits: Option<(TensorId, usize)>,
    pub(super) start: Option<Start>,
    pub(super) layout: Option<HeadLayout>,
    pub(super) vocabulary: Option<Vocabulary>,
    pub(super) kept: Kept,
    pub(super) totals: Totals,
    pub(super) lacking: Vec<String>,
}

impl InputAttribution {
    pub(super) fn new(config: InputAttributionConfig, baseline: Baseline) -> Self {
        Self {
            kept: Kept::new(config.texts),
            config,
            baseline,
            logits: None,
            start: None,
            layout: None,
            vocabulary: None,
            totals: Totals::default(),
            lacking: Vec::new(),
        }
    }
}
