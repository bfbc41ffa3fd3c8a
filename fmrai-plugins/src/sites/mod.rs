//! Sites as plans name them, resolved block by block, and what is summed up of them cell by cell.

mod cells;
mod choice;
mod map;
mod resolved;

pub use cells::{Cells, Column, Moments};
pub use choice::{By, SiteChoice, check_choices};
pub use fmrai_core::experiment::SiteKind;
pub(crate) use map::capital;
pub use map::{Quantity, SiteMap};
pub use resolved::{ResolvedSite, logits_of, resolve, resolve_kind};
