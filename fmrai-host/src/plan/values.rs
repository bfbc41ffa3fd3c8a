//! Plans that are put together from values.

use std::path::{Path, PathBuf};

use fmrai_torch::data::RegisteredDataSource;
use fmrai_torch::model::RegisteredModelSource;
use serde_json::{Value, json};

use super::capture::Capture;
use super::device::DeviceChoice;
use super::document::document;
use super::limits::Limits;
use super::on_error::OnError;
use super::parity::Parity;
use super::resolved::{ResolvedPlan, Source};

impl ResolvedPlan {
    /// A plan without analyses, whose relative paths start from the current directory.
    pub(crate) fn of(model: Box<dyn RegisteredModelSource>, data: Box<dyn RegisteredDataSource>) -> Self {
        Self {
            file: PathBuf::from("(command line)"),
            base: PathBuf::new(),
            source: Source::Live { model, data },
            capture: None,
            structure: None,
            analyses: Vec::new(),
            output: PathBuf::new(),
            parity: Parity::default(),
            checkpoint_seconds: 60,
            report: true,
            batch_seconds: None,
            on_error: OnError::default(),
            limits: Limits::default(),
            device: DeviceChoice::default(),
            document: Value::Null,
        }
    }

    /// It with these activations to write, into this folder.
    ///
    /// # Errors
    /// Where its parts cannot be written as a plan.
    pub(crate) fn capturing(self, capture: Capture, output: &Path) -> Result<Self, serde_json::Error> {
        let mut plan = Self { capture: Some(capture), output: output.to_owned(), ..self };
        // A word for the folder only, whose name may be no text: it is the value that counts.
        let written = json!({ "output": output.to_string_lossy() });
        plan.document = document(&plan, &written, &[])?;
        Ok(plan)
    }
}
