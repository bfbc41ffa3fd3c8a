//! What is known of a loaded model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_core::tensor::DType;
use serde::Serialize;

use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::files::FileInfo;

/// What is known of a loaded model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInfo {
    /// The `type` of the source it came from.
    pub source: String,
    /// Its family, e.g. `bert`.
    pub architecture: String,
    /// Where it was read from. Not written: it differs between machines, and need not be UTF-8.
    #[serde(skip)]
    pub path: PathBuf,
    /// The files read.
    pub files: Vec<FileInfo>,
    /// Number of weights.
    pub parameters: u64,
    /// Element type it computes in.
    pub dtype: DType,
    /// Longest input, in tokens; `None` if there is no limit.
    pub max_tokens: Option<usize>,
    /// What of its weights is quantised in the files; `None` if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<Quantisation>,
    /// Bytes of weights that are made anew in each pass, because all of them are more than there is memory for.
    #[serde(skip_serializing_if = "is_zero")]
    pub remade_bytes: u64,
    /// Weights in the files that the model does not use, e.g. a head for another task.
    pub unused_weights: Vec<String>,
    /// Weights that hold NaN or infinity.
    pub non_finite_weights: Vec<NonFiniteWeight>,
    /// What else a user should know of its files: copies of weights that do not count, an adapter that is not applied, ...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// Weights that are stored in fewer bits than they were trained in. Whatever is computed, it is computed with weights rounded so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantisation {
    /// Bits of the files for each weight, on average over all weights.
    pub bits_per_weight: f64,
    /// How many weights are stored in which form, by the name that the format has for it, such as `Q4_K`.
    pub weights: BTreeMap<String, u64>,
}

/// How one weight is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWeight {
    /// The name that the format has for it.
    pub form: String,
    /// Its number of elements.
    pub weights: u64,
    /// Bytes of the files for it.
    pub bytes: u64,
    /// False for floating-point numbers.
    pub quantised: bool,
}

impl Quantisation {
    /// How these are stored together; `None` if none of them is quantised.
    #[expect(clippy::cast_precision_loss, reason = "numbers of weights are far below 2^52")]
    #[must_use]
    pub fn of(stored: impl Iterator<Item = StoredWeight>) -> Option<Self> {
        let mut weights: BTreeMap<String, u64> = BTreeMap::new();
        let (mut bytes, mut quantised) = (0, false);
        for weight in stored {
            *weights.entry(weight.form).or_default() += weight.weights;
            bytes += weight.bytes;
            quantised |= weight.quantised;
        }
        let all: u64 = weights.values().sum();
        let bits_per_weight = (bytes * 8) as f64 / all.max(1) as f64;
        quantised.then_some(Self { bits_per_weight, weights })
    }
}

/// A weight with elements that are not numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NonFiniteWeight {
    /// Name of the weight.
    pub name: String,
    /// How many of its elements are NaN.
    pub nan: u64,
    /// How many of its elements are infinite.
    pub infinite: u64,
}

impl NonFiniteWeight {
    /// What is not finite in `tensor`; `None` if everything is, or if its elements are no real numbers.
    #[must_use]
    pub fn of(name: &str, tensor: &Tensor) -> Option<Self> {
        if !tensor.dtype().is_float() || tensor.numel() == 0 {
            return None;
        }
        let count = |what: Result<Tensor, TorchError>| -> u64 {
            let sum = what.and_then(|t| t.sum(DType::Int64)).and_then(|sum| sum.item::<i64>());
            sum.ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
        };
        let (nan, infinite) = (count(tensor.is_nan()), count(tensor.is_inf()));
        (nan + infinite > 0).then(|| Self { name: name.to_owned(), nan, infinite })
    }
}
