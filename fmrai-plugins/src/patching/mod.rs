//! What activation and attribution patching share.

mod base;
mod columns;
mod patched;
mod runs;
mod totals;

pub(crate) use base::{Base, Noise, by_pair};
pub(crate) use columns::{aligned, columns_of, places};
pub(crate) use patched::{NAMES, Patched};
pub(crate) use runs::{Cell, runs};
pub(crate) use totals::{Totals, too_close};

/// With a capital letter at its beginning.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
