//! Letters: the embedded font, how wide a text is, and how it is broken into lines.

use std::borrow::Cow;
use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, GlyphId, InvalidFont, PxScale, point};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

use super::scene::{Type, Weight};

/// What an SVG viewer may use: the embedded font, then others of the same widths.
pub(super) const FAMILY: &str = "Liberation Sans, Arimo, Arial, Helvetica, sans-serif";

/// Height of a capital letter, as a share of the type size.
pub(super) const CAPITAL: f64 = 0.688;
/// Distance of baselines, as a share of the type size.
pub(super) const LEADING: f64 = 1.32;

/// Longest text that is laid out, in characters; the rest is cut.
const LONGEST: usize = 4000;
/// Longest text that is shown in one line, in characters.
const LONGEST_LINE: usize = 250;
const ELLIPSIS: char = '…';

/// The embedded font in its weights.
pub(super) struct Fonts {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Fonts {
    /// The embedded font.
    pub(super) fn embedded() -> Result<&'static Self, InvalidFont> {
        static FONTS: LazyLock<Result<Fonts, InvalidFont>> = LazyLock::new(|| {
            Ok(Fonts {
                regular: FontRef::try_from_slice(include_bytes!(
                    "../../assets/fonts/LiberationSans-Regular.ttf"
                ))?,
                bold: FontRef::try_from_slice(include_bytes!("../../assets/fonts/LiberationSans-Bold.ttf"))?,
            })
        });
        FONTS.as_ref().map_err(|_| InvalidFont)
    }

    pub(super) fn face(&self, weight: Weight) -> &FontRef<'static> {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// True if the font has the character in all weights.
    pub(super) fn has(&self, c: char) -> bool {
        [&self.regular, &self.bold].into_iter().all(|face| face.glyph_id(c) != GlyphId(0))
    }

    /// The glyphs of `text` on a baseline that starts at the origin, and where the baseline ends. `size` is that of
    /// an em, in the unit of the result.
    pub(super) fn glyphs(&self, text: &str, size: f64, weight: Weight) -> (Vec<Glyph>, f64) {
        let mut pen = Pen::new(self, size, weight);
        let scale = PxScale::from((size * f64::from(pen.face.height_unscaled()) / pen.em) as f32);
        let mut glyphs = Vec::with_capacity(text.len());
        for c in drawable(text).chars() {
            if let Some((id, at)) = pen.put(c) {
                glyphs.push(id.with_scale_and_position(scale, point(at as f32, 0.0)));
            }
        }
        (glyphs, pen.at)
    }

    /// Width of one line of text.
    pub(super) fn width(&self, text: &str, letters: Type) -> f64 {
        Pen::new(self, letters.size, letters.weight).write(text).at
    }

    /// Width of the widest of several lines.
    pub(super) fn widest<'t>(&self, lines: impl IntoIterator<Item = &'t str>, letters: Type) -> f64 {
        lines.into_iter().map(|line| self.width(line, letters)).fold(0.0, f64::max)
    }

    /// The text if it fits in `width`, else its beginning and an ellipsis.
    pub(super) fn shorten(&self, text: &str, letters: Type, width: f64) -> String {
        let whole = text;
        let text: String = whole.chars().take(LONGEST_LINE).collect();
        if text.len() == whole.len() && self.width(&text, letters) <= width {
            return text;
        }
        let ends: Vec<usize> = text.grapheme_indices(true).map(|(start, _)| start).collect();
        let cut = |n: usize| format!("{}{ELLIPSIS}", text[..ends[n]].trim_end());
        // `cut(n)` keeps n graphemes; the first that is too wide is one too long.
        match partition(ends.len(), |n| self.width(&cut(n), letters) <= width) {
            0 => String::new(),
            first => cut(first - 1),
        }
    }

    /// Breaks a text into lines no wider than `width`, at spaces where there are some, in at most `most` lines.
    pub(super) fn wrap(&self, text: &str, letters: Type, width: f64, most: usize) -> Vec<String> {
        let text: String = text.chars().take(LONGEST).collect();
        let mut lines: Vec<String> = Vec::new();
        let begin = Pen::new(self, letters.size, letters.weight);
        'text: for paragraph in text.lines() {
            let (mut line, mut pen) = (String::new(), begin);
            for word in paragraph.split_whitespace() {
                if lines.len() > most {
                    break 'text;
                }
                let space = if line.is_empty() { "" } else { " " };
                let longer = pen.write(space).write(word);
                if longer.at <= width {
                    line.push_str(space);
                    line.push_str(word);
                    pen = longer;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    pen = begin;
                }
                for grapheme in word.graphemes(true) {
                    if lines.len() > most {
                        break 'text;
                    }
                    let longer = pen.write(grapheme);
                    if !line.is_empty() && longer.at > width {
                        lines.push(std::mem::take(&mut line));
                        pen = begin.write(grapheme);
                    } else {
                        pen = longer;
                    }
                    line.push_str(grapheme);
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                *last = self.shorten(&format!("{last}{ELLIPSIS}"), letters, width);
            }
        }
        lines
    }
}

/// Where the next letter of a line goes.
#[derive(Clone, Copy)]
struct Pen<'a> {
    face: &'a FontRef<'static>,
    /// Units of the font to an em, and size of an em.
    em: f64,
    size: f64,
    at: f64,
    previous: Option<GlyphId>,
}

impl<'a> Pen<'a> {
    fn new(fonts: &'a Fonts, size: f64, weight: Weight) -> Self {
        let face = fonts.face(weight);
        Self { face, em: f64::from(face.units_per_em().unwrap_or(2048.0)), size, at: 0.0, previous: None }
    }

    /// The pen after more text.
    fn write(mut self, text: &str) -> Self {
        for c in drawable(text).chars() {
            self.put(c);
        }
        self
    }

    /// Puts a character; returns its glyph and where that stands, if it has any width.
    fn put(&mut self, c: char) -> Option<(GlyphId, f64)> {
        let id = self.face.glyph_id(c);
        let lacking = id == GlyphId(0);
        if lacking && c.width() == Some(0) {
            return None;
        }
        if let Some(previous) = self.previous {
            self.at += f64::from(self.face.kern_unscaled(previous, id)) * self.size / self.em;
        }
        let at = self.at;
        self.at += if lacking {
            elsewhere(c) * self.size
        } else {
            f64::from(self.face.h_advance_unscaled(id)) * self.size / self.em
        };
        self.previous = Some(id);
        Some((id, at))
    }
}

/// Width of a character that the embedded font lacks in the fonts that viewers have for it, as a share of the type size.
fn elsewhere(c: char) -> f64 {
    match c {
        '\u{1f000}'.. => 1.3,
        c if c.width() == Some(2) => 1.0,
        _ => 0.75,
    }
}

/// The first of `0..n` for which `holds` is false, if it is true before and false after.
pub(super) fn partition(n: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The text with line breaks and tabs as spaces and without characters that XML forbids.
pub(super) fn drawable(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    if !text.contains(forbidden) {
        return Cow::Borrowed(text);
    }
    let replace = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if forbidden(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(replace).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draw::palette;

    const LETTERS: Type = Type { size: 11.0, weight: Weight::Regular, rgb: palette::TEXT };

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn wrapped_lines_fit_and_lose_no_letter(text in "\\PC{0,80}", width in 40.0..300.0) {
            let fonts = Fonts::embedded().unwrap();
            let lines = fonts.wrap(&text, LETTERS, width, usize::MAX);
            for line in &lines {
                let one = line.graphemes(true).count() == 1;
                prop_assert!(one || fonts.width(line, LETTERS) <= width, "{line:?} is too wide");
            }
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn shortened_text_fits_and_begins_alike(text in "\\PC{0,80}", width in 20.0..300.0) {
            let fonts = Fonts::embedded().unwrap();
            let short = fonts.shorten(&text, LETTERS, width);
            prop_assert!(fonts.width(&short, LETTERS) <= width);
            prop_assert!(text.starts_with(short.trim_end_matches(ELLIPSIS)));
        }
    }

    #[test]
    fn a_limit_on_lines_is_kept_and_shown() {
        let fonts = Fonts::embedded().unwrap();
        let lines = fonts.wrap(&"word ".repeat(100), LETTERS, 100.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with(ELLIPSIS));
    }

    #[test]
    fn characters_that_the_font_lacks_have_the_room_that_others_need() {
        let fonts = Fonts::embedded().unwrap();
        assert!(['語', '\u{fe0f}', '🎉'].into_iter().all(|c| !fonts.has(c)));
        assert_eq!(fonts.width("語語", LETTERS), 2.0 * LETTERS.size);
        assert!(fonts.width("🎉", LETTERS) > LETTERS.size);
        assert_eq!(fonts.width("a\u{fe0f}", LETTERS), fonts.width("a", LETTERS));
    }

    #[test]
    fn widths_scale_with_the_size() {
        let fonts = Fonts::embedded().unwrap();
        let wide = fonts.width("entropy", Type { size: 22.0, ..LETTERS });
        assert!((wide - 2.0 * fonts.width("entropy", LETTERS)).abs() < 1e-9);
    }
}
