//! Models of fMRAi that are written in tch, and the way between its tensors and ours.
//!
//! - [`HfCheckpoint`]: Hugging Face folders of encoders and decoders.
//! - [`Gguf`]: the same networks with the weights and the tokenizer of one GGUF file.
//! - [`from_tch`] and [`to_tch`]: the same tensor, for code that is written in tch; so any such code can be tracked.

mod convert;
mod gguf;
mod hf_checkpoint;
mod non_finite;
mod options;
mod pieces;
mod transformer;

pub use convert::{from_tch, to_tch};
pub use gguf::Gguf;
pub use hf_checkpoint::HfCheckpoint;
pub use options::Precision;
/// The crate that models are written in, in the version that is linked here.
pub use tch;
pub use transformer::decoder::{Cache, CausalLm};
