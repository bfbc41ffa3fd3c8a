//! Where a run's batches and their activations come from.

use fmrai_core::experiment::Bench;
use fmrai_core::graph::TensorId;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::data::{Counts, RefusedRecord};

use super::parity::ParityReport;
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

    /// Leaves the batch that was handed out last to an earlier run, whose checkpoint has it: a model whose passes depend on those
    /// before runs on it all the same.
    fn pass_over(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The row of the current batch that an element of a tensor of this shape belongs to; `None` where it cannot be told.
    fn row_of(&mut self, id: TensorId, shape: &[usize], element: usize) -> Option<usize>;

    /// Notes what could not be told of the tensors of the current batch.
    fn note(&self, _: &CaptureRequest, _: &mut Told) {}

    /// Where methods run variants of the batch that was handed out last; `None` where there is no model to run.
    ///
    /// # Errors
    /// Those of the bench.
    fn bench(&mut self) -> Result<Option<Box<dyn Bench + '_>>, Error> {
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
