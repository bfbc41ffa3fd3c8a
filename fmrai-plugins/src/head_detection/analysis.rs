//! The analysis, as its parts know it.

use std::sync::Arc;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::TensorId;

use super::config::HeadDetectionConfig;
use super::repeated::{Prefix, Repeated};
use super::sums::Sums;
use super::tokens::Drawn;
use super::weights::Places;
use crate::attention::HeadLayout;
use crate::sites::Moments;

/// What was run once, or why it could not be; `None` as long as it has not been run.
pub(super) type Once<T> = Option<Result<T, String>>;

/// Scores attention heads.
pub struct HeadDetection {
    pub(super) config: HeadDetectionConfig,
    pub(super) layout: HeadLayout,
    pub(super) logits: Option<(TensorId, usize)>,
    pub(super) drawn: Option<Drawn>,
    pub(super) data: Sums,
    pub(super) learning: Moments,
    pub(super) repeated: Once<Repeated>,
    pub(super) prefix: Once<Prefix>,
    pub(super) places: Places,
    pub(super) weights: Option<Arc<dyn Weights>>,
    pub(super) lacking: Vec<String>,
}

impl HeadDetection {
    pub(super) fn new(config: HeadDetectionConfig) -> Self {
        Self {
            config,
            layout: HeadLayout::default(),
            logits: None,
            drawn: None,
            data: Sums::new(0),
            learning: Moments::default(),
            repeated: None,
            prefix: None,
            places: Places::default(),
            weights: None,
            lacking: Vec::new(),
        }
    }
}
