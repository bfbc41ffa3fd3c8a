//! What the file of an analyzer imports: `use fmrai_core::analyzer::prelude::*;`.

pub use crate::analyzer::{
    Analysis, Analyzer, AnalyzerConfig, AnalyzerError, ConfigError, ModelView, State, Sums,
};
pub use crate::batch::Batch;
pub use crate::graph::TensorId;
pub use crate::report::{NamedTensor, Report};
pub use crate::tensor::TensorValue;
pub use crate::tracker::CaptureRequest;
pub use crate::{register_analyzer, sums};
