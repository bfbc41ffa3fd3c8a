//! What was loaded, whatever the format of its files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_core::tensor::DType;
use fmrai_torch::model::ModelInfo;
use fmrai_torch::text::Tokenizer;
use tch::{Device, Tensor};

use super::on_demand::OnDemand;
use crate::convert::from_tch;

/// Weights, a tokenizer, and what is known of them.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) info: ModelInfo,
    /// By name in the network.
    pub(crate) weights: BTreeMap<String, Tensor>,
    /// Those among them that are made anew for each pass.
    pub(crate) on_demand: OnDemand,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) device: Device,
}

impl Loaded {
    /// What was made in memory, by no source.
    pub(crate) fn made(
        model_type: &str,
        weights: BTreeMap<String, Tensor>,
        tokenizer: Option<Tokenizer>,
        max_tokens: Option<usize>,
        device: Device,
    ) -> Self {
        let info = ModelInfo {
            source: "memory".to_owned(),
            architecture: model_type.to_owned(),
            path: PathBuf::new(),
            files: Vec::new(),
            parameters: count(&weights),
            dtype: weights.values().next().map_or(DType::Float32, |weight| from_tch(weight).dtype()),
            max_tokens,
            quantisation: None,
            remade_bytes: 0,
            unused_weights: Vec::new(),
            non_finite_weights: Vec::new(),
            warnings: Vec::new(),
        };
        Self { info, weights, on_demand: OnDemand::default(), tokenizer, device }
    }

    /// The weights by name, sharing memory.
    pub(crate) fn parameters(&self) -> Vec<(String, fmrai_torch::Tensor)> {
        self.weights.iter().map(|(name, tensor)| (name.clone(), from_tch(tensor))).collect()
    }
}

/// Number of elements.
pub(crate) fn count(weights: &BTreeMap<String, Tensor>) -> u64 {
    weights.values().map(|weight| weight.numel() as u64).sum()
}
