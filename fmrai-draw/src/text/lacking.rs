//! Characters that the embedded font lacks.

use unicode_width::UnicodeWidthChar;

/// How much of a line such a character takes.
enum Takes {
    Nothing,
    Letter,
    Wide,
    Picture,
}

impl Takes {
    fn of(c: char) -> Self {
        match (c, c.width()) {
            (_, Some(0)) => Self::Nothing,
            ('\u{1f000}'.., _) => Self::Picture,
            (_, Some(2)) => Self::Wide,
            _ => Self::Letter,
        }
    }
}

/// True if the character is drawn at all.
pub(crate) fn is_seen(c: char) -> bool {
    !matches!(Takes::of(c), Takes::Nothing)
}

/// Width of a character that the embedded font lacks in the fonts that viewers have for it, as a share of the type size;
/// 0 if it is not seen.
pub(super) fn room(c: char) -> f64 {
    match Takes::of(c) {
        Takes::Nothing => 0.0,
        Takes::Letter => 0.75,
        Takes::Wide => 1.0,
        Takes::Picture => 1.3,
    }
}

/// What is drawn for it where no other font may be used: a box, with spaces that fill its room.
pub(super) fn stand_in(c: char) -> &'static str {
    match Takes::of(c) {
        Takes::Nothing => "",
        Takes::Letter => "□\u{200a}",
        Takes::Wide => "\u{2006}□\u{2006}",
        Takes::Picture => "\u{2004}□\u{2004}",
    }
}
