//! Attribution patching: activation patching of all sites at once, to first order (Nanda 2023, "Attribution Patching: Activation Patching At
//! Industrial Scale"; Kramár et al. 2024, "AtP*").
//!
//! With `m` the metric where the answer is read and `a` what a site holds,
//!
//! `attribution.SITE = mean over pairs of Σ (a_clean − a_corrupted) · ∂m/∂a |corrupted / (m_clean − m_corrupted)`
//!
//! for the direction *denoise*, summed over all that a cell is made of: what patching the cell recovers, if `m` were linear in `a`. For *noise* the
//! gradient is that of the clean run and the difference is the other way round, so that the estimate is the loss, below 0.
//! `change.SITE` is the same without the division. Axes are those of [`activation_patching`](crate::activation_patching).
//!
//! - **Integrated gradients** (`steps`): the mean of the gradients over `k = 1 ..= steps` of runs whose token embeddings lie `k / steps` of the way to those of the
//!   other text.
//! - **Softmax** (`correct_softmax`): the softmax saturates, so its tangent misjudges queries and keys. `corrected.query` takes the probabilities `A'` that
//!   the attention has with the queries of the other run and its own keys, and `corrected.key` those with the keys of the other run and its own queries:
//!   `Σ (A' − A) · ∂m/∂A`, the sum over all queries of the heads concerned; all positions of a layer at once.
//! - **Exact** (`exact`): what patching each cell gives, `(m_patched − m_run) / (m_clean − m_corrupted)`, and Spearman's rank correlation with the estimates.
//!
//! All sites of all layers take one pass with its gradients, one more for the activations of the other text, and two more for the correction.

mod attributed;
mod config;
mod experiment;
mod products;
mod registration;
mod report;

pub use config::AttributionPatchingConfig;
pub use experiment::AttributionPatching;
