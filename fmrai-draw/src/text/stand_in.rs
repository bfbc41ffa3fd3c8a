//! Documents for whoever has no font but the embedded one.

use std::borrow::Cow;

use super::fonts::Fonts;
use super::lacking::stand_in;

/// The document with boxes for the characters that the embedded font lacks, and without those that are not seen.
pub(crate) fn with_stand_ins<'d>(fonts: &Fonts, document: &'d str) -> Cow<'d, str> {
    // Markup is ASCII.
    let lacking = |c: char| !c.is_ascii() && !fonts.has(c);
    if !document.contains(lacking) {
        return Cow::Borrowed(document);
    }
    let mut drawn = String::with_capacity(document.len());
    for c in document.chars() {
        if lacking(c) {
            drawn.push_str(stand_in(c));
        } else {
            drawn.push(c);
        }
    }
    Cow::Owned(drawn)
}
