//! Where models come from.

use std::fmt;
use std::path::Path;

use super::error::ModelError;
use super::loaded::Model;
use crate::device::Device;

/// What a plan says of a model. Cheap; owns no tensor.
///
/// Implement it, and give it its name in a plan with [`register_model_source!`](crate::register_model_source).
pub trait ModelSource: fmt::Debug + Send + Sync {
    /// Reads the model.
    ///
    /// # Errors
    /// [`ModelError`] names the file at fault, what was found in it and what is needed.
    fn load(&self, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError>;
}

/// A model source with its name: what the field `type` of the model in a plan chooses.
///
/// [`register_model_source!`](crate::register_model_source) implements it.
#[typetag::serde(tag = "type")]
pub trait RegisteredModelSource: ModelSource {}

/// What a model source needs from its host.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext<'a> {
    /// Folder that relative paths start from.
    pub base: &'a Path,
    /// Where the weights go.
    pub device: Device,
    /// Most bytes of memory that weights may take, where somebody has set a limit. A source that can read weights again in each pass keeps no more than
    /// that; any other refuses a model that needs more.
    pub weight_bytes: Option<u64>,
}

impl<'a> LoadContext<'a> {
    /// Relative paths start from `base`, weights go to `device` and take what they need.
    #[must_use]
    pub fn new(base: &'a Path, device: Device) -> Self {
        Self { base, device, weight_bytes: None }
    }
}
