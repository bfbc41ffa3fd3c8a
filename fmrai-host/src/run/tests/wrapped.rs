//! A model with another pass.

use fmrai_torch::model::{InputSpec, Model, ModelError, ModelInfo, NamedTensors};
use fmrai_torch::text::Tokenizer;

/// What is done in place of a pass of the model within.
type Pass = Box<dyn Fn(&dyn Model, &NamedTensors) -> Result<NamedTensors, ModelError> + Send>;

/// A model in all but its pass.
pub(super) struct Wrapped {
    pub(super) model: Box<dyn Model>,
    pub(super) pass: Pass,
}

impl Model for Wrapped {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }
    fn parameters(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        self.model.parameters()
    }
    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.model.tokenizer()
    }
    fn inputs(&self) -> Vec<InputSpec> {
        self.model.inputs()
    }
    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        (self.pass)(self.model.as_ref(), inputs)
    }
}
