//! The analysis as an analyzer.

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::json;

use super::config::AttentionPatternsConfig;
use super::report;
use crate::attention::{BatchAttention, HeadLayout, PatternSums, TokenKinds};

const VERSION: u32 = 3;

/// The analysis; made by [`AttentionPatternsConfig`].
#[derive(Debug)]
pub struct AttentionPatterns {
    config: AttentionPatternsConfig,
    layout: HeadLayout,
    kinds: TokenKinds,
    sums: PatternSums,
}

impl AttentionPatterns {
    pub(super) fn new(config: AttentionPatternsConfig) -> Self {
        Self {
            config,
            layout: HeadLayout::default(),
            kinds: TokenKinds::default(),
            sums: PatternSums::new(&HeadLayout::default()),
        }
    }
}

impl Analyzer for AttentionPatterns {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = HeadLayout::of(model)?;
        self.kinds = TokenKinds::of(model.vocabulary);
        self.sums = PatternSums::new(&self.layout);
        Ok(self.layout.request())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let attention = BatchAttention::read(batch, &self.layout)?;
        let mut sums = PatternSums::new(&self.layout);
        for text in attention.texts() {
            let stream = &self.layout.streams()[text.stream()];
            let tokens = self.kinds.mark(text.sample(), stream)?;
            sums.add_text(&self.layout, &text, &tokens, self.config.smoothing);
        }
        self.sums.add(&sums);
        Ok(())
    }
}

impl Analysis for AttentionPatterns {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(
            AttentionPatternsConfig::NAME,
            VERSION,
            json!({ "heads": self.layout.to_document(), "smoothing": self.config.smoothing }),
        );
        self.sums.write(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect_one_of(AttentionPatternsConfig::NAME, PatternSums::WITHOUT_CHANCE..=VERSION)?;
        state.expect_field("heads", &self.layout.to_document())?;
        state.expect_field("smoothing", &json!(self.config.smoothing))?;
        self.sums.add(&PatternSums::read(state, &self.layout)?);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.layout, &self.sums, &self.config)
    }
}
