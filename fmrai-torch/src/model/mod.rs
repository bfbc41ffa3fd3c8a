//! Models: where they come from, what a loaded one can do, and what a pass leaves behind in it.

pub(crate) mod archives;
mod causal;
mod closure;
mod corrections;
mod error;
mod footprint;
mod info;
mod input;
mod loaded;
mod named_tensors;
mod registry;
mod remade;
mod row_limits;
mod source;
mod state;
mod weights;

pub use causal::{CausalModel, Continuation};
pub use closure::ClosureModel;
pub use corrections::{correct_structure, structure_file};
pub use error::ModelError;
pub use footprint::Footprint;
pub use info::{ModelInfo, NonFiniteWeight, Quantisation, StoredWeight};
pub use input::{Axis, InputSpec};
pub use loaded::Model;
pub use named_tensors::NamedTensors;
pub use registry::{ModelSourceEntry, ModelSources};
pub use remade::RemadeWeights;
pub use row_limits::RowLimits;
pub use source::{LoadContext, ModelSource, RegisteredModelSource};
pub use state::ModelState;
pub use weights::LoadedWeights;
