//! Letters: the embedded font, how wide a text is, and how it is broken into lines.

mod drawable;
mod fonts;
mod lacking;
mod lines;
mod partition;
mod signs;
mod stand_in;
#[cfg(test)]
mod tests;

pub(crate) use drawable::drawable;
pub(crate) use fonts::{CAPITAL, FILES, Fonts, LEADING};
pub(crate) use lacking::is_seen;
pub(crate) use partition::partition;
pub(crate) use signs::visible;
pub(crate) use stand_in::{lacking, with_stand_ins};
