//! Passages of every shape, laid out and painted.

use proptest::prelude::*;

use super::flow::MOST_LINES;
use super::*;
use crate::scene::Shape;
use fmrai_core::report::figure::Axis;

fn fonts() -> &'static Fonts {
    Fonts::embedded().unwrap()
}

fn passage(texts: &[&str], marked: Option<usize>) -> Passage {
    let token = |(i, text): (usize, &&str)| Token { text: (*text).to_owned(), value: i as f64 };
    let tokens = texts.iter().enumerate().map(token).collect();
    Passage { label: "4.21".to_owned(), tokens, marked, cut_before: false, cut_after: false }
}

fn plot(passages: Vec<Passage>) -> Passages {
    let card = Card { title: "layer 3, neuron 1040".to_owned(), details: Vec::new(), passages };
    Passages { scale: Axis::new("activation", None), diverging: false, cards: vec![card] }
}

/// The texts of the pieces on each line.
fn read(pieces: &[Piece]) -> Vec<Vec<&str>> {
    pieces
        .chunk_by(|a, b| a.line == b.line)
        .map(|line| line.iter().map(|piece| piece.text.as_str()).collect())
        .collect()
}

fn painted(plot: &Passages, width: f64) -> Vec<Shape> {
    let mut scene = Scene::default();
    let drawn = PassagesPlot::new(plot, fonts());
    drawn.paint(&mut scene, Rect::new(0.0, 0.0, width, drawn.needs(width)));
    scene.shapes
}

fn written(shapes: &[Shape]) -> Vec<&str> {
    shapes
        .iter()
        .filter_map(|shape| if let Shape::Text { text, .. } = shape { Some(text.as_str()) } else { None })
        .collect()
}

#[test]
fn a_word_of_several_tokens_stays_on_one_line() {
    let text = passage(&["The", " dog", " play", "ing", " out", "side"], None);
    let width = |text: &str| fonts().width(text, letters(false)) + 6.0;
    assert_eq!(
        read(&flow(fonts(), &text, width("The dog play"))),
        [vec!["The", "dog"], vec!["play", "ing"], vec!["out", "side"]]
    );
    assert_eq!(read(&flow(fonts(), &text, 400.0)), [["The", "dog", "play", "ing", "out", "side"]]);
}

#[test]
fn a_token_wider_than_the_line_is_broken_and_keeps_its_letters() {
    let long = "x".repeat(70);
    let text = passage(&["a", &long, " b"], None);
    let pieces = flow(fonts(), &text, 200.0);
    let of_long: String = pieces.iter().filter(|p| p.token == Some(1)).map(|p| p.text.as_str()).collect();
    assert_eq!(of_long, long);
    assert_eq!(lines(&pieces), 3);
    assert_eq!(pieces.last().map(|p| (p.text.as_str(), p.line)), Some(("b", 2)));
}

#[test]
fn a_long_text_is_cut_at_the_side_that_is_far_from_the_mark() {
    let texts: Vec<String> = (0..300).map(|i| format!(" t{i:03}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (marked, before, after) in
        [(None, false, true), (Some(0), false, true), (Some(150), true, true), (Some(299), true, false)]
    {
        let pieces = flow(fonts(), &passage(&texts, marked), 300.0);
        assert_eq!(lines(&pieces), MOST_LINES);
        assert!(marked.is_none() || pieces.iter().any(|p| p.token == marked), "{marked:?} is out of view");
        assert_eq!(pieces.first().is_some_and(|p| p.token.is_none()), before);
        assert_eq!(pieces.last().is_some_and(|p| p.token.is_none()), after);
        let shown: Vec<usize> = pieces.iter().filter_map(|p| p.token).collect();
        assert!(shown.windows(2).all(|w| w[0] + 1 == w[1]), "{shown:?}");
        assert!(shown.len() > 30, "only {} tokens for {marked:?}", shown.len());
    }
}

#[test]
fn a_text_that_goes_on_says_so_at_the_right_end() {
    let whole = passage(&[" a", " b"], Some(1));
    assert_eq!(read(&flow(fonts(), &whole, 300.0)), [["a", "b"]]);
    let before = Passage { cut_before: true, ..whole.clone() };
    assert_eq!(read(&flow(fonts(), &before, 300.0)), [["…", "a", "b"]]);
    let after = Passage { cut_after: true, ..whole };
    assert_eq!(read(&flow(fonts(), &after, 300.0)), [["a", "b", "…"]]);
}

#[test]
fn an_endless_marked_token_ends_in_an_ellipsis() {
    let pieces = flow(fonts(), &passage(&["a", &"ö".repeat(100_000), "b"], Some(1)), 250.0);
    assert_eq!(lines(&pieces), MOST_LINES);
    assert!(pieces.last().is_some_and(|p| p.token == Some(1) && p.text.ends_with('…')));
}

#[test]
fn line_breaks_and_tabs_are_signs_and_other_controls_are_spaces() {
    let pieces = flow(fonts(), &passage(&["a", "\n\n", "b", "\t", "\u{7}", "\r\n", "c  d"], None), 400.0);
    assert_eq!(read(&pieces), [["a", "¶¶", "b", "→", "", "¶", "c\u{a0}\u{a0}d"]]);
    assert!(pieces.iter().all(|p| p.right - p.left >= 2.0), "a token without room: {pieces:?}");
}

#[test]
fn only_a_token_with_a_number_has_a_colour_and_only_the_marked_one_a_line_under_it() {
    let mut text = passage(&["zero", " one", " two", " none"], Some(2));
    text.tokens[3].value = f64::NAN;
    let shapes = painted(&plot(vec![text]), 400.0);
    let fills: Vec<Rgb> = shapes
        .iter()
        .filter_map(|s| if let Shape::Rect { fill, .. } = s { Some(fill.rgb) } else { None })
        .collect();
    assert_eq!(fills, [palette::behind_text(0.5), palette::behind_text(1.0)]);
    let letters = |wanted: &str| {
        shapes.iter().find_map(|s| match s {
            Shape::Text { text, letters, .. } if text == wanted => Some(*letters),
            _ => None,
        })
    };
    assert_eq!(letters("none"), Some(Type { rgb: palette::REFERENCE, ..flow::letters(false) }));
    assert_eq!(letters("two"), Some(flow::letters(true)));
    let thick = |s: &&Shape| matches!(s, Shape::Line { width, .. } if *width == UNDERLINE);
    assert_eq!(shapes.iter().filter(thick).count(), 1);
}

#[test]
fn what_is_empty_says_so() {
    let none = Passages { cards: Vec::new(), ..plot(Vec::new()) };
    assert_eq!(written(&painted(&none, 400.0)), ["no data"]);
    assert_eq!(written(&painted(&plot(Vec::new()), 400.0)), ["layer 3, neuron 1040", "no passages"]);
    let empty = plot(vec![passage(&[], None)]);
    assert_eq!(written(&painted(&empty, 400.0)), ["layer 3, neuron 1040", "4.21", "no tokens"]);
}

#[test]
fn details_are_limited_and_say_so() {
    let mut one = plot(vec![passage(&["a"], None)]);
    one.cards[0].details = (0..100).map(|i| format!("detail {i} {}", "word ".repeat(100))).collect();
    let shapes = painted(&one, 400.0);
    let details: Vec<&str> = written(&shapes).into_iter().filter(|t| t.contains("word")).collect();
    assert_eq!(details.len(), DETAILS);
    assert!(details.last().is_some_and(|last| last.ends_with('…')));
}

#[test]
fn cards_stand_in_two_columns_where_there_is_room_and_rows_are_aligned() {
    let mut many = plot(vec![passage(&["a"], None)]);
    many.cards = (0..3).map(|i| Card { title: format!("card {i}"), ..many.cards[0].clone() }).collect();
    many.cards[1].details = vec!["longer".to_owned()];
    let titles = |width: f64| -> Vec<Xy> {
        let place = |s| match s {
            Shape::Text { text, at, .. } if text.starts_with("card") => Some(at),
            _ => None,
        };
        painted(&many, width).into_iter().filter_map(place).collect()
    };
    let wide = titles(800.0);
    assert!(wide[0].1 == wide[1].1 && wide[0].0 < wide[1].0, "{wide:?}");
    assert!(wide[2].0 == wide[0].0 && wide[2].1 > wide[1].1, "{wide:?}");
    assert!(titles(400.0).windows(2).all(|w| w[0].0 == w[1].0 && w[0].1 < w[1].1));
}

fn any_token() -> impl Strategy<Value = Token> {
    let text = prop_oneof![
        6 => "[ ]?[a-zA-Z]{1,9}",
        2 => "\\PC{0,12}",
        1 => "[\u{0}-\u{20}]{0,3}",
        1 => "[一-三אבع🎉\u{301}\u{200d}]{0,6}",
        1 => (1..600_usize).prop_map(|n| "W".repeat(n)),
        1 => (1..60_usize).prop_map(|n| format!("e{}", "\u{20e0}".repeat(n))),
    ];
    (text, prop_oneof![8 => -3.0..3.0_f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)])
        .prop_map(|(text, value)| Token { text, value })
}

fn any_passage() -> impl Strategy<Value = Passage> {
    let tokens = prop::collection::vec(any_token(), 0..90);
    let mark = prop::option::of(any::<prop::sample::Index>());
    (tokens, mark, "\\PC{0,14}", any::<bool>(), any::<bool>()).prop_map(
        |(tokens, mark, label, cut_before, cut_after)| {
            let marked = mark.filter(|_| !tokens.is_empty()).map(|mark| mark.index(tokens.len()));
            Passage { label, tokens, marked, cut_before, cut_after }
        },
    )
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(64))]

    /// Colours of neighbours touch, none overlaps another, all lie on the card, and the marked token is among them.
    #[test]
    fn tokens_never_overlap_and_stay_on_their_card(
        passages in prop::collection::vec(any_passage(), 0..4),
        title in "\\PC{0,40}",
        width in 240.0..1200.0_f64,
    ) {
        let mut plot = plot(passages);
        plot.cards[0].title = title;
        let drawn = PassagesPlot::new(&plot, fonts());
        let (_, each) = drawn.columns(width);
        let laid = drawn.lay(&plot.cards[0], each);
        let card = Rect::new(0.0, 0.0, each, laid.height);
        let mut y = PADDING + heading(&laid.title, &laid.details);
        let mut all: Vec<Rect> = Vec::new();
        for (passage, pieces) in plot.cards[0].passages.iter().zip(&laid.passages) {
            prop_assert!(lines(pieces) <= MOST_LINES);
            prop_assert_eq!(pieces.is_empty(), passage.tokens.is_empty());
            if let Some(marked) = passage.marked {
                prop_assert!(pieces.iter().any(|p| p.token == Some(marked)));
            }
            for pair in pieces.windows(2) {
                let next = if pair[0].line == pair[1].line { pair[0].right } else { 0.0 };
                prop_assert_eq!(pair[1].left, next);
                prop_assert!(pair[1].line - pair[0].line <= 1);
            }
            for piece in pieces {
                let rect = place(piece, (drawn.label_ends(each).1, y));
                prop_assert!(card.contains(&rect), "{rect:?} outside {card:?}");
                prop_assert!(piece.start >= piece.left);
                let text_end = piece.start + fonts().width(&piece.text, letters(piece.token == passage.marked));
                prop_assert!(text_end <= piece.right + 1e-3, "{piece:?} ends at {text_end}");
                all.push(rect);
            }
            y += lines(pieces).max(1) as f64 * LINE + BETWEEN;
        }
        for (i, a) in all.iter().enumerate() {
            prop_assert!(all[..i].iter().all(|b| !a.overlaps(b)), "{a:?} overlaps another");
        }
    }

    /// A passage that is not cut loses no letter.
    #[test]
    fn a_short_passage_is_shown_whole(tokens in prop::collection::vec("[ ]?[a-z]{0,9}", 0..30), width in 300.0..600.0_f64) {
        let texts: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let pieces = flow(fonts(), &passage(&texts, None), width);
        prop_assume!(pieces.last().is_none_or(|p| p.token.is_some()));
        let shown: String = pieces.iter().map(|p| p.text.as_str()).collect();
        prop_assert_eq!(shown, tokens.concat().replace(' ', ""));
    }
}
