//! Documents for whoever has no font for some of their characters.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::fonts::Fonts;
use super::lacking::stand_in;

/// The characters of a document that the embedded font lacks.
pub(crate) fn lacking(fonts: &Fonts, document: &str) -> BTreeSet<char> {
    // Markup is ASCII.
    document.chars().filter(|c| !c.is_ascii() && !fonts.has(*c)).collect()
}

/// The document with boxes for these characters, and without those that are not seen.
pub(crate) fn with_stand_ins<'d>(document: &'d str, boxed: &BTreeSet<char>) -> Cow<'d, str> {
    if boxed.is_empty() {
        return Cow::Borrowed(document);
    }
    let mut drawn = String::with_capacity(document.len());
    for c in document.chars() {
        if boxed.contains(&c) {
            drawn.push_str(stand_in(c));
        } else {
            drawn.push(c);
        }
    }
    Cow::Owned(drawn)
}
