//! fMRAi on libtorch, of any version from 2.9 on: what needs its C++ and no binding to it.
//!
//! - [`Tensor`] and [`call`]: a counted handle to a tensor, and any operation by its name.
//! - [`capture`]: the hook in the dispatcher that sees every operation of a forward pass.
//! - [`model`]: what a [`Model`](model::Model) is, where models come from, and what passes leave behind in them.
//! - [`exported_program`] and [`torchscript`]: models as PyTorch saves them, run without Python.
//! - [`text`]: texts as tokens, and tokens as text.
//! - [`data`]: texts, tensors and batches of them.
//! - [`generate`]: texts that a model writes.
//! - [`files`]: files that are read, and their hashes.

pub mod bench;
pub mod capture;
pub mod data;
mod device;
mod element;
mod error;
pub mod exported_program;
mod ffi;
pub mod files;
pub mod generate;
pub mod model;
mod operation;
mod operations;
pub mod text;
pub mod torchscript;

pub use device::Device;
pub use element::Element;
pub use error::{TorchError, is_out_of_memory};
pub use ffi::meter::MemoryMeter;
pub use ffi::settings::{
    Gradients, cuda_devices, give_back_freed_pages, integers_may_be_sizes, keep_freed_pages, manual_seed,
    no_grad, set_threads,
};
pub use ffi::tensor::{RawTensor, Tensor};
pub use operation::{Argument, call};

#[doc(hidden)]
pub mod __private {
    //! What [`register_model_source!`](crate::register_model_source) and its like expand to; not an interface.
    pub use fmrai_core::register;
}
