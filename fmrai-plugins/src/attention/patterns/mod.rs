//! Where heads look and how broadly.

mod mean;
mod of_head;
mod sight;
mod state;
mod statistic;
mod sums;

pub(crate) use mean::mean_of;
pub use sight::Sight;
pub use statistic::{Pattern, Statistic};
pub use sums::PatternSums;
