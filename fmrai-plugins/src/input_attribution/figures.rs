//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Bars, Card, Figure, Passage, Passages, Plot, Token};

use super::analysis::InputAttribution;
use super::config::Method;
use super::kept::Text;
use super::shown::{methods, share_of_tokens, shares, told};
use crate::pieces::{token, visible};
use crate::short::short;

/// Texts that are drawn.
const CARDS: usize = 12;

/// Tokens of a text that are drawn before the answer.
const TOKENS: usize = 160;

/// The texts with a number for every token: a card for each text, on it a line for each method.
pub(super) fn passages(analysis: &InputAttribution) -> Option<Figure> {
    let methods = methods(analysis);
    let texts = analysis.kept.texts.iter().take(CARDS);
    let cards: Vec<Card> = texts.map(|(id, text)| card(analysis, *id, text, &methods)).collect();
    if cards.is_empty() || methods.is_empty() {
        return None;
    }
    let signed = methods.iter().any(|m| matches!(m, Method::InputXGradient | Method::IntegratedGradients));
    let least = if signed { -1.0 } else { 0.0 };
    let scale = Axis::new("share of the text's largest magnitude", None).range(least, 1.0);
    let baseline = if methods.contains(&Method::IntegratedGradients) {
        format!(" Integrated gradients start from {}.", analysis.baseline.title())
    } else {
        String::new()
    };
    let shown = cards.len();
    let caption = format!(
        "What each token contributes to the {} at the token in bold, by each method; colours are shares of the largest magnitude of \
         the method in that text. The first {shown} of {} texts: {}.{baseline}",
        analysis.config.metric.title(),
        analysis.totals.texts,
        told(analysis),
    );
    let plot = Plot::Passages(Passages { scale, diverging: signed, cards });
    Some(Figure::single("attributions", "Which tokens the answer comes from", &caption, plot))
}

fn card(analysis: &InputAttribution, id: u64, text: &Text, methods: &[Method]) -> Card {
    let words = |ids: &[u32]| {
        let words: Vec<String> =
            ids.iter().map(|id| visible(&token(*id, analysis.vocabulary.as_ref()))).collect();
        words.join(", ")
    };
    let against = if text.wrong.is_empty() { String::new() } else { format!(", not {}", words(&text.wrong)) };
    let mut details = vec![format!("answer: {}{against}", words(&text.right))];
    let numbers = &text.numbers;
    if numbers.value.is_finite() {
        let mut told = format!("{}: {}", analysis.config.metric.title(), short(numbers.value));
        if numbers.error.is_finite() {
            told.push_str(&format!(
                ", {} at the baseline; completeness error {:.1} % with {} steps",
                short(numbers.at_baseline),
                100.0 * numbers.error,
                numbers.steps
            ));
        }
        details.push(told);
    }
    let largest = |method: &Method| {
        let own = numbers.attributions.get(method)?;
        Some(format!("{} {}", method.title(), short(own.iter().fold(0.0_f64, |most, x| most.max(x.abs())))))
    };
    let largest: Vec<String> = methods.iter().filter_map(largest).collect();
    details.push(format!("largest magnitudes: {}", largest.join(", ")));
    let end = (text.answer + 1).max(TOKENS).min(text.tokens.len());
    let start = end.saturating_sub(TOKENS);
    let passage = |method: &Method| {
        let own = text.numbers.attributions.get(method)?;
        let largest = own.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        let tokens = (start..end).map(|at| Token {
            text: shown(text, at),
            value: if largest > 0.0 { own[at] / largest } else { f64::NAN },
        });
        Some(Passage {
            label: method.label().to_owned(),
            tokens: tokens.collect(),
            marked: Some(text.answer - start),
            cut_before: start > 0,
            cut_after: end < text.tokens.len(),
        })
    };
    Card { title: format!("text {id}"), details, passages: methods.iter().filter_map(passage).collect() }
}

/// A token within its text; those that the tokenizer added are set apart.
fn shown(text: &Text, at: usize) -> String {
    let piece = &text.pieces[at];
    let added = |at: usize| text.pieces[at].len() > 2 && text.pieces[at].starts_with(['<', '[']);
    let apart = at > 0 && (added(at) || added(at - 1)) && !piece.starts_with(' ');
    if apart { format!(" {piece}") } else { piece.clone() }
}

/// The share of each mark, by each method.
pub(super) fn marks(analysis: &InputAttribution) -> Option<Figure> {
    let all = shares(analysis);
    let mut marks: Vec<String> = all.iter().map(|(mark, ..)| mark.clone()).collect();
    marks.dedup();
    if marks.is_empty() {
        return None;
    }
    let group = |method: &Method| {
        let of = |mark: &String| {
            let found = all.iter().find(|(other, of, _)| other == mark && of == method);
            found.map_or(f64::NAN, |(.., moments)| moments.mean())
        };
        (method.title().to_owned(), marks.iter().map(of).collect::<Vec<f64>>())
    };
    let known = |method: &&Method| all.iter().any(|(_, of, _)| of == *method);
    let mut groups: Vec<(String, Vec<f64>)> =
        analysis.config.methods.iter().filter(known).map(group).collect();
    groups.push((
        "all tokens alike".to_owned(),
        marks.iter().map(|mark| share_of_tokens(analysis, mark)).collect(),
    ));
    let most = groups.iter().flat_map(|(_, shares)| shares).copied().fold(0.0, f64::max);
    let bars = Bars {
        category_axis: "part of the text".to_owned(),
        categories: marks.clone(),
        y: Axis::new("share of all magnitudes", None).range(0.0, (1.15 * most).clamp(0.05, 1.0)),
        groups,
        stacked: false,
    };
    Some(Figure::single(
        "marks",
        "Share of the parts that the data name",
        &format!(
            "Sum of the magnitudes of a part's tokens as a share of that of all tokens of the text, mean over the texts that have the part, of {}; \
             and its share of the tokens.",
            analysis.totals.texts
        ),
        Plot::Bars(bars),
    ))
}
