//! What is concluded of all parts.

use super::analysis::DirectLogitAttribution;
use super::layout::Layout;

/// Share of the logits above which a sum that misses them is warned of.
const MISSED: f64 = 1e-3;

/// What is concluded of all parts, with NaN for those that the model does not have.
pub(super) struct Conclusions {
    /// By the places of the layout.
    pub(super) means: Vec<f64>,
    pub(super) errors: Vec<f64>,
    pub(super) logit: f64,
    pub(super) warnings: Vec<String>,
}

impl Conclusions {
    pub(super) fn of(analysis: &DirectLogitAttribution, layout: &Layout) -> Self {
        let known = layout.known();
        let masked = |values: Vec<f64>| -> Vec<f64> {
            values.iter().zip(&known).map(|(value, known)| if *known { *value } else { f64::NAN }).collect()
        };
        Self {
            means: masked(analysis.sums.means()),
            errors: masked(analysis.sums.standard_errors()),
            logit: analysis.sums.logit(),
            warnings: warnings(analysis, layout),
        }
    }

    /// The heads of a layer, those that it does not have left out.
    pub(super) fn heads(&self, layout: &Layout, layer: usize) -> Vec<f64> {
        let heads = self.means.get(layout.head(layer, 0)..layout.head(layer + 1, 0)).unwrap_or_default();
        heads.iter().copied().filter(|x| x.is_finite()).collect()
    }
}

fn warnings(analysis: &DirectLogitAttribution, layout: &Layout) -> Vec<String> {
    let sums = &analysis.sums;
    let missed = (sums.relative_error > MISSED).then(|| {
        format!(
            "the parts do not sum to the logit: they miss it by up to {:.3e}, {:.1} % of the largest logit at the position",
            sums.error,
            100.0 * sums.relative_error
        )
    });
    let unchecked = layout.own_logits.is_none().then(|| {
        "the sum of the parts was compared with what is read of the last stream, as the model gives its logits at other positions".to_owned()
    });
    let others = (!layout.others.is_empty()).then(|| {
        let most = 3;
        let more = layout.others.len().saturating_sub(most);
        let listed: Vec<&str> = layout.others.iter().take(most).map(String::as_str).collect();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("contribution.other has what could not be told apart: {}{more}", listed.join("; "))
    });
    missed.into_iter().chain(unchecked).chain(others).collect()
}
