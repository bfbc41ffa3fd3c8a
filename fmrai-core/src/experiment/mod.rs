//! Methods that drive the model: what they ask for, as data, and the bench that does it.
//!
//! An [`Experiment`] is given each batch with its clean pass, and a [`Bench`] on which it runs variants of that pass. A [`Variant`] is
//! some rows of the batch with [`Edit`]s; each edit says where ([`Site`]), on which part, and what happens there ([`Change`]). What is
//! measured of a variant is an [`Objective`], one number for each row, which can be differentiated, too. All of it is data, so that a
//! method needs no libtorch, and a bench may run variants together, or leave out what no edit can have changed.

mod bench;
mod config;
mod edit;
mod function;
mod objective;
mod place;
mod site;
mod site_kind;
mod sites;

pub use bench::{Bench, BenchError, GradientPath, Gradients, PathGradients};
pub use config::ExperimentConfig;
pub use edit::{Change, Edit, Variant};
pub use function::Function;
pub use objective::{Answer, Element, Measure, Objective, Reference};
pub use place::Place;
pub use site::{Axis, Layout, Site, Size};
pub use site_kind::SiteKind;
pub use sites::{Block, Sites, blocks};

use crate::analyzer::{Analysis, AnalyzerError, ModelView};
use crate::batch::{Batch, Sample};
use crate::tracker::CaptureRequest;

/// A method that drives a model over many batches: three methods beside those of [`Analysis`].
///
/// The host calls `prepare` once, `run_batch` for every batch, and `analyze` at the end. It MUST keep the promises of an
/// [`Analyzer`](crate::analyzer::Analyzer): the merge law, no trace of a batch that fails, no heed of padding.
///
/// A method whose runs need a number that only all of the data tell, such as a mean, goes through them more than once: it says how often in
/// [`sweeps`](Self::sweeps), and is told of the end of each sweep but the last by [`next_sweep`](Self::next_sweep). Then its
/// state says which sweep it is in. The merge law holds within a sweep: states are merged that are in the same one and have found the same in
/// those before, or into one that has seen nothing, which takes all of it.
pub trait Experiment: Analysis {
    /// Looks at the model and names the tensors to keep of the clean pass for [`run_batch`](Self::run_batch).
    ///
    /// # Errors
    /// [`AnalyzerError::Unsuitable`] if the model lacks what the method is about.
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError>;

    /// Whether the method can do with these samples: what is wrong with them as far as it shows without a pass, so that a user is told before
    /// anything long runs. Called after [`prepare`](Self::prepare); [`run_batch`](Self::run_batch) says the same of such samples. Methods in library
    /// files are not asked: the ABI has no such function.
    ///
    /// # Errors
    /// [`AnalyzerError::UnsuitableData`] if they are not what the method is about.
    fn accepts(&self, samples: &[Sample]) -> Result<(), AnalyzerError> {
        let _ = samples;
        Ok(())
    }

    /// How many passes a batch of these samples takes beside the clean one, each row of each variant counted as its share of the
    /// batch: what a user is told before anything long runs. Called after [`prepare`](Self::prepare).
    fn passes(&self, samples: &[Sample]) -> f64;

    /// Absorbs one batch: its samples with what was kept of the clean pass, and the bench to run variants of it.
    ///
    /// # Errors
    /// Any [`AnalyzerError`], and then the state is as it was before.
    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError>;

    /// How many times it goes through the data, at least once. Called after [`prepare`](Self::prepare).
    fn sweeps(&self) -> usize {
        1
    }

    /// Ends a sweep: what was absorbed is all of the data, and the same batches come again, in the same order. Not called after the last one.
    ///
    /// # Errors
    /// [`AnalyzerError::NotEnoughData`] if too little was absorbed to go on.
    fn next_sweep(&mut self) -> Result<(), AnalyzerError> {
        Ok(())
    }
}

const _: Option<&dyn Experiment> = None; // stays object-safe
