//! A model that is lent to a run, and comes back when that is over: loading it again would take longer than to run it.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use fmrai_core::graph::RecordedGraph;
use fmrai_torch::Tensor;
use fmrai_torch::model::{
    CausalModel, InputSpec, Model, ModelError, ModelInfo, ModelState, NamedTensors, RemadeWeights,
};
use fmrai_torch::text::Tokenizer;

/// A model, and where it goes when it is dropped.
pub(super) struct Lent {
    /// Taken when it is dropped, and never before.
    model: Option<Box<dyn Model>>,
    /// What an absent model would say of itself.
    info: ModelInfo,
    back: Sender<Box<dyn Model>>,
}

impl Lent {
    pub(super) fn new(model: Box<dyn Model>, back: Sender<Box<dyn Model>>) -> Self {
        Self { info: model.info().clone(), model: Some(model), back }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(model) = self.model.take() {
            let _ = self.back.send(model); // nobody waits for it any more
        }
    }
}

impl Model for Lent {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.model.as_ref().map(|model| model.parameters()).unwrap_or_default()
    }

    fn remade_weights(&self) -> Option<Arc<dyn RemadeWeights>> {
        self.model.as_ref()?.remade_weights()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.model.as_ref()?.tokenizer()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        self.model.as_ref().map(|model| model.inputs()).unwrap_or_default()
    }

    fn graph(&self) -> Option<Result<Arc<RecordedGraph>, ModelError>> {
        self.model.as_ref()?.graph()
    }

    fn state(&self) -> Result<Box<dyn ModelState + '_>, ModelError> {
        self.given()?.state()
    }

    fn causal(&self) -> Option<&dyn CausalModel> {
        self.model.as_ref()?.causal()
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        self.given()?.forward(inputs)
    }
}

impl Lent {
    fn given(&self) -> Result<&dyn Model, ModelError> {
        let gone = || ModelError::Inputs {
            found: "a model that has been given back".to_owned(),
            needed: "one that is here".to_owned(),
        };
        self.model.as_deref().ok_or_else(gone)
    }
}
