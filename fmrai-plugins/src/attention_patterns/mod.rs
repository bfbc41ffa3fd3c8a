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
//! Keys that are no tokens, attention sinks and positions that the model adds, are choices of a row too: the share that goes
//! to them is a share of its own, and they count in the entropy. Rows that do not sum to 1 over a text's tokens and the
//! sinks are no distributions (zeros of a sample that is masked whole, a share that goes to padding): they are counted and
//! left out. Each block is read at the positions of its own sequence, an encoder's or a decoder's; one whose positions are
//! those of no input is left out by name.
//!
//! A head that sees all keys alike has the largest entropy it can have, the mean over queries of `ln` of the number of keys
//! that a query can see: `ln n`, or less where attention is causal or windowed. What can only be 0 there is neither drawn
//! nor ranked.
//!
//! Memory: 32 numbers per head, whatever the data.

mod analyzer;
mod config;
mod figures;
mod layer_means;
mod registration;
mod report;
mod strongest;

pub use analyzer::AttentionPatterns;
pub use config::AttentionPatternsConfig;
