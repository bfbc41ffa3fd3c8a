//! What is done with a batch: passes of the model, and what analyses and captures take from them.
//!
//! A batch is one pass, unless there is no memory for it: then it is cut into pieces, which analyses see one after the other. By the merge law
//! that makes no difference to what they find.

use std::ops::Range;

use fmrai_core::batch::Batch;
use fmrai_core::selector::labels;
use fmrai_core::tracker::{Activations, CaptureRequest};
use fmrai_torch::data::Counts;
use fmrai_torch::{give_back_freed_pages, is_out_of_memory};

use super::budget::{Measuring, Size};
use super::error::RunError;
use super::lane::Lane;
use super::pieces::{self, Joined};
use super::samples::Samples;
use super::session::{NO_MODEL, Session, is_of_the_model};
use crate::error::Error;
use crate::plan::OnError;

/// What is to be done with a batch.
struct Wanted {
    /// Everything that anybody wants to see of it.
    request: CaptureRequest,
    /// It is to be written.
    captured: bool,
    /// An earlier run has shown it to the analyses.
    again: bool,
}

/// A pass of the model.
struct Pass {
    activations: Box<dyn Activations>,
    measuring: Option<Measuring>,
}

/// A batch that is seen in pieces.
#[derive(Default)]
struct Cut {
    /// What is to be written of it.
    captured: Joined,
    /// Analyses that have refused a piece.
    refused: Vec<String>,
}

impl Session<'_> {
    /// Forward passes, seen by every analysis, and written where that is asked for.
    pub(super) fn absorb(&mut self, batch: &Samples, added: Counts) -> Result<(), Error> {
        let index = batch.index;
        let _limited = self.limit.batch(index);
        let sweep = self.sweep;
        let looking = self.lanes.iter().filter(|lane| lane.looks_in(sweep));
        let mut request = looking.fold(CaptureRequest::none(), |all, lane| all.union(&lane.request));
        // What an interrupted run has written already is kept.
        let captured = self.recorder().is_some_and(|recorder| !recorder.has(index));
        if let Some(recorder) = self.recorder() {
            // Also where the batch is there: a comparison with the untouched model is one of all that is captured.
            request = request.union(recorder.request());
        }
        // A batch that is there runs again all the same: what is told of its tensors is not written with it.
        if !self.somebody_looks() && !self.source.has_to_run() {
            return Ok(());
        }
        self.in_pieces(batch, &Wanted { request, captured, again: false }, added)
    }

    /// A batch that was absorbed before: the model's state follows it, and its file is written again if it is gone or spoiled.
    pub(super) fn pass_over(&mut self, batch: &Samples, added: Counts) -> Result<(), Error> {
        let Some(recorder) = self.recorder().filter(|recorder| !recorder.has(batch.index)) else {
            return self.source.pass_over().map_err(|error| of_batch(batch, error));
        };
        let wanted = Wanted { request: recorder.request().clone(), captured: true, again: true };
        let parity = self.source.parity().cloned(); // it has been compared before
        self.in_pieces(batch, &wanted, added)?;
        self.source.set_parity(parity);
        Ok(())
    }

    /// The batch at once, or as many of its samples at a time as there is memory for.
    fn in_pieces(&mut self, batch: &Samples, wanted: &Wanted, added: Counts) -> Result<(), Error> {
        let all = batch.samples.len();
        let positions = self.source.size().positions;
        let (mut from, mut cut) = (0, None);
        if self.budget.is_set() {
            let ahead = self.lanes.iter().map(Lane::bytes_ahead).sum();
            self.budget.leave(ahead);
        }
        loop {
            let samples = self.next_piece(batch, from, positions)?;
            let piece = match samples == (0..all) {
                true => self.whole(batch, wanted, added),
                false => {
                    if cut.is_none() {
                        self.may_be_cut(wanted).map_err(|error| of_batch(batch, error))?;
                    }
                    self.piece(batch, samples.clone(), wanted, cut.get_or_insert_default())
                }
            };
            match piece {
                Ok(()) => from = samples.end,
                Err(error) if lacks_memory(&error) && self.goes_with_fewer(batch, &samples) => {
                    self.budget.lacked(Size { rows: samples.len(), positions });
                    let (batch, samples) = (batch.index, samples.len());
                    let what = "there is no memory for so many samples at once: it goes on with fewer";
                    tracing::warn!(batch, samples, "{what}");
                    give_back_freed_pages();
                }
                Err(error) => return Err(error),
            }
            if from >= all {
                break;
            }
        }
        match cut {
            // A batch of which something was left out is not written, as one that was left out whole is not.
            Some(Cut { captured, .. }) if wanted.captured && captured.samples() == all => {
                self.record_joined(batch, captured, added)
            }
            _ => Ok(()),
        }
    }

    /// The samples from one on that there is memory for, as far as it is known; all of them where the batch cannot be cut.
    fn next_piece(&self, batch: &Samples, from: usize, positions: usize) -> Result<Range<usize>, Error> {
        let all = from..batch.samples.len();
        if !self.budget.cuts() {
            return Ok(all);
        }
        let Some(least) = self.source.least() else { return Ok(all) };
        let rows = self.budget.rows(Size { rows: all.len(), positions });
        let rows = rows.map_err(|error| of_batch(batch, error.into()))?;
        Ok(pieces::next(&batch.samples, from, rows, least))
    }

    /// Whether a part of these samples can run by itself.
    fn goes_with_fewer(&self, batch: &Samples, samples: &Range<usize>) -> bool {
        let half = |least| pieces::next(&batch.samples, samples.start, samples.len() / 2, least);
        self.source.least().is_some_and(|least| half(least).len() < samples.len())
    }

    /// All of the batch.
    fn whole(&mut self, batch: &Samples, wanted: &Wanted, added: Counts) -> Result<(), Error> {
        let Some(pass) = self.pass(batch, wanted)? else { return Ok(()) };
        if wanted.captured
            && let Some(recorder) = &mut self.recorder
        {
            recorder.record(batch, pass.activations.as_ref(), added)?;
        }
        self.shown(batch, pass, wanted, &mut Vec::new())
    }

    /// Some of its samples.
    fn piece(
        &mut self,
        batch: &Samples,
        samples: Range<usize>,
        wanted: &Wanted,
        cut: &mut Cut,
    ) -> Result<(), Error> {
        self.source.narrow(samples.clone())?;
        let some = batch.samples.get(samples).unwrap_or_default().to_vec();
        let piece = Samples { index: batch.index, samples: some };
        let Some(pass) = self.pass(&piece, wanted)? else { return Ok(()) };
        if wanted.captured
            && let Some(recorder) = &self.recorder
        {
            let added = cut.captured.add(piece.samples.len(), pass.activations.as_ref(), recorder.request());
            added.map_err(|error| Error::Internal(format!("capture: {error}")))?;
        }
        self.shown(&piece, pass, wanted, &mut cut.refused)
    }

    /// Samples of one batch can be seen apart from each other only if they do not depend on each other.
    fn may_be_cut(&mut self, wanted: &Wanted) -> Result<(), Error> {
        let layouts = self.source.samples_in(&wanted.request)?;
        let mixed = wanted.request.tensors().find(|id| layouts.get(id).is_some_and(|layout| layout.mixed));
        match mixed {
            None => Ok(()),
            Some(id) => {
                let name = labels(self.about.graph, self.about.structure, id).swap_remove(0);
                let what = format!("what {name} ({id}) holds of one sample depends on the others");
                Err(RunError::Whole { what }.into())
            }
        }
    }

    /// Writes a batch that was seen in pieces.
    fn record_joined(&mut self, batch: &Samples, joined: Joined, added: Counts) -> Result<(), Error> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        let layouts = self.source.samples_in(recorder.request())?;
        let whole = joined.finish(&layouts).map_err(|id| {
            let what = format!("where its samples are in the captured tensor {id} cannot be told");
            Error::from(RunError::Whole { what })
        })?;
        recorder.record(batch, &whole, added)
    }

    /// One forward pass; `None` where the model fails on it and is allowed to.
    fn pass(&mut self, batch: &Samples, wanted: &Wanted) -> Result<Option<Pass>, Error> {
        let measuring = self.budget.measure()?;
        match self.source.activations(&wanted.request) {
            Ok(activations) => Ok(Some(Pass { activations, measuring })),
            // A pass that failed half-way may have left something in a model that carries it on.
            Err(error)
                if self.on_error == OnError::Skip
                    && is_of_the_model(&error)
                    && !lacks_memory(&error)
                    && !self.source.carries_state() =>
            {
                if !wanted.again {
                    let samples: Vec<u64> = batch.samples.iter().map(|sample| sample.id).collect();
                    self.skipped.batch(batch.index, &samples, &error.to_string());
                }
                Ok(None)
            }
            Err(error) => Err(of_batch(batch, error)),
        }
    }

    /// Shows samples to every analysis. One that has refused others of the same batch is told of once.
    fn shown(
        &mut self,
        batch: &Samples,
        pass: Pass,
        wanted: &Wanted,
        refused: &mut Vec<String>,
    ) -> Result<(), Error> {
        let Pass { activations, measuring } = pass;
        if wanted.again {
            return Ok(());
        }
        let (index, sweep) = (batch.index, self.sweep);
        if sweep == 0 {
            let source = &mut self.source;
            source.note(&wanted.request, &mut self.told);
            let row_of = |id, shape: &[usize], element| source.row_of(id, shape, element);
            self.told.look(batch, activations.as_ref(), &wanted.request, row_of);
        }
        let seen = Batch::new(index, &batch.samples, activations.as_ref());
        let (on_error, skipped) = (self.on_error, &mut self.skipped);
        let mut refuse = |lane: &Lane, why: Option<String>| {
            if let Some(why) = why
                && !refused.contains(&lane.name)
            {
                refused.push(lane.name.clone());
                skipped.refused(&lane.name, index, &why);
            }
        };
        for lane in self.lanes.iter_mut().filter(|lane| lane.looks_in(sweep)) {
            let why = lane.track_batch(&seen, on_error);
            refuse(lane, why);
        }
        let size = self.source.size();
        let positions = self.budget.positions(size.positions);
        for lane in self.lanes.iter_mut().filter(|lane| lane.looks_in(sweep) && lane.drives_model()) {
            match self.source.bench(positions)? {
                Some(mut bench) => {
                    let why = lane.run_batch(&seen, bench.as_mut(), on_error);
                    refuse(lane, why);
                }
                None => {
                    lane.fail("prepare", NO_MODEL);
                }
            }
        }
        drop(activations);
        self.budget.learn(measuring, size);
        Ok(())
    }
}

fn of_batch(batch: &Samples, error: Error) -> Error {
    Error::Batch { index: batch.index, error: Box::new(error) }
}

/// True for a pass for which there was no memory.
fn lacks_memory(error: &Error) -> bool {
    match error {
        Error::Batch { error, .. } => lacks_memory(error),
        error => is_of_the_model(error) && is_out_of_memory(&error.to_string()),
    }
}
