//! Model and data of a run: values, or where they come from.

use std::path::Path;

use fmrai_torch::Device;
use fmrai_torch::data::{Batches, DataContext, DataError, RegisteredDataSource};
use fmrai_torch::model::{LoadContext, Model, ModelError, RegisteredModelSource};

use crate::plan::OnError;

/// Opens data once more, from the start.
pub(super) type Again<'a> = Box<dyn Fn() -> Result<Box<dyn Batches + 'a>, DataError> + 'a>;

/// A model.
pub(super) enum GivenModel {
    Loaded(Box<dyn Model>),
    Source(Box<dyn RegisteredModelSource>),
}

/// Data.
pub(super) enum GivenData {
    Batches(Box<dyn Batches + Send>),
    Source(Box<dyn RegisteredDataSource>),
}

impl GivenModel {
    /// The model itself, relative paths taken from `base`.
    pub(super) fn load(self, base: &Path) -> Result<Box<dyn Model>, ModelError> {
        match self {
            Self::Loaded(model) => Ok(model),
            Self::Source(source) => source.load(&LoadContext { base, device: Device::Cpu }),
        }
    }
}

impl GivenData {
    /// The batches themselves, and how to read them once more; `None` where that cannot be.
    pub(super) fn batches<'a>(
        self,
        context: DataContext<'a>,
        on_error: OnError,
    ) -> Result<(Box<dyn Batches + 'a>, Option<Again<'a>>), DataError> {
        match self {
            Self::Batches(mut batches) => {
                if on_error == OnError::Skip {
                    batches.leave_out_refused();
                }
                Ok((batches, None))
            }
            Self::Source(source) => {
                let open = move || {
                    let mut batches = source.open(&context)?;
                    if on_error == OnError::Skip {
                        batches.leave_out_refused();
                    }
                    Ok(batches)
                };
                Ok((open()?, Some(Box::new(open))))
            }
        }
    }
}
