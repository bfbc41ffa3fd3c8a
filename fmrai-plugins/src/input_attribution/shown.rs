//! What tables and figures show.

use super::analysis::InputAttribution;
use super::config::{Method, Target, Which};
use super::totals::TOKENS;
use crate::sites::{Column as Mark, Moments};

/// The methods that something was found by.
pub(super) fn methods(analysis: &InputAttribution) -> Vec<Method> {
    let known = |method: &&Method| {
        let texts = &analysis.kept.texts;
        texts.is_empty() || texts.values().any(|text| text.numbers.attributions.contains_key(method))
    };
    analysis.config.methods.iter().filter(known).copied().collect()
}

/// Which texts these are, in a sentence.
pub(super) fn told(analysis: &InputAttribution) -> String {
    let config = &analysis.config;
    let pairs = analysis.kept.texts.values().any(|text| text.of_pair);
    match (pairs, config.of, config.target) {
        (true, Which::Clean, _) => "the clean texts of the pairs".to_owned(),
        (true, Which::Corrupted, _) => "the corrupted texts of the pairs".to_owned(),
        (false, _, Target::Prediction) => "the most probable next token of each".to_owned(),
        (false, _, Target::LastToken) => "the last token of each".to_owned(),
    }
}

/// The share of each mark by each method: mean over texts, and its standard error.
pub(super) fn shares(analysis: &InputAttribution) -> Vec<(String, Method, Moments)> {
    let shares = &analysis.totals.shares;
    let names = shares.columns().filter_map(|column| match column {
        Mark::Mark(name) => Some(name.clone()),
        _ => None,
    });
    let each = |name: String| {
        let of = |method: &Method| {
            let found = shares.at(*method as usize, &Mark::Mark(name.clone()));
            (found.count > 0.0).then(|| (name.clone(), *method, found))
        };
        analysis.config.methods.iter().filter_map(of).collect::<Vec<_>>()
    };
    names.flat_map(each).collect()
}

/// The mean share of a mark in the tokens of its text: its share if all tokens were alike.
pub(super) fn share_of_tokens(analysis: &InputAttribution, mark: &str) -> f64 {
    analysis.totals.shares.at(TOKENS, &Mark::Mark(mark.to_owned())).mean()
}
