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
