//! Plans: what to run, as a JSON file.
//!
//! Text becomes a [`Plan`], whose parts may be absent where the text has mistakes, and a plan without mistakes
//! becomes a [`ResolvedPlan`], the only thing that runs. All mistakes are reported at once.

mod capture;
mod catalogue;
mod describe;
mod device;
mod document;
mod format;
mod json;
mod limits;
mod names;
mod on_error;
mod parity;
mod parse;
mod path;
mod problem;
mod read;
pub(crate) mod reference;
mod resolve;
mod resolved;
mod schema;
#[cfg(test)]
mod tests;
mod validate;
mod values;

pub use capture::Capture;
pub use catalogue::{Catalogue, Config, Offer, OfferError};
pub(crate) use describe::needed as words;
pub use device::DeviceChoice;
pub use format::FORMAT;
pub use limits::{Bytes, Limits};
pub(crate) use names::is_name;
pub use on_error::OnError;
pub use parity::Parity;
pub use parse::{Analysis, Plan};
pub use path::{JsonPath, Step};
pub use problem::Problem;
pub(crate) use read::read_subject;
pub use read::{PlanError, read};
pub use reference::{Reference, Spec, with_references};
pub use resolved::{Later, ResolvedAnalysis, ResolvedPlan, Source};
pub use schema::schema;

pub use crate::held::Held;
