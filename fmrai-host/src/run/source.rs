//! Where a run's batches and their activations come from.

use std::collections::BTreeMap;
use std::ops::Range;

use fmrai_core::experiment::Bench;
use fmrai_core::graph::TensorId;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::data::{Counts, RefusedRecord};

use super::budget::Size;
use super::parity::ParityReport;
use super::rows::Layout;
use super::samples::Samples;
use super::told::Told;
use crate::error::Error;

/// Batches with their activations: of a model that runs, or of a folder that was captured before.
pub(super) trait Source {
    /// The next batch; `None` at the end.
    fn next(&mut self) -> Result<Option<Samples>, Error>;

    /// Passes over so many batches as if they were not there, and says how many there were. Nobody has asked for activations of the batch that
    /// was handed out last.
    ///
    /// # Errors
    /// Those of reading the data.
    fn skip(&mut self, batches: u64) -> Result<u64, Error>;

    /// How many batches the data have. They are gone through for it, but not as a model takes them.
    ///
    /// # Errors
    /// Those of reading the data; [`Error::Run`] where they can be read only once.
    fn total(&self) -> Result<u64, Error>;

    /// True if what the model gives depends on the batches that it has run on before.
    fn carries_state(&self) -> bool {
        false
    }

    /// The records that were left out since this was last called.
    fn take_refused(&mut self) -> Vec<RefusedRecord> {
        Vec::new()
    }

    /// What all of the data amount to, where that is known without reading them.
    fn all_counts(&self) -> Option<Counts> {
        None
    }

    /// Starts again from the first batch.
    ///
    /// # Errors
    /// Those of opening the data; [`Error::Run`] where they can be read only once.
    fn rewind(&mut self) -> Result<(), Error>;

    /// The tensors asked for, of the batch that was handed out last.
    fn activations(&mut self, request: &CaptureRequest) -> Result<Box<dyn Activations>, Error>;

    /// Bytes that tensors took at a time in the pass that recorded the graph; `None` where none did.
    fn recording_bytes(&self) -> Option<u64> {
        None
    }

    /// How few samples of the batch that was handed out last can run by themselves; `None` where it cannot be cut.
    fn least(&self) -> Option<usize> {
        None
    }

    /// How large the batch that was handed out last is, or the samples of it that [`narrow`](Self::narrow) has chosen.
    fn size(&self) -> Size;

    /// From now on, the batch that was handed out last is these of its samples alone, until the next is handed out.
    ///
    /// # Errors
    /// Those of libtorch; [`Error::Run`] where it cannot be cut.
    fn narrow(&mut self, _: Range<usize>) -> Result<(), Error> {
        Err(Error::Internal("stored activations are not cut".to_owned()))
    }

    /// Where the samples are in the tensors of a request, as far as it can be told from a few of those of the batch that was handed out last.
    ///
    /// # Errors
    /// Those of the passes that show it.
    fn samples_in(&mut self, _: &CaptureRequest) -> Result<BTreeMap<TensorId, Layout>, Error> {
        Ok(BTreeMap::new())
    }

    /// Leaves the batch that was handed out last to an earlier run, whose checkpoint has it: a model whose passes depend on those
    /// before runs on it all the same.
    fn pass_over(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The row of the current batch that an element of a tensor of this shape belongs to; `None` where it cannot be told.
    fn row_of(&mut self, id: TensorId, shape: &[usize], element: usize) -> Option<usize>;

    /// Notes what could not be told of the tensors of the current batch.
    fn note(&self, _: &CaptureRequest, _: &mut Told) {}

    /// Where methods run variants of the batch that was handed out last, on so many positions of all rows together at the most if that is told;
    /// `None` where there is no model to run.
    ///
    /// # Errors
    /// Those of the bench.
    fn bench(&mut self, _: Option<usize>) -> Result<Option<Box<dyn Bench + '_>>, Error> {
        Ok(None)
    }

    /// True if the model has to run on the batch that was handed out last even if nobody asks for a tensor.
    fn has_to_run(&self) -> bool;

    /// What was read so far.
    fn counts(&self) -> Counts;

    /// How much was read so far, and how much there is.
    fn progress(&self) -> (u64, u64);

    /// What the comparisons with the untouched model have given; `None` before the first.
    fn parity(&self) -> Option<&ParityReport>;

    /// Goes on from the comparisons of an interrupted run.
    fn set_parity(&mut self, parity: Option<ParityReport>);
}
