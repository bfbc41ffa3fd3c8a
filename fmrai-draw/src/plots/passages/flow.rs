//! The tokens of a passage, broken into lines.
//!
//! Lengths are multiples of a quarter of a point, which floats hold exactly and pictures draw exactly: what touches here
//! touches on paper.

use fmrai_core::report::figure::{Passage, Token};
use unicode_segmentation::UnicodeSegmentation;

use crate::scene::{Type, Weight};
use crate::style::TOKEN;
use crate::text::{Fonts, partition, visible};

/// Lines of the longest passage that is shown whole.
pub(crate) const MOST_LINES: usize = 4;
/// Room between the letters and the ends of a line.
const EDGE: f64 = 2.0;
/// Width of a token without any letter, so that its colour is seen.
const NARROWEST: f64 = 2.0;
/// Longest token that is measured, in characters; four lines hold less.
const LONGEST_TOKEN: usize = 2000;
const ELLIPSIS: &str = "…";

/// A token on a line, or the part of it that the line holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// Index of the token; `None` for the sign that the text goes on.
    pub(crate) token: Option<usize>,
    /// Its letters, without spaces around them.
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Edges of its background, from the left end of the line.
    pub(crate) left: f64,
    pub(crate) right: f64,
    /// Where its letters begin.
    pub(crate) start: f64,
}

/// The letters of a token.
pub(crate) fn letters(marked: bool) -> Type {
    Type { weight: if marked { Weight::Bold } else { Weight::Regular }, ..TOKEN }
}

/// The pieces of a passage on lines of `width`, from left to right and from top to bottom.
///
/// A word is kept on one line where a line can hold it. Of a text that needs more than [`MOST_LINES`], as much as fits
/// around the marked token is shown (at the beginning if none is marked), less of the side that is longer.
pub(crate) fn flow(fonts: &Fonts, passage: &Passage, width: f64) -> Vec<Piece> {
    let n = passage.tokens.len();
    let anchor = passage.marked.unwrap_or(0).min(n.saturating_sub(1));
    // No line holds more tokens than this, so those farther away need not be measured.
    let most = (MOST_LINES as f64 * width / NARROWEST) as usize + 1;
    let first = anchor.saturating_sub(most);
    let near = passage.tokens.iter().enumerate().skip(first).take(anchor - first + most);
    let room = (width * 4.0).floor() / 4.0 - 2.0 * EDGE;
    let items: Vec<Item> =
        near.map(|(i, token)| Item::token(fonts, token, i, passage.marked == Some(i), room)).collect();
    let ellipsis = Item::ellipsis(fonts);

    let windows = windows(&items, anchor - first);
    let pieces = |count: usize| {
        let Some(&(from, to)) = count.checked_sub(1).and_then(|last| windows.get(last)) else {
            return Vec::new();
        };
        let cut_before = passage.cut_before || first + from > 0;
        let cut_after = passage.cut_after || first + to < n;
        let shown = items.get(from..to).unwrap_or_default().iter();
        let all =
            cut_before.then_some(&ellipsis).into_iter().chain(shown).chain(cut_after.then_some(&ellipsis));
        broken(&all.collect::<Vec<_>>(), room)
    };
    let fits = |count: usize| lines(&pieces(count)) <= MOST_LINES;
    let count =
        if fits(windows.len()) { windows.len() } else { partition(windows.len(), |i| fits(i + 1)).max(1) };
    let mut pieces = pieces(count);
    if lines(&pieces) > MOST_LINES {
        pieces.retain(|piece| piece.line < MOST_LINES);
        if let Some(last) = pieces.last_mut() {
            let letters = letters(last.token.is_some() && last.token == passage.marked);
            last.text = fonts.shorten(&format!("{}{ELLIPSIS}", last.text), letters, last.right - last.start);
        }
    }
    pieces
}

/// Number of lines that the pieces fill.
pub(crate) fn lines(pieces: &[Piece]) -> usize {
    pieces.last().map_or(0, |piece| piece.line + 1)
}

/// The ranges of items around `anchor`, each of one more than the one before: that nearest to it on paper.
fn windows(items: &[Item], anchor: usize) -> Vec<(usize, usize)> {
    let width = |i: usize| items.get(i).map(|item| item.width);
    let (mut from, mut to) = (anchor, (anchor + 1).min(items.len()));
    let (mut left, mut right) = (0.0, 0.0);
    let mut windows = Vec::with_capacity(items.len());
    while windows.len() < items.len() {
        windows.push((from, to));
        let before = from.checked_sub(1).and_then(width).map(|w| left + w);
        let after = width(to).map(|w| right + w);
        match (before, after) {
            (Some(b), a) if a.is_none_or(|a| b <= a) => (from, left) = (from - 1, b),
            (_, Some(a)) => (to, right) = (to + 1, a),
            _ => break,
        }
    }
    windows
}

/// A token that has been measured.
struct Item {
    token: Option<usize>,
    /// Its letters without spaces around them, and their width: one part, or several where no line holds all of it.
    parts: Vec<(String, f64)>,
    /// Width of the spaces before it.
    lead: f64,
    /// Width with the spaces around it.
    width: f64,
    /// True if a word begins here.
    opens: bool,
    /// True if a word ends here.
    closes: bool,
}

impl Item {
    fn token(fonts: &Fonts, token: &Token, index: usize, marked: bool, room: f64) -> Self {
        let letters = letters(marked);
        let raw: String = token.text.chars().take(LONGEST_TOKEN).collect();
        let whole = visible(fonts, &raw);
        let text = whole.trim();
        let measured = |text: &str| up(fonts.width(text, letters));
        // White space alone is all behind, so that the first of a line keeps its width.
        let leading = if text.is_empty() { 0 } else { whole.len() - whole.trim_start().len() };
        let (before, rest) = whole.split_at(leading);
        let lead = measured(before);
        let behind = measured(rest.get(text.len()..).unwrap_or_default());
        // A viewer draws several spaces as one, unless they are of the kind that does not break.
        let text = text.replace("  ", "\u{a0}\u{a0}");
        let mut width = measured(&text);
        let parts = if width > room {
            parts(&text, |text| fonts.width(text, letters), room)
        } else {
            vec![(text, width)]
        };
        width = (width + behind).max(NARROWEST);
        Self {
            token: Some(index),
            parts,
            lead,
            width: lead + width,
            opens: raw.starts_with(char::is_whitespace),
            closes: raw.ends_with(char::is_whitespace),
        }
    }

    fn ellipsis(fonts: &Fonts) -> Self {
        let width = up(fonts.width(ELLIPSIS, letters(false)));
        let parts = vec![(ELLIPSIS.to_owned(), width)];
        Self { token: None, parts, lead: 0.0, width, opens: false, closes: false }
    }
}

/// A text in parts that are no wider than `room`, with their widths; enough of them to overflow the lines.
fn parts(text: &str, exact: impl Fn(&str) -> f64, room: f64) -> Vec<(String, f64)> {
    let mut parts: Vec<(String, f64)> = Vec::new();
    for unit in units(text, |grapheme| exact(grapheme) > room) {
        let width = exact(unit);
        if let Some((part, filled)) = parts.last_mut()
            && *filled + width <= room
        {
            part.push_str(unit);
            *filled += width;
        } else if parts.len() > MOST_LINES {
            break;
        } else {
            parts.push((unit.to_owned(), width));
        }
    }
    parts.into_iter().map(|(part, width)| (part, up(width))).collect()
}

/// The length, rounded up to quarters of a point.
fn up(length: f64) -> f64 {
    (length * 4.0).ceil() / 4.0
}

/// The items on lines that have `room` for letters.
fn broken(items: &[&Item], room: f64) -> Vec<Piece> {
    let end = EDGE + room;
    let mut page = Page { end, pen: EDGE, line: 0, empty: true, pieces: Vec::with_capacity(items.len()) };
    for word in items.chunk_by(|a, b| !a.closes && !b.opens) {
        let whole: f64 = word.iter().map(|item| item.width).sum();
        let alone = whole - word.first().map_or(0.0, |item| item.lead);
        if page.pen + whole > end && alone <= room {
            page.feed();
        }
        for item in word {
            page.put(item);
        }
    }
    page.feed();
    page.pieces
}

/// Lines that are being filled.
struct Page {
    /// Where the letters of a line have to end.
    end: f64,
    pen: f64,
    line: usize,
    /// True while the line holds nothing.
    empty: bool,
    pieces: Vec<Piece>,
}

impl Page {
    /// Ends a line that holds something.
    fn feed(&mut self) {
        if self.empty {
            return;
        }
        if let Some(last) = self.pieces.last_mut() {
            last.right += EDGE;
        }
        (self.pen, self.line, self.empty) = (EDGE, self.line + 1, true);
    }

    fn put(&mut self, item: &Item) {
        match item.parts.as_slice() {
            [(text, _)] => {
                if self.pen + item.width > self.end {
                    self.feed();
                }
                let lead = if self.empty { 0.0 } else { item.lead };
                self.push(item.token, text, lead, item.width - item.lead);
            }
            parts => {
                for (text, width) in parts {
                    self.feed();
                    self.push(item.token, text, 0.0, *width);
                }
            }
        }
    }

    fn push(&mut self, token: Option<usize>, text: &str, lead: f64, width: f64) {
        let left = if self.empty { 0.0 } else { self.pen };
        let start = self.pen + lead;
        self.pen = (start + width).min(self.end);
        self.empty = false;
        self.pieces.push(Piece {
            token,
            text: text.to_owned(),
            line: self.line,
            left,
            right: self.pen,
            start,
        });
    }
}

/// What a reader takes for letters; those that are `too_wide` for a line in their parts.
fn units(text: &str, too_wide: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    text.graphemes(true).flat_map(move |grapheme| {
        let parts = if too_wide(grapheme) { grapheme.chars().count() } else { 1 };
        let mut rest = grapheme;
        (0..parts).map(move |_| {
            let end = if parts == 1 { rest.len() } else { rest.chars().next().map_or(0, char::len_utf8) };
            let (part, after) = rest.split_at(end);
            rest = after;
            part
        })
    })
}
