//! Texts with a colour behind every token, on cards.

mod flow;
#[cfg(test)]
mod tests;

use fmrai_core::report::figure::{Card, Passage, Passages, Token};

use self::flow::{Piece, flow, letters, lines};
use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::colour_scale::ColourScale;
use crate::guides::legend::Block;
use crate::limits::LARGEST_PICTURE;
use crate::palette;
use crate::scene::{Align, Rect, Rgb, Scene, Size, Turn, Type, Xy};
use crate::style::{CARD, DETAIL};
use crate::text::{Fonts, LEADING};
use crate::wording::counted;

/// Width of all cards on a picture of their own, from the width that other plots have there.
const ALONE: (f64, f64) = (600.0, 800.0);
/// Narrowest place that holds cards.
const NARROWEST: f64 = 240.0;
/// Place from which two cards stand abreast.
const TWO_FROM: f64 = 640.0;
/// Widest card: longer lines are hard to follow.
const WIDEST: f64 = 560.0;
/// Height of a plot without cards.
const NOTHING: f64 = 80.0;
/// Distance of cards.
const GAP: f64 = 14.0;
/// Room between the frame of a card and what it holds.
const PADDING: f64 = 10.0;
/// Above and below the line under a heading.
const RULE: (f64, f64) = (5.0, 8.0);
/// Distance of baselines of a passage, and height of the colour behind a token.
const LINE: f64 = 17.0;
const BOX: f64 = 14.5;
/// Where a baseline lies below the top of the colour.
const BASELINE: f64 = 11.0;
/// Distance of passages beyond that of their lines.
const BETWEEN: f64 = 5.0;
/// Widest label, as a length and as a share of the card; its distance to the text.
const LABEL: (f64, f64) = (64.0, 0.2);
const LABEL_GAP: f64 = 6.0;
/// Lines of the longest title, of the longest detail, and of all details of a card.
const TITLE_LINES: usize = 2;
const DETAIL_LINES: usize = 2;
const DETAILS: usize = 6;
/// Width of the line under the marked token.
const UNDERLINE: f64 = 1.5;

pub(crate) struct PassagesPlot<'a> {
    plot: &'a Passages,
    fonts: &'a Fonts,
    scale: ColourScale<'a>,
    /// Width of the widest label.
    labels: f64,
}

/// A card with its lines.
struct Laid {
    title: Vec<String>,
    details: Vec<String>,
    passages: Vec<Vec<Piece>>,
    height: f64,
}

impl<'a> PassagesPlot<'a> {
    pub(crate) fn new(plot: &'a Passages, fonts: &'a Fonts) -> Self {
        let colours = if plot.diverging { palette::behind_text_diverging } else { palette::behind_text };
        let scale = ColourScale::new(&plot.scale, plot.diverging, colours, values(plot));
        let labels = plot.cards.iter().flat_map(|card| &card.passages);
        let labels = labels.map(|p| fonts.width(&fonts.shorten(&p.label, DETAIL, LABEL.0), DETAIL));
        let labels = labels.fold(0.0, f64::max).ceil();
        Self { plot, fonts, scale, labels }
    }

    /// Cards abreast, and the width of each.
    fn columns(&self, width: f64) -> (usize, f64) {
        let columns = if self.plot.cards.len() > 1 && width >= TWO_FROM { 2 } else { 1 };
        let each = (width - GAP * (columns as f64 - 1.0)) / columns as f64;
        (columns, each.min(WIDEST).floor())
    }

    /// Where labels end and texts begin, from the left side of a card.
    fn label_ends(&self, card: f64) -> (f64, f64) {
        if self.labels <= 0.0 {
            return (PADDING, PADDING);
        }
        let end = PADDING + self.labels.min(LABEL.0).min((LABEL.1 * card).floor());
        (end, end + LABEL_GAP)
    }

    fn lay(&self, card: &Card, width: f64) -> Laid {
        let inside = width - 2.0 * PADDING;
        let title = self.fonts.wrap(&card.title, CARD, inside, TITLE_LINES);
        let shown = card.details.iter().take(DETAILS + 1);
        let mut details: Vec<String> =
            shown.flat_map(|detail| self.fonts.wrap(detail, DETAIL, inside, DETAIL_LINES)).collect();
        if details.len() > DETAILS {
            details.truncate(DETAILS);
            if let Some(last) = details.last_mut() {
                *last = self.fonts.shorten(&format!("{last} …"), DETAIL, inside);
            }
        }
        let room = width - PADDING - self.label_ends(width).1;
        let passages: Vec<Vec<Piece>> =
            card.passages.iter().map(|passage| flow(self.fonts, passage, room)).collect();
        let lines: usize = passages.iter().map(|pieces| lines(pieces).max(1)).sum();
        let text = lines.max(1) as f64 * LINE + passages.len().saturating_sub(1) as f64 * BETWEEN;
        let height = heading(&title, &details) + text + 2.0 * PADDING - (LINE - BOX);
        Laid { title, details, passages, height: height.ceil() }
    }

    /// Height of all cards in a place of that width.
    fn needs(&self, width: f64) -> f64 {
        let (columns, each) = self.columns(width);
        let rows = self.plot.cards.chunks(columns);
        let row = |cards: &[Card]| cards.iter().map(|c| self.lay(c, each).height).fold(0.0, f64::max) + GAP;
        (rows.map(row).sum::<f64>() - GAP).max(NOTHING)
    }

    fn paint_card(&self, scene: &mut Scene, card: &Card, laid: &Laid, rect: Rect) {
        let soft = Type { rgb: palette::REFERENCE, ..DETAIL };
        scene.frame(rect, 0.75, palette::NEUTRAL);
        let left = rect.x + PADDING;
        let mut y = rect.y + PADDING;
        for (texts, letters) in [(&laid.title, CARD), (&laid.details, DETAIL)] {
            for text in texts {
                scene.text(text, (left, y + letters.size * 0.9), letters, Align::Start, Turn::Level);
                y += letters.size * LEADING;
            }
        }
        if y > rect.y + PADDING {
            y = (y + RULE.0).ceil();
            scene.line(vec![(left, y + 0.5), (rect.right() - PADDING, y + 0.5)], 1.0, palette::GRID);
        }
        y = rect.y + PADDING + heading(&laid.title, &laid.details);
        let (label_end, text) = self.label_ends(rect.w);
        if card.passages.is_empty() {
            scene.text("no passages", (left, y + BASELINE), soft, Align::Start, Turn::Level);
        }
        for (passage, pieces) in card.passages.iter().zip(&laid.passages) {
            let label = self.fonts.shorten(&passage.label, DETAIL, label_end - PADDING);
            scene.text(&label, (rect.x + label_end, y + BASELINE), DETAIL, Align::End, Turn::Level);
            let corner = (rect.x + text, y);
            if pieces.is_empty() {
                scene.text("no tokens", (corner.0, y + BASELINE), soft, Align::Start, Turn::Level);
            }
            for piece in pieces {
                self.paint_piece(scene, passage, piece, corner);
            }
            y += lines(pieces).max(1) as f64 * LINE + BETWEEN;
        }
    }

    fn paint_piece(&self, scene: &mut Scene, passage: &Passage, piece: &Piece, corner: Xy) {
        let marked = piece.token.is_some() && piece.token == passage.marked;
        let rect = place(piece, corner);
        let token: Option<&Token> = piece.token.and_then(|i| passage.tokens.get(i));
        let fill: Option<Rgb> =
            token.filter(|t| !t.value.is_nan()).map(|token| self.scale.colour(token.value));
        let rgb = fill.map_or(palette::REFERENCE, palette::letters_on);
        // White needs no ink.
        if let Some(fill) = fill.filter(|fill| *fill != palette::PAPER) {
            scene.rect(rect, fill);
        }
        let at = (corner.0 + piece.start, rect.y + BASELINE);
        scene.text(&piece.text, at, Type { rgb, ..letters(marked) }, Align::Start, Turn::Level);
        if marked {
            let y = rect.bottom() - UNDERLINE / 2.0;
            let width = self.fonts.width(&piece.text, letters(true));
            let (from, to) =
                if width > 0.0 { (at.0, (at.0 + width).min(rect.right())) } else { (rect.x, rect.right()) };
            scene.line(vec![(from, y), (to, y)], UNDERLINE, rgb);
        }
    }
}

/// The numbers of all tokens.
fn values(plot: &Passages) -> impl Iterator<Item = f64> {
    let passages = plot.cards.iter().flat_map(|card| &card.passages);
    passages.flat_map(|passage| &passage.tokens).map(|token| token.value)
}

/// Height of title, details and the line below them.
fn heading(title: &[String], details: &[String]) -> f64 {
    if title.is_empty() && details.is_empty() {
        return 0.0;
    }
    let texts = title.len() as f64 * CARD.size * LEADING + details.len() as f64 * DETAIL.size * LEADING;
    (texts + RULE.0).ceil() + RULE.1
}

/// The colour behind a piece of the passage whose corner is given.
fn place(piece: &Piece, corner: Xy) -> Rect {
    let y = corner.1 + piece.line as f64 * LINE;
    Rect::new(corner.0 + piece.left, y, piece.right - piece.left, BOX)
}

impl Panelled for PassagesPlot<'_> {
    fn area(&self, target: Size) -> Size {
        let alone = if self.plot.cards.len() > 1 { ALONE.1 } else { WIDEST };
        let w = if target.w >= ALONE.0 { alone } else { target.w.max(NARROWEST) };
        Size { w, h: self.needs(w) }
    }

    fn side(&self) -> Vec<Block> {
        self.scale.bar(values(self.plot)).map(Block::Ramp).into_iter().collect()
    }

    fn notes(&self) -> Vec<String> {
        let missing = values(self.plot).filter(|v| v.is_nan()).count();
        let told = (missing > 0).then(|| format!("the number of {} (grey)", counted(missing, "token")));
        told.into_iter().collect()
    }

    fn fit(&self, _own: Size, place: Size) -> Size {
        Size { w: place.w, h: self.needs(place.w) }
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        if self.plot.cards.is_empty() {
            paint_nothing(scene, area);
        }
        if area.w * area.h > LARGEST_PICTURE {
            // The picture is refused, and the shapes of so many cards would fill the memory before.
            return;
        }
        let (columns, each) = self.columns(area.w);
        let mut y = area.y;
        for cards in self.plot.cards.chunks(columns) {
            let row: Vec<Laid> = cards.iter().map(|card| self.lay(card, each)).collect();
            let height = row.iter().map(|laid| laid.height).fold(0.0, f64::max);
            for (i, (card, laid)) in cards.iter().zip(&row).enumerate() {
                let x = area.x + i as f64 * (each + GAP);
                self.paint_card(scene, card, laid, Rect::new(x, y, each, height));
            }
            y += height + GAP;
        }
    }
}
