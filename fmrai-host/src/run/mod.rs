//! Runs a plan: one pass over the data, shared by all analyses, and their results as files.

mod about;
mod builder;
mod cost;
mod error;
mod finish;
mod given;
mod graph_file;
mod interim;
mod keeper;
mod lane;
mod later;
mod limit;
mod live;
mod options;
mod outcome;
mod parity;
mod planned;
mod probe;
mod recorder;
mod rows;
mod samples;
mod session;
mod source;
mod start;
mod stopwatch;
mod stored;
#[cfg(test)]
mod tests;
mod told;
pub(crate) mod understanding;
mod watch;
mod watched;

pub use builder::Run;
pub use cost::{Cost, costs};
pub use error::RunError;
pub use lane::Failure;
pub use options::Options;
pub use outcome::{Answer, Outcome};
pub use parity::{OutputParity, ParityError, ParityReport};
pub use planned::run;
pub use recorder::Recorded;
pub use told::{Nan, Told};
pub(crate) use watched::Watched;
