//! Analyzers in library files: which files may be loaded, what is checked before any of their code runs, and loading.
//!
//! Native code is trusted with everything that this program may do, so a file is loaded only from a folder that the
//! user allowed, and a plan can name the hash that it has to have. What was hashed and checked is what is loaded: the
//! bytes are read once and loaded from a private copy. A loaded library stays until the process ends.

mod error;
mod facts;
mod file;
mod library;
mod load;
mod neighbours;
mod pins;
mod places;
mod policy;

pub use error::PluginError;
pub use load::{Inspected, Plugin, inspect, load};
pub use pins::Pins;
pub(crate) use places::places;
pub use policy::Policy;
