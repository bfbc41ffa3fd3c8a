//! Models of fMRAi that are written in tch, and the way between its tensors and ours.
//!
//! - [`HfCheckpoint`]: Hugging Face folders of encoders and decoders.
//! - [`from_tch`] and [`to_tch`]: the same tensor, for code that is written in tch; so any such code can be tracked.

mod convert;
mod hf_checkpoint;

pub use convert::{from_tch, to_tch};
pub use hf_checkpoint::{Cache, CausalLm, HfCheckpoint, Precision};
