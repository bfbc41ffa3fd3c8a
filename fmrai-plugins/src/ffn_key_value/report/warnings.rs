//! What people have to know before they trust what was read in the vocabulary.

use std::collections::BTreeMap;

use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::conclusions::{BORROWED, Conclusions};
use crate::ffn_key_value::values::Distributions;

/// Above this share of values with one most probable token there is something to be said.
const UNIFORM: f64 = 0.5;

/// All warnings, most serious first.
pub(super) fn of(analysis: &FfnKeyValue, known: &Conclusions) -> Vec<String> {
    let borrowed = borrowed(analysis).map(str::to_owned);
    let differing = known.check.filter(|check| check.agreeing < check.positions).map(|check| {
        format!(
            "read through the map that was found in the graph, the last stream has the model's own most probable token at {} of {} \
             positions; logits differ by up to {:.3}",
            check.agreeing, check.positions, check.largest_difference
        )
    });
    let lens = analysis.map.as_ref().ok().and_then(|map| map.lens.as_ref().ok());
    let unchecked = lens.filter(|_| borrowed.is_none()).and_then(|lens| lens.logits().err());
    let unchecked = unchecked.map(|reason| {
        format!("what is read of the streams was not compared with the model's logits: {reason}")
    });
    borrowed.into_iter().chain(differing).chain(unchecked).chain(uniform(analysis, known)).collect()
}

/// The warning that most values say the same.
fn uniform(analysis: &FfnKeyValue, known: &Conclusions) -> Option<String> {
    let tops = |d: &Distributions| (0..d.ranks.len()).filter_map(|value| Some(d.top(value)?.0)).collect();
    let tops: Vec<u32> = known.distributions.iter().flat_map(|d| -> Vec<u32> { tops(d) }).collect();
    let mut counts = BTreeMap::new();
    tops.iter().for_each(|token| *counts.entry(*token).or_insert(0_usize) += 1);
    let (token, count) =
        counts.into_iter().max_by_key(|(token, count)| (*count, std::cmp::Reverse(*token)))?;
    let share = count as f64 / tops.len() as f64;
    let way_out = if known.values_by_table {
        "with `final_norm` they are read as the model reads its last stream"
    } else {
        "they may all write into the same few channels"
    };
    (share > UNIFORM && tops.len() > 1).then(|| {
        format!(
            "{:?} is the most probable token of {:.0} % of all values, so these distributions tell little of each; {way_out}",
            analysis.surface(token),
            100.0 * share
        )
    })
}

/// The warning of a map that was never trained to be one.
pub(super) fn borrowed(analysis: &FfnKeyValue) -> Option<&'static str> {
    analysis.map.as_ref().is_ok_and(|map| map.borrowed).then_some(BORROWED)
}

/// The same as the end of a caption.
pub(super) fn in_caption(analysis: &FfnKeyValue) -> String {
    borrowed(analysis).map_or_else(String::new, |warning| format!(" Beware: {warning}."))
}
