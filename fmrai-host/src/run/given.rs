//! Model and data of a run: values, or where they come from.

use std::path::Path;

use fmrai_torch::Device;
use fmrai_torch::data::{
    Batches, Counts, DataContext, DataError, InputBatch, RefusedRecord, RegisteredDataSource,
};
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{LoadContext, Model, ModelError, RegisteredModelSource};

use crate::plan::OnError;

/// Every so manieth batch of others, numbered from 0.
struct Every<'a> {
    inner: Box<dyn Batches + 'a>,
    stride: u64,
    next: u64,
}

impl Batches for Every<'_> {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        self.inner.pass_over(self.stride.saturating_sub(1))?;
        let batch = self.inner.next_batch()?;
        let index = self.next;
        self.next += u64::from(batch.is_some());
        Ok(batch.map(|batch| InputBatch { index, ..batch }))
    }

    fn leave_out_refused(&mut self) {
        self.inner.leave_out_refused();
    }

    fn take_refused(&mut self) -> Vec<RefusedRecord> {
        self.inner.take_refused()
    }

    fn counts(&self) -> Counts {
        self.inner.counts()
    }

    fn progress(&self) -> (u64, u64) {
        self.inner.progress()
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        self.inner.files()
    }
}

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
    /// Every so manieth batch of a source.
    Every(Box<dyn RegisteredDataSource>, u64),
}

impl GivenModel {
    /// The model itself, relative paths taken from `base`. Its weights take so many bytes at the most, if that is told.
    pub(super) fn load(
        self,
        base: &Path,
        device: Device,
        weight_bytes: Option<u64>,
    ) -> Result<Box<dyn Model>, ModelError> {
        match self {
            Self::Loaded(model) => Ok(model),
            Self::Source(source) => {
                source.load(&LoadContext { weight_bytes, ..LoadContext::new(base, device) })
            }
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
            Self::Every(source, stride) => {
                let open = move || -> Result<Box<dyn Batches + 'a>, DataError> {
                    let mut inner = source.open(&context)?;
                    if on_error == OnError::Skip {
                        inner.leave_out_refused();
                    }
                    Ok(Box::new(Every { inner, stride, next: 0 }))
                };
                Ok((open()?, Some(Box::new(open))))
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
