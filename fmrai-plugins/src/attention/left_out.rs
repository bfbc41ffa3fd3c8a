//! What was looked at, what was left out, and why, as reports tell it.

use fmrai_core::analyzer::AnalyzerError;
use serde_json::{Value, json};

use super::patterns::{Pattern, PatternSums, Statistic};
use fmrai_core::attention::{HeadLayout, LeftOut};
use fmrai_core::sequences::Stream;

/// Why there is nothing to report.
pub(crate) fn nothing_seen(layout: &HeadLayout, sums: &PatternSums) -> AnalyzerError {
    let needed = "at least one text".to_owned();
    let [rows, left_out] = sums.rows(0..layout.heads());
    if rows == 0 || left_out < rows {
        return AnalyzerError::NotEnoughData { found: "no text was seen".to_owned(), needed };
    }
    let sample = sums.left_out().1.unwrap_or(0);
    let found =
        format!("none of {rows} rows of probabilities sums to 1 over its text, the first in sample {sample}");
    AnalyzerError::NotEnoughData { found, needed: "at least one text with rows that do".to_owned() }
}

/// The statistics that no text defines and the blocks that are not looked at, each with the reason.
pub(crate) fn left_out(layout: &HeadLayout, is_known: impl Fn(Statistic) -> bool) -> Value {
    // A model without sinks lacks nothing.
    let missing =
        Statistic::ALL.into_iter().filter(|s| *s != Statistic::Share(Pattern::Sink) && !is_known(*s));
    let statistics = missing.map(|s| json!({ "name": s.name(), "reason": why_left_out(s) }));
    statistics.chain(layout.left_out().iter().map(LeftOut::to_json)).collect()
}

/// What each sequence is, and what was seen of it.
pub(crate) fn sequences(layout: &HeadLayout, sums: &PatternSums) -> Value {
    let of = |(i, stream): (usize, &Stream)| {
        let layers: Vec<usize> = layout.layers().iter().filter(|l| l.stream == i).map(|l| l.layer).collect();
        let [texts, tokens, left_out] = sums.of_stream(i);
        json!({
            "tokens_of": stream.name(), "layers": layers,
            "texts": texts, "tokens": tokens, "texts_left_out": left_out,
        })
    };
    layout.streams().iter().enumerate().map(of).collect()
}

/// Rows that are no distributions, by layer; `null` where all are.
pub(crate) fn rows_left_out(layout: &HeadLayout, sums: &PatternSums) -> Value {
    let [rows, left_out] = sums.rows(0..layout.heads());
    if left_out == 0 {
        return Value::Null;
    }
    let layers = layout.layers().iter().filter_map(|layer| {
        let [_, left_out] = sums.rows(layer.first..layer.first + layer.heads);
        (left_out > 0).then(|| json!({ "layer": layer.layer, "rows": left_out }))
    });
    let (zeros, sample) = sums.left_out();
    json!({
        "rows": left_out, "of": rows, "zeros": zeros, "first_sample": sample,
        "layers": layers.collect::<Vec<_>>(),
        "reason": "they do not sum to 1 over the tokens of their text: masked whole, or a share goes to padding",
    })
}

/// What captions say of rows left out.
pub(crate) fn told_left_out(layout: &HeadLayout, sums: &PatternSums) -> String {
    match sums.rows(0..layout.heads()) {
        [_, 0] => String::new(),
        [rows, left_out] => format!(" {left_out} of {rows} rows are no distributions and are left out."),
    }
}

/// Why no text defines a statistic.
fn why_left_out(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Share(Pattern::Previous | Pattern::Next) => "no text has more than one token",
        Statistic::Share(Pattern::Punctuation) => {
            "the model has no vocabulary, or the samples have no tokens"
        }
        Statistic::Share(Pattern::SeparatorFromRest) => {
            "the vocabulary has no separator, or all tokens are separators"
        }
        Statistic::Share(Pattern::SeparatorFromSeparator) => "no text has a separator",
        Statistic::Share(Pattern::Separator) => {
            "the model has no vocabulary with a separator, or the samples have no tokens"
        }
        _ => "no text was seen",
    }
}
