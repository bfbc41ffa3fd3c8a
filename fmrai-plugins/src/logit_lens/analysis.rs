//! What the analysis holds.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Vocabulary;
use serde_json::{Value, json};

use super::config::LogitLensConfig;
use super::grid::Grid;
use super::streams::Streams;
use super::sums::Sums;
use crate::lens::LoadedLens;

/// The analysis; made by [`LogitLensConfig`].
pub struct LogitLens {
    pub(super) config: LogitLensConfig,
    pub(super) vocabulary: Option<Vocabulary>,
    pub(super) model: Option<(Streams, LoadedLens)>,
    pub(super) sums: Sums,
    pub(super) grid: Grid,
}

impl LogitLens {
    pub(super) fn new(config: LogitLensConfig) -> Self {
        let grid = Grid::new(config.texts);
        Self { config, vocabulary: None, model: None, sums: Sums::default(), grid }
    }

    /// The text of a token; `#7` where that is not known.
    pub(super) fn surface(&self, id: u32) -> String {
        let surface = self.vocabulary.as_ref().map_or("", |vocabulary| vocabulary.surface(id));
        if surface.is_empty() { format!("#{id}") } else { surface.to_owned() }
    }

    /// Tokens of each cell of the grid.
    pub(super) fn listed(&self, lens: &LoadedLens) -> usize {
        self.config.top_k.min(lens.tokens())
    }

    pub(super) fn model(&self) -> Result<&(Streams, LoadedLens), AnalyzerError> {
        self.model.as_ref().ok_or_else(|| AnalyzerError::Other("the analysis has seen no model".to_owned()))
    }

    /// What states have to agree on.
    pub(super) fn settings(&self, streams: &Streams) -> Value {
        let LogitLensConfig { of, texts, top_k, .. } = self.config;
        json!({ "read": streams.to_document(), "of": of, "texts": texts, "top_k": top_k })
    }
}
