//! A text with a number for every token.

use fmrai_core::report::figure::{Axis, Card, Figure, Passage, Passages, Plot, Token};

pub(crate) fn figure() -> Figure {
    let token = |(text, value): (&str, f64)| Token { text: text.to_owned(), value };
    let tokens =
        [("The", 0.0), (" rules", 0.1), (" of", 0.0), (" the", 0.0), (" game", 1.0), (" were", 0.05)];
    let passage = Passage {
        label: "4.54".to_owned(),
        tokens: tokens.map(token).to_vec(),
        marked: Some(4),
        cut_before: false,
        cut_after: true,
    };
    let card = Card {
        title: "layer 0 neuron 605".to_owned(),
        details: vec!["active at 0.7 % of positions".to_owned()],
        passages: vec![passage],
    };
    let scale = Axis::new("share of the largest", None).range(0.0, 1.0);
    let plot = Passages { scale, diverging: false, cards: vec![card] };
    Figure::single("cards", "Memory cards", "What makes a neuron active.", Plot::Passages(plot))
}
