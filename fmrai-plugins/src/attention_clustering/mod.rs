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

use crate::attention::{BatchAttention, HeadLayout, PatternSums, TokenKinds, read_f64};
use crate::statistics::divergence::{HeadRows, pairs};

const NAME: &str = "attention_clustering";
const VERSION: u32 = 1;

/// The analysis; made by [`AttentionClusteringConfig`].
#[derive(Debug)]
pub struct AttentionClustering {
    config: AttentionClusteringConfig,
    layout: HeadLayout,
    kinds: TokenKinds,
    patterns: PatternSums,
    /// Sum over texts of the divergence of each pair of heads.
    divergences: Vec<f64>,
    rows: HeadRows,
}

impl AttentionClustering {
    fn new(config: AttentionClusteringConfig) -> Self {
        Self {
            config,
            layout: HeadLayout::default(),
            kinds: TokenKinds::default(),
            patterns: PatternSums::new(0),
            divergences: Vec::new(),
            rows: HeadRows::default(),
        }
    }
}

impl Analyzer for AttentionClustering {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = HeadLayout::of(model.structure)?;
        self.kinds = TokenKinds::of(model.vocabulary);
        self.patterns = PatternSums::new(self.layout.heads());
        self.divergences = vec![0.0; pairs(self.layout.heads())];
        Ok(self.layout.request())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let attention = BatchAttention::read(batch, &self.layout)?;
        let heads = self.layout.heads();
        let marked: Result<Vec<_>, AnalyzerError> =
            attention.texts().map(|text| Ok((text, self.kinds.mark(text.sample())?))).collect();
        // Nothing can fail from here on, so the state is changed in place.
        for (text, tokens) in marked? {
            self.patterns.add_text(&text, &tokens, 0.0);
            self.rows.fill(heads, text.tokens(), self.config.smoothing, |head, query| text.row(head, query));
            self.rows.add_divergences(&mut self.divergences);
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
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, VERSION)?;
        self.layout.check_document(&state.document["heads"])?;
        let heads = self.layout.heads();
        crate::attention::check_smoothing_of(state, self.config.smoothing)?;
        let patterns = PatternSums::read(state, heads)?;
        let divergences = read_f64(state, "divergences", &[pairs(heads)])?;
        self.patterns.add(&patterns);
        for (sum, other) in self.divergences.iter_mut().zip(divergences) {
            *sum += other;
        }
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.layout, &self.patterns, &self.divergences, &self.config)
    }
}
