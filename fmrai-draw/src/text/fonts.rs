//! The embedded font, and how wide a text is.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, InvalidFont};

use super::drawable::drawable;
use super::lacking::room;
use crate::scene::{Type, Weight};

/// Height of a capital letter, as a share of the type size.
pub(crate) const CAPITAL: f64 = 0.688;
/// Distance of baselines, as a share of the type size.
pub(crate) const LEADING: f64 = 1.32;

/// The glyph of characters that a font lacks.
const LACKING: GlyphId = GlyphId(0);

/// Files of the embedded font, regular and bold.
pub(crate) const FILES: [&[u8]; 2] = [
    include_bytes!("../../assets/fonts/LiberationSans-Regular.ttf"),
    include_bytes!("../../assets/fonts/LiberationSans-Bold.ttf"),
];

/// The embedded font in its weights.
pub(crate) struct Fonts {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Fonts {
    /// The embedded font.
    pub(crate) fn embedded() -> Result<&'static Self, InvalidFont> {
        static FONTS: LazyLock<Result<Fonts, InvalidFont>> = LazyLock::new(|| {
            let [regular, bold] = FILES.map(FontRef::try_from_slice);
            Ok(Fonts { regular: regular?, bold: bold? })
        });
        FONTS.as_ref().map_err(|_| InvalidFont)
    }

    fn face(&self, weight: Weight) -> &FontRef<'static> {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    /// True if the font has the character in all weights.
    pub(crate) fn has(&self, c: char) -> bool {
        [&self.regular, &self.bold].into_iter().all(|face| face.glyph_id(c) != LACKING)
    }

    /// Width of one line of text.
    pub(crate) fn width(&self, text: &str, letters: Type) -> f64 {
        Pen::new(self, letters).write(text).at
    }

    /// Width of the widest of several lines.
    pub(crate) fn widest<'t>(&self, lines: impl IntoIterator<Item = &'t str>, letters: Type) -> f64 {
        lines.into_iter().map(|line| self.width(line, letters)).fold(0.0, f64::max)
    }
}

/// Where the next letter of a line goes.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    face: &'a FontRef<'static>,
    /// Units of the font to an em, and size of an em.
    em: f64,
    size: f64,
    /// How far it is from where it began.
    pub(super) at: f64,
    previous: Option<GlyphId>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(fonts: &'a Fonts, letters: Type) -> Self {
        let face = fonts.face(letters.weight);
        let em = f64::from(face.units_per_em().unwrap_or(2048.0));
        Self { face, em, size: letters.size, at: 0.0, previous: None }
    }

    /// The pen after more text.
    pub(super) fn write(mut self, text: &str) -> Self {
        for c in drawable(text).chars() {
            self.put(c);
        }
        self
    }

    fn put(&mut self, c: char) {
        let id = self.face.glyph_id(c);
        let width =
            if id == LACKING { room(c) } else { f64::from(self.face.h_advance_unscaled(id)) / self.em };
        if id == LACKING && width == 0.0 {
            return;
        }
        if let Some(previous) = self.previous {
            self.at += f64::from(self.face.kern_unscaled(previous, id)) * self.size / self.em;
        }
        self.at += width * self.size;
        self.previous = Some(id);
    }
}
