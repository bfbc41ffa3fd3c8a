//! How a model is loaded.

use fmrai_core::structure::AttentionForm;
use fmrai_core::tensor::DType;
use fmrai_torch::model::{LoadContext, ModelError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::convert::device_of;

/// How to load a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) attention: AttentionForm,
    pub(crate) dtype: Precision,
    pub(crate) device: Device,
    /// Most bytes that weights may take, as the plan says of this model.
    pub(crate) weight_bytes: Option<u64>,
    /// Most bytes of memory that weights may take, whatever the plan says of this model.
    pub(crate) most_weight_bytes: Option<u64>,
}

impl Options {
    /// What `context` leaves open is given.
    pub(crate) fn new(
        context: &LoadContext<'_>,
        attention: AttentionForm,
        dtype: Precision,
        weight_bytes: Option<u64>,
    ) -> Result<Self, ModelError> {
        let device = device_of(context.device)?;
        Ok(Self { attention, dtype, device, weight_bytes, most_weight_bytes: context.weight_bytes })
    }
}

/// The form of attention where a plan names none.
pub(crate) fn fused_attention() -> AttentionForm {
    AttentionForm::Fused
}

/// Element type that a model computes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits: 4 bytes for each weight.
    #[default]
    Float32,
    /// 16 bits, with the range of float32 and 8 bits of precision.
    Bfloat16,
    /// 16 bits, up to 65504 and with 11 bits of precision.
    Float16,
}

impl Precision {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
            Self::Float16 => Kind::Half,
        }
    }
}

impl From<Precision> for DType {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Float32 => Self::Float32,
            Precision::Bfloat16 => Self::BFloat16,
            Precision::Float16 => Self::Float16,
        }
    }
}
