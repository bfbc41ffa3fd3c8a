//! Capture at the dispatcher of libtorch: every operation of any model that runs in this process.
//!
//! A fallback kernel on a dispatch key that nothing else uses is switched on for the thread of a forward pass. It
//! sees each operation at the outermost level (`aten::linear`, `aten::scaled_dot_product_attention`, ...), with its
//! inputs before and its outputs after. It stands above autograd, so gradients flow as usual; code written with
//! tch, `tch::nn` modules and TorchScript are all seen alike. The model is not changed.
//!
//! - Tensors that nobody asked for are only referenced weakly: memory is that of the bare pass.
//! - An in-place operation makes a new version of what it writes, and of what shares its memory. A kept tensor is
//!   copied before it is overwritten.
//! - Operations that only rearrange memory, which libtorch leaves out when the sizes allow (`aten::contiguous`),
//!   are no operations of the graph: their result has the id of their input.
//! - A pass that hands operations to threads of libtorch is an error: their order is not that of the program. Threads that a
//!   model starts itself (`std::thread`) are not seen; what they make enters the graph as a tensor without a name.
//! - Fused attention is answered by its explicit form where its probabilities were asked for, and only there.
//!
//! ```
//! use fmrai_core::graph::Graph;
//! use fmrai_core::tracker::{Activations, CaptureRequest, Tracker};
//! use fmrai_torch::Tensor;
//! use fmrai_torch::capture::DispatchTracker;
//!
//! let mut x = Tensor::from_slice(&[1.0f32, 2.0, 3.0])?;
//! let mut tracker = DispatchTracker::new()?;
//! tracker.name_input("x", &x);
//! let graph = tracker.discover(&mut || { x.mul_scalar(2.0)?.softmax(0)?; Ok(()) })?;
//! assert_eq!(graph.operations()[1].name, "aten::softmax.int");
//!
//! let softmax = graph.operations()[1].outputs[0];
//! x = Tensor::from_slice(&[1.0f32, 1.0, 1.0, 1.0])?; // another size, the same graph
//! let kept = tracker.track(&CaptureRequest::from_iter([softmax]), &mut || {
//!     x.mul_scalar(2.0)?.softmax(0)?;
//!     Ok(())
//! })?;
//! assert_eq!(kept.tensor(softmax).unwrap()?.f32()?, [0.25; 4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actions;
mod captured;
mod decode;
mod dispatch_tracker;
mod enough;
mod lines;
mod live;
mod recording;
mod scope;
mod simulated;

pub use crate::ffi::clean::CleanPass;
pub use actions::{Action, Actions};
pub use captured::CapturedTensors;
pub use dispatch_tracker::DispatchTracker;
pub(crate) use enough::Enough;
pub use fmrai_core::experiment::Place;
pub use lines::{Lines, lines};
pub use live::{Ask, LiveCall, LiveError, LiveGraph, LiveGraphs, LivePass, Turn, Want};
pub(crate) use recording::ModelOutput;
pub use recording::{Kept, Recording, Reuse};
pub use scope::{Scope, scope};
pub(crate) use simulated::{NamedLeaf, simulate};
