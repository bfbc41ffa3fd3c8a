//! Texts whose tokens have numbers.

use serde::{Deserialize, Serialize};

use super::axis::Axis;
use crate::json_float;

/// Texts with a number for every token, shown as colour behind the token, on cards: what makes a neuron active, what a
/// prediction is attributed to.
///
/// White is the least number of the scale, or zero if it is diverging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passages {
    /// What the numbers are. Range and unit are shared by all cards.
    pub scale: Axis,
    /// True if the numbers lie on both sides of a meaningful zero.
    pub diverging: bool,
    /// The cards, in the order in which they are read.
    pub cards: Vec<Card>,
}

/// Passages that belong together, e.g. those that one neuron answers to most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Its heading, e.g. `layer 3, neuron 1040`.
    pub title: String,
    /// Lines under the heading, e.g. the tokens that the neuron's value promotes.
    pub details: Vec<String>,
    /// The texts, the most important first.
    pub passages: Vec<Passage>,
}

/// A text on a [`Card`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Short text before it, e.g. the coefficient; empty for none.
    pub label: String,
    /// Its tokens in their order.
    pub tokens: Vec<Token>,
    /// Index of the token that the card is about, which stays in view however long the text is.
    pub marked: Option<usize>,
    /// True if the text begins before the first token given here.
    pub cut_before: bool,
    /// True if the text goes on after the last token given here.
    pub cut_after: bool,
}

/// A token of a [`Passage`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// What it adds to the text, with its own leading space (` dog`); without one it continues the word before it.
    pub text: String,
    /// Its number; NaN for a token that has none.
    #[serde(with = "json_float")]
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Plot;

    #[test]
    fn passages_come_back_from_json_with_every_number() {
        let numbers = [0.1, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let tokens = numbers.map(|value| Token { text: " dog".to_owned(), value });
        let passage = Passage {
            label: "4.21".to_owned(),
            tokens: tokens.to_vec(),
            marked: Some(1),
            cut_before: true,
            cut_after: false,
        };
        let card = Card { title: "layer 3".to_owned(), details: Vec::new(), passages: vec![passage] };
        let plot = Plot::Passages(Passages {
            scale: Axis::new("activation", None),
            diverging: true,
            cards: vec![card],
        });
        let text = serde_json::to_string(&plot).unwrap();
        assert!(text.starts_with(r#"{"kind":"passages","#), "{text}");
        let Plot::Passages(read) = serde_json::from_str(&text).unwrap() else { panic!("another kind") };
        let passage = &read.cards[0].passages[0];
        assert_eq!((passage.marked, passage.cut_before, passage.cut_after), (Some(1), true, false));
        for (token, value) in passage.tokens.iter().zip(numbers) {
            assert!(token.value.to_bits() == value.to_bits() || (token.value.is_nan() && value.is_nan()));
        }
    }
}
