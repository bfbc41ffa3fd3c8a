//! How a checkpoint is loaded.

use fmrai_core::structure::AttentionForm;
use tch::Device;

use super::source::Precision;

/// How to load a checkpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) attention: AttentionForm,
    pub(super) dtype: Precision,
    pub(super) device: Device,
}
