//! Where each attention head looks, and how broadly: Clark, Khandelwal, Levy and Manning 2019, "What Does BERT Look
//! At? An Analysis of BERT's Attention", section 3.
//!
//! With `A[i, j]` the probability that query `i` gives to key `j`, over the `n` valid tokens of a text (padding
//! excluded, special tokens included), per head:
//!
//! - share to the same token: mean over `i` of `A[i, i]`; to the first: of `A[i, 0]`; to separators or punctuation
//!   (`.` and `,`): of the sum of `A[i, j]` over such `j`;
//! - share to the previous (next) token: mean of `A[i, i - 1]` (`A[i, i + 1]`) over the `n - 1` queries that have one;
//! - share from separators to separators, and from all other tokens to separators: the same over those queries;
//! - entropy: mean over `i` of `-sum over j of A[i, j] ln A[i, j]`, in nats, `0 ln 0 = 0`; and that of query 0 alone.
//!
//! Each is the mean over the texts that define it, every text weighing the same. A text of one token has entropy 0
//! and neither previous nor next.
//!
//! Differences to the authors' code, which follows the paper less closely:
//! - it divides the shares to the previous and next token by `n`, although there are `n - 1` such pairs, so ours are
//!   larger by `n / (n - 1)`;
//! - it divides separators' attention to separators by 2 and other tokens' by `n - 2`, which presumes two separators
//!   in each text; we count them;
//! - it smooths each row, `0.9999 A + 0.0001 / n`, before taking the entropy; set `smoothing` to 0.0001 to do so;
//! - it knows no padding: its texts are run one by one;
//! - the cell that plots figure 2 swaps the names of *next* and *previous* against its own selectors.
//!
//! Memory: 10 numbers per head, whatever the data.

mod config;
mod figures;
mod report;

pub(crate) use config::check_smoothing;
pub(crate) use report::{head_columns, statistic_columns, why_left_out};

pub use config::AttentionPatternsConfig;

use fmrai_core::analyzer::{Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::json;

use crate::attention::{BatchAttention, HeadLayout, PatternSums, TokenKinds, check_smoothing_of};

const NAME: &str = "attention_patterns";
const VERSION: u32 = 1;

/// The analysis; made by [`AttentionPatternsConfig`].
#[derive(Debug)]
pub struct AttentionPatterns {
    config: AttentionPatternsConfig,
    layout: HeadLayout,
    kinds: TokenKinds,
    sums: PatternSums,
}

impl AttentionPatterns {
    fn new(config: AttentionPatternsConfig) -> Self {
        Self {
            config,
            layout: HeadLayout::default(),
            kinds: TokenKinds::default(),
            sums: PatternSums::new(0),
        }
    }
}

impl Analyzer for AttentionPatterns {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = HeadLayout::of(model.structure)?;
        self.kinds = TokenKinds::of(model.vocabulary);
        self.sums = PatternSums::new(self.layout.heads());
        Ok(self.layout.request())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let attention = BatchAttention::read(batch, &self.layout)?;
        let mut sums = PatternSums::new(self.layout.heads());
        for text in attention.texts() {
            sums.add_text(&text, &self.kinds.mark(text.sample())?, self.config.smoothing);
        }
        self.sums.add(&sums);
        Ok(())
    }

    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(
            NAME,
            VERSION,
            json!({ "heads": self.layout.to_document(), "smoothing": self.config.smoothing }),
        );
        self.sums.write(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, VERSION)?;
        self.layout.check_document(&state.document["heads"])?;
        check_smoothing_of(state, self.config.smoothing)?;
        self.sums.add(&PatternSums::read(state, self.layout.heads())?);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(&self.layout, &self.sums, &self.config)
    }
}
