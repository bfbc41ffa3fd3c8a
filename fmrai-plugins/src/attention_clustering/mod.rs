//! Which attention heads look alike: Clark, Khandelwal, Levy and Manning 2019, "What Does BERT Look At? An Analysis of
//! BERT's Attention", section 6, with clusters and scores beside its map.
//!
//! The distance of two heads is the Jensen-Shannon divergence of their attention rows, `H((p + q) / 2) - (H(p) + H(q)) /
//! 2`, in nats: the mean over the valid queries of a text, then over texts, each weighing the same. It is within [0, ln
//! 2], 0 for heads that always look alike, ln 2 for heads that never look at the same token.
//!
//! - Map: metric multidimensional scaling of the distances in the plane ([`crate::statistics::mds`]).
//! - Clusters: k-means (linfa) on the principal coordinates in which squared distances *are* the divergences
//!   ([`crate::statistics::clustering`]), not on the map, whose two axes cannot hold them; the number of clusters has the
//!   largest mean silhouette over the distances.
//! - Labels: the thresholds of the paper's figure 6 (`next`, `previous`, `broad`, `first`, `separator`, `punctuation`; a
//!   later one overrides an earlier one), from the statistics of [`crate::attention_patterns`].
//!
//! Differences to the authors' code: it sums the divergences over queries and texts, so that long texts weigh more and
//! the numbers grow with the data (its README says *average*); it smooths rows, `0.999 A + 0.001 / n` (`smoothing:
//! 0.001`); its clusters are its labels, there is no clustering algorithm; its broad heads are those whose smoothed
//! entropy is above 3.8.
//!
//! Rows are distributions over a text's tokens and the attention sinks, where there are any. A query for which the row of
//! some head is none is left out for all of them. Only heads that look at the same tokens can be set against each other: of a
//! model with several sequences those of one are, the others are left out by name.
//!
//! Memory: 8 bytes for each pair of heads, and the attention of one text at a time.

mod config;
mod figures;
mod labels;
mod report;

pub use config::AttentionClusteringConfig;
pub use labels::Thresholds;

use fmrai_core::analyzer::{Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::report::Report;
use fmrai_core::tensor::{TensorData, TensorValue};
use fmrai_core::tracker::CaptureRequest;
use serde_json::json;

use crate::attention::{
    BatchAttention, HeadLayout, PatternSums, TextAttention, TokenKinds, read_counts, read_f64,
};
use crate::statistics::divergence::{HeadRows, pairs};

const NAME: &str = "attention_clustering";
const VERSION: u32 = 2;

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
    fn new(config: AttentionClusteringConfig) -> Self {
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

    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(
            NAME,
            VERSION,
            json!({ "heads": self.layout.to_document(), "smoothing": self.config.smoothing }),
        );
        self.patterns.write(&mut state)?;
        let divergences =
            TensorValue::new([self.divergences.len()], TensorData::F64(self.divergences.clone()))
                .map_err(|e| AnalyzerError::Other(e.to_string()))?;
        state.tensors.insert("divergences".to_owned(), divergences);
        let compared = TensorValue::new([1], TensorData::I64(vec![self.compared as i64]))
            .map_err(|e| AnalyzerError::Other(e.to_string()))?;
        state.tensors.insert("compared".to_owned(), compared);
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, VERSION)?;
        self.layout.check_document(&state.document["heads"])?;
        let heads = self.layout.heads();
        crate::attention::check_smoothing_of(state, self.config.smoothing)?;
        let patterns = PatternSums::read(state, &self.layout)?;
        let compared = read_counts(state, "compared", 1)?;
        let divergences = read_f64(state, "divergences", &[pairs(heads)])?;
        self.patterns.add(&patterns);
        self.compared = self.compared.saturating_add(compared.first().copied().unwrap_or(0));
        for (sum, other) in self.divergences.iter_mut().zip(divergences) {
            *sum += other;
        }
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.layout, &self.patterns, (&self.divergences, self.compared), &self.config)
    }
}
