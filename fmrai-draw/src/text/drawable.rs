//! What a document may hold.

use std::borrow::Cow;

/// The text with line breaks and tabs as spaces and without characters that XML forbids.
pub(crate) fn drawable(text: &str) -> Cow<'_, str> {
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
