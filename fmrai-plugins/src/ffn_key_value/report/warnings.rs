//! What people have to know before they trust what was read in the vocabulary.

use crate::ffn_key_value::FfnKeyValue;
use crate::ffn_key_value::conclusions::{BORROWED, Conclusions};

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
    borrowed.into_iter().chain(differing).chain(unchecked).collect()
}

/// The warning of a map that was never trained to be one.
pub(super) fn borrowed(analysis: &FfnKeyValue) -> Option<&'static str> {
    analysis.map.as_ref().is_ok_and(|map| map.borrowed).then_some(BORROWED)
}

/// The same as the end of a caption.
pub(super) fn in_caption(analysis: &FfnKeyValue) -> String {
    borrowed(analysis).map_or_else(String::new, |warning| format!(" Beware: {warning}."))
}
