//! What the analysis holds.

use fmrai_core::analyzer::AnalyzerError;
use serde_json::{Value, json};

use super::config::DirectLogitAttributionConfig;
use super::layout::Layout;
use super::read::Loaded;
use super::sums::Sums;

/// The analysis; made by [`DirectLogitAttributionConfig`].
pub struct DirectLogitAttribution {
    pub(super) config: DirectLogitAttributionConfig,
    pub(super) model: Option<(Layout, Loaded)>,
    pub(super) sums: Sums,
}

impl DirectLogitAttribution {
    pub(super) fn new(config: DirectLogitAttributionConfig) -> Self {
        Self { config, model: None, sums: Sums::default() }
    }

    pub(super) fn model(&self) -> Result<&(Layout, Loaded), AnalyzerError> {
        self.model.as_ref().ok_or_else(|| AnalyzerError::Other("the analysis has seen no model".to_owned()))
    }

    /// What states have to agree on.
    pub(super) fn settings(&self, layout: &Layout) -> Value {
        json!({ "parts": layout.to_document(), "target": self.config.target })
    }
}
