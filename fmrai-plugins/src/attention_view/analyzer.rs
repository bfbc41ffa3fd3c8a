//! The analysis as an analyzer.

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::{Batch, Vocabulary};
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Value, json};

use super::config::AttentionViewConfig;
use super::kept::{Kept, Text, rounded};
use super::report;
use crate::attention::{BatchAttention, HeadLayout, TextAttention};
use crate::pieces::{numbered, pieces, token};

const VERSION: u32 = 1;

/// The analysis; made by [`AttentionViewConfig`].
#[derive(Debug)]
pub struct AttentionView {
    config: AttentionViewConfig,
    layout: HeadLayout,
    vocabulary: Option<Vocabulary>,
    kept: Kept,
}

impl AttentionView {
    pub(super) fn new(config: AttentionViewConfig) -> Self {
        let kept = Kept::new(config.texts);
        Self { config, layout: HeadLayout::default(), vocabulary: None, kept }
    }

    /// What states have to agree on.
    fn settings(&self) -> Value {
        json!({ "heads": self.layout.to_document(), "config": self.config })
    }

    /// Tokens of a text that are kept: no more than one text may cost.
    fn most_tokens(&self) -> usize {
        let heads = self.layout.heads().max(1);
        let fits = (self.config.max_values / heads).isqrt().max(1);
        self.config.max_tokens.min(fits)
    }

    fn text(&self, text: &TextAttention<'_>) -> Text {
        let stream = &self.layout.streams()[text.stream()];
        let sample = text.sample();
        let n = text.tokens().min(self.most_tokens());
        let ids: Vec<u32> = stream.tokens(sample).map(|tokens| tokens.ids.to_vec()).unwrap_or_default();
        let own = stream.tokens(sample).is_some_and(|tokens| tokens.ids == sample.token_ids);
        let shown = match own {
            true => pieces(sample, self.vocabulary.as_ref()),
            false => ids.iter().map(|id| token(*id, self.vocabulary.as_ref())).collect(),
        };
        let mut shown = numbered(shown, ids.len(), text.tokens());
        shown.truncate(n);
        let mut attention = Vec::with_capacity(self.layout.heads() * n * n);
        for head in text.heads() {
            for query in 0..n {
                attention.extend(text.row(head, query).iter().take(n).copied().map(rounded));
            }
        }
        Text { tokens: ids.into_iter().take(n).collect(), shown, of: text.tokens(), attention }
    }
}

impl Analyzer for AttentionView {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = HeadLayout::of(model)?.of_one_stream(None)?;
        self.vocabulary = model.vocabulary.cloned();
        Ok(self.layout.request())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let chosen = |id: u64, text: Option<&str>| self.config.chooses(id, text) && self.kept.wants(id);
        if !batch.samples().iter().any(|sample| chosen(sample.id, sample.text.as_deref())) {
            return Ok(());
        }
        let attention = BatchAttention::read(batch, &self.layout)?;
        let mut found = Kept::new(self.config.texts);
        for text in attention.texts() {
            let sample = text.sample();
            if chosen(sample.id, sample.text.as_deref()) && found.wants(sample.id) {
                found.add(sample.id, self.text(&text));
            }
        }
        self.kept.merge(found);
        Ok(())
    }
}

impl Analysis for AttentionView {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(AttentionViewConfig::NAME, VERSION, self.settings());
        self.kept.put(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(AttentionViewConfig::NAME, VERSION)?;
        for field in ["heads", "config"] {
            state.expect_field(field, &self.settings()[field])?;
        }
        self.kept.merge(Kept::get(state, self.config.texts, self.layout.heads())?);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.config, &self.layout, &self.kept)
    }
}
