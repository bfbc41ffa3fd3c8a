//! A model that runs on data.

use std::sync::Arc;

use fmrai_core::data::{Batches, Counts, InputBatch};
use fmrai_core::graph::RecordedGraph;
use fmrai_core::model::{Model, NamedTensors};
use fmrai_core::tracker::{Activations, CaptureRequest};

use super::rows::RealRows;
use super::source::{Samples, Source};
use super::{ParityReport, Watched};
use crate::error::Error;
use crate::plan::Parity;

/// A model under watch, and what it runs on.
pub(super) struct Live<'m> {
    watched: Watched<'m>,
    batches: Box<dyn Batches + 'm>,
    /// Read already, to record the graph.
    first: Option<InputBatch>,
    /// Inputs, samples and rows that fill up, of the batch handed out last.
    current: Option<(NamedTensors, usize, usize)>,
}

impl<'m> Live<'m> {
    /// Records the graph of the model as it runs on the first batch, and starts before it.
    pub(super) fn start(
        model: &'m dyn Model,
        batches: Box<dyn Batches + 'm>,
        first: InputBatch,
        parity: Parity,
    ) -> Result<(Self, Arc<RecordedGraph>), Error> {
        let mut watched = Watched::new(model, parity)?;
        let graph = watched.discover(&first.inputs)?;
        Ok((Self { watched, batches, first: Some(first), current: None }, graph))
    }
}

impl Source for Live<'_> {
    fn next(&mut self) -> Result<Option<Samples>, Error> {
        let batch = match self.first.take() {
            Some(first) => Some(first),
            None => self.batches.next_batch()?,
        };
        Ok(batch.map(|InputBatch { index, samples, inputs, filler }| {
            self.current = Some((inputs, samples.len(), filler));
            Samples { index, samples }
        }))
    }

    fn activations(&mut self, request: &CaptureRequest) -> Result<Box<dyn Activations>, Error> {
        let Some((inputs, samples, filler)) = &self.current else {
            return Err(Error::Internal("activations were asked for before the first batch".to_owned()));
        };
        let all = self.watched.pass(inputs, request)?;
        Ok(if *filler == 0 { all } else { Box::new(RealRows::of(all, request, *samples, *filler)) })
    }

    fn has_to_run(&self) -> bool {
        self.watched.compares_next()
    }

    fn counts(&self) -> Counts {
        self.batches.counts()
    }

    fn progress(&self) -> (u64, u64) {
        self.batches.progress()
    }

    fn parity(&self) -> Option<&ParityReport> {
        self.watched.parity()
    }

    fn set_parity(&mut self, parity: Option<ParityReport>) {
        self.watched.set_parity(parity);
    }
}
