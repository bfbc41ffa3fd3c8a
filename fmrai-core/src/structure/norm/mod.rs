//! Normalisations.
//!
//! Fused operations, and layer norms and RMS norms that are written out: an activation times the reciprocal root, or
//! divided by the root, of the mean of its squares or its variance, then casts, a scale and a shift by weights. A sum of
//! squares in place of a mean (an L2 norm) is none.

mod find;

use serde::{Deserialize, Serialize};

use crate::graph::{OperationId, TensorId};

pub(super) use find::find_norms;

/// What a normalisation subtracts and divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Mean and standard deviation over the last axes of each token (Ba et al. 2016).
    Layer,
    /// Root mean square over the last axis of each token (Zhang and Sennrich 2019).
    Rms,
    /// Mean and standard deviation of each channel over the batch, or their running averages.
    Batch,
    /// Mean and standard deviation of groups of channels of one sample.
    Group,
    /// Mean and standard deviation of each channel of one sample.
    Instance,
}

impl NormKind {
    /// Its name in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer norm",
            Self::Rms => "RMS norm",
            Self::Batch => "batch norm",
            Self::Group => "group norm",
            Self::Instance => "instance norm",
        }
    }
}

/// One normalisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    /// Position among all normalisations, from 0, in execution order.
    pub layer: usize,
    /// What it divides by.
    pub kind: NormKind,
    /// Path of the module it runs in; empty where not known.
    pub module: String,
    /// What is normalised, before a cast that is only made for it.
    pub input: TensorId,
    /// The result, scaled and shifted, `[batch, token, channel]`.
    pub output: TensorId,
    /// The parameter it is scaled by, where there is one.
    pub weight: Option<TensorId>,
    /// The parameter that is added, where there is one.
    pub bias: Option<TensorId>,
    /// What is added to the variance; absent where it is not a number of the program.
    pub eps: Option<f64>,
    /// Every operation from `input` to `output`, in execution order; one if it is fused.
    pub operations: Vec<OperationId>,
}
