//! The analysis as an analyzer.

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::json;

use super::config::AttentionClusteringConfig;
use super::report;
use crate::attention::{BatchAttention, HeadLayout, PatternSums, TextAttention, TokenKinds};
use crate::finite::finite;
use crate::statistics::divergence::{HeadRows, pairs};

const VERSION: u32 = 3;

/// The analysis; made by [`AttentionClusteringConfig`].
#[derive(Debug)]
pub struct AttentionClustering {
    config: AttentionClusteringConfig,
    layout: HeadLayout,
    kinds: TokenKinds,
    patterns: PatternSums,
    /// Sum over texts of the divergence of each pair of heads.
    divergences: Vec<f64>,
    /// Texts in these sums: those with a query whose rows of all heads are distributions.
    compared: u64,
    rows: HeadRows,
}

impl AttentionClustering {
    pub(super) fn new(config: AttentionClusteringConfig) -> Self {
        Self {
            config,
            layout: HeadLayout::default(),
            kinds: TokenKinds::default(),
            patterns: PatternSums::new(&HeadLayout::default()),
            divergences: Vec::new(),
            compared: 0,
            rows: HeadRows::default(),
        }
    }
}

impl Analyzer for AttentionClustering {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = HeadLayout::of(model)?.of_one_stream(self.config.tokens_of.as_deref())?;
        self.kinds = TokenKinds::of(model.vocabulary);
        self.patterns = PatternSums::new(&self.layout);
        self.compared = 0;
        self.divergences = vec![0.0; pairs(self.layout.heads())];
        Ok(self.layout.request())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let attention = BatchAttention::read(batch, &self.layout)?;
        let heads = self.layout.heads();
        let mark =
            |text: &TextAttention<'_>| self.kinds.mark(text.sample(), &self.layout.streams()[text.stream()]);
        let marked: Result<Vec<_>, AnalyzerError> =
            attention.texts().map(|text| Ok((text, mark(&text)?))).collect();
        // Nothing can fail from here on, so the state is changed in place.
        for (text, tokens) in marked? {
            self.patterns.add_text(&self.layout, &text, &tokens, 0.0);
            let queries = text.valid_queries();
            if queries.is_empty() {
                continue;
            }
            // A layer without the sinks that another one has gives them nothing.
            let keys = text.tokens() + text.heads().map(|head| text.sinks(head)).max().unwrap_or(0);
            let row = |head: usize, query: usize| text.row(head, queries[query]);
            self.rows.fill_queries(heads, queries.len(), keys, self.config.smoothing, row);
            self.rows.add_divergences(&mut self.divergences);
            self.compared += 1;
        }
        Ok(())
    }
}

impl Analysis for AttentionClustering {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(
            AttentionClusteringConfig::NAME,
            VERSION,
            json!({ "heads": self.layout.to_document(), "smoothing": self.config.smoothing }),
        );
        self.patterns.write(&mut state)?;
        state.put("divergences", [self.divergences.len()], self.divergences.clone())?;
        state.put_number("compared", self.compared)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect_one_of(AttentionClusteringConfig::NAME, PatternSums::WITHOUT_CHANCE..=VERSION)?;
        state.expect_field("heads", &self.layout.to_document())?;
        state.expect_field("smoothing", &json!(self.config.smoothing))?;
        let patterns = PatternSums::read(state, &self.layout)?;
        let compared: u64 = state.number("compared")?;
        let divergences = finite(state, "divergences", &[pairs(self.layout.heads())])?;
        self.patterns.add(&patterns);
        self.compared = self.compared.saturating_add(compared);
        for (sum, other) in self.divergences.iter_mut().zip(divergences) {
            *sum += other;
        }
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.layout, &self.patterns, (&self.divergences, self.compared), &self.config)
    }
}
