//! A run between its first batch and its results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use fmrai_core::graph::Graph;
use fmrai_core::tracker::CaptureRequest;
use fmrai_torch::data::Counts;

use super::about::About;
use super::budget::Budget;
use super::error::RunError;
use super::graph_file::graph_json;
use super::interim::Interim;
use super::keeper::Keeper;
use super::lane::Lane;
use super::limit::Limit;
use super::options::Options;
use super::recorder::Recorder;
use super::skipped::Skipped;
use super::source::Source;
use super::stopwatch::Stopwatch;
use super::takes;
use super::told::Told;
use super::watch::Watch;
use super::work::{Part, Work};
use crate::checkpoint::{Checkpoint, Share};
use crate::error::Error;
use crate::events::Event;
use crate::plan::OnError;
use crate::resident::held;
use crate::results::folder::{GRAPH, Occupant, STATE};
use crate::results::{WriteError, write};

/// A run between its first batch and its results.
pub(super) struct Session<'m> {
    /// Those who watch it.
    pub(super) watch: Watch<'m>,
    /// Analyses whose failure was told.
    pub(super) failed: BTreeSet<String>,
    /// What it keeps on disk; where it is absent, the run keeps nothing.
    pub(super) keeper: Option<Keeper<'m>>,
    /// Which batches it is about.
    pub(super) share: Share,
    pub(super) limit: Limit,
    pub(super) budget: Budget,
    pub(super) about: About<'m>,
    pub(super) source: &'m mut dyn Source,
    pub(super) lanes: Vec<Lane>,
    pub(super) recorder: Option<Recorder>,
    /// What the analyses asked for at the start, and what is captured.
    pub(super) requested: CaptureRequest,
    /// Batches absorbed, those of all sweeps through the data together; in a part of the data also those before it.
    pub(super) batches_done: u64,
    /// Batches that the data have given, or as many of them as somebody looked at. Where texts without tokens leave a gap, they are fewer than the
    /// last index tells.
    pub(super) data_batches: u64,
    /// Which sweep through the data it is, from 0.
    pub(super) sweep: usize,
    pub(super) counts: Counts,
    /// What was counted before, and what the source had counted by then.
    pub(super) counted: (Counts, Counts),
    pub(super) told: Told,
    pub(super) on_error: OnError,
    pub(super) skipped: Skipped,
    pub(super) resumed_from: Option<u64>,
    /// The folders whose work was taken up.
    pub(super) merged: Vec<PathBuf>,
    pub(super) stopwatch: Stopwatch,
}

impl Session<'_> {
    /// Takes up what an earlier run has kept, or starts anew.
    pub(super) fn begin(&mut self, options: &Options<'_>) -> Result<(), Error> {
        if let Work::Merge { folders, partial } = &options.work {
            return self.merge(folders, *partial);
        }
        if let Work::Part(part) = options.work {
            self.only(part)?;
        }
        let unfinished = |keeper: &Keeper<'_>| keeper.place.occupant == Occupant::Unfinished;
        if options.resume && self.keeper.as_ref().is_some_and(unfinished) {
            self.resume()?;
        }
        if self.resumed_from.is_none() {
            self.start_anew()?;
            if self.recorder.is_some() {
                // Whatever ends the run, the batches that it writes are known to be those of this plan.
                self.save()?;
            }
        }
        Ok(())
    }

    /// Drops what an unfinished run has kept.
    pub(super) fn start_anew(&mut self) -> Result<(), Error> {
        if let Some(keeper) = &mut self.keeper {
            keeper.place.folder.start_anew()?;
        }
        if let Some(keeper) = &self.keeper {
            // What is shown of a run before it has ended; it goes when the run ends.
            let path = keeper.output().join(STATE).join(GRAPH);
            write(&path, graph_json(self.about.graph).as_bytes())?;
        }
        Ok(())
    }

    /// Runs some of the batches only.
    fn only(&mut self, part: Part) -> Result<(), Error> {
        if self.source.carries_state() {
            let what = "the model carries something over from one batch to the next, so no part of the data can be run by itself";
            return Err(RunError::Part { what: what.to_owned() }.into());
        }
        let stretch = part.stretch(self.source.total()?)?;
        self.batches_done = stretch.from;
        self.share = Share::Part(stretch);
        Ok(())
    }

    /// Takes the states of the checkpoint, if it is of this very run.
    fn resume(&mut self) -> Result<(), Error> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let Some(checkpoint) = keeper.load(&self.share)? else { return Ok(()) };
        let output = keeper.output();
        let now = rayon::current_num_threads();
        if checkpoint.threads != now {
            let then = checkpoint.threads;
            tracing::warn!(
                then,
                now,
                "another number of threads may change the last digits of the model's numbers"
            );
        }
        for lane in &mut self.lanes {
            lane.restore(checkpoint.analysis(&lane.name, output)?)?;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.resume()?;
        }
        self.source.set_parity(checkpoint.parity);
        self.batches_done = checkpoint.batches;
        self.counts = checkpoint.counts;
        self.told = checkpoint.told;
        self.skipped = checkpoint.skipped;
        self.data_batches = checkpoint.data_batches;
        self.resumed_from = Some(checkpoint.batches);
        keeper.saved(checkpoint.batches);
        Ok(())
    }

    /// Shows every batch to every analysis.
    pub(super) fn follow(&mut self, options: &Options<'_>) -> Result<(), Error> {
        self.watch.tell(&Event::Started {
            analyses: self.lanes.iter().map(|lane| lane.name.clone()).collect(),
            operations: self.about.graph.operations().len(),
            texts: self.counts.texts,
            of: self.source.progress().1,
            weights: takes::weights(self.about.graph),
            pass: self.source.recording_bytes(),
            kept: takes::kept(self.about.graph, &self.requested),
            held: held(),
        });
        self.tell_failures();
        self.follow_with(options)?;
        self.stopwatch.lap("track");
        Ok(())
    }

    /// Tells of analyses that have failed since this was last called.
    pub(super) fn tell_failures(&mut self) {
        for lane in &self.lanes {
            if let Some(failure) = lane.failure()
                && self.failed.insert(lane.name.clone())
            {
                self.watch.tell(&Event::Failed {
                    analysis: lane.name.clone(),
                    stage: failure.stage.clone(),
                    message: failure.message.clone(),
                });
            }
        }
    }

    fn follow_with(&mut self, options: &Options<'_>) -> Result<(), Error> {
        let mut keeping = Keeping { last: Instant::now(), interim: Interim::new() };
        let mut read = 0;
        for sweep in 0.. {
            self.sweep = sweep;
            self.sweep(options, &mut read, &mut keeping)?;
            if self.share != Share::Whole {
                return Ok(()); // what goes through the data again does so when all parts are there
            }
            if sweep == 0 {
                self.counts = self.source.all_counts().unwrap_or_else(|| self.counts_now());
            }
            self.begin_others(sweep + 1)?;
            if self.lanes.iter().all(|lane| lane.ends().is_some_and(|ends| ends <= sweep + 1)) {
                break;
            }
            // What went on from a checkpoint of a later sweep has been told before.
            if read == self.batches_done {
                self.lanes.iter_mut().for_each(|lane| lane.next_sweep(sweep));
            }
            self.source.rewind()?;
        }
        Ok(())
    }

    /// Lets analyses begin in this sweep that take values from the results of others, where these are there.
    fn begin_others(&mut self, sweep: usize) -> Result<(), Error> {
        if !self.lanes.iter().any(Lane::waits) {
            return Ok(());
        }
        let over = |lane: &Lane| lane.ends().is_some_and(|ends| ends <= sweep);
        let ended: Vec<String> =
            self.lanes.iter().filter(|lane| over(lane)).map(|lane| lane.name.clone()).collect();
        let ready = |lane: &Lane| lane.waits() && lane.needs().iter().all(|need| ended.contains(need));
        let needed: Vec<String> =
            self.lanes.iter().filter(|lane| ready(lane)).flat_map(Lane::needs).collect();
        let mut results = BTreeMap::new();
        for lane in self.lanes.iter_mut().filter(|lane| needed.contains(&lane.name)) {
            let report = lane.analyze();
            let why = || lane.failure().map(|failure| failure.message.clone()).unwrap_or_default();
            results.insert(lane.name.clone(), report.ok_or_else(why));
        }
        let view = self.about.view();
        for lane in self.lanes.iter_mut().filter(|lane| ready(lane)) {
            lane.begin_with(&results, sweep, &view)?;
            self.requested = self.requested.clone().union(&lane.request);
        }
        Ok(())
    }

    /// Goes through the data once; `read` batches of all sweeps have been read before.
    fn sweep(&mut self, options: &Options<'_>, read: &mut u64, keeping: &mut Keeping) -> Result<(), Error> {
        let before = *read;
        let end = match &self.share {
            Share::Whole => u64::MAX,
            Share::Part(part) => part.to,
            Share::Merged { .. } => return Ok(()),
        };
        *read += self.skip(before)?;
        // What was read counts, so no more is read than was needed, also when a run is resumed.
        while *read < end && (*read < self.batches_done || *read == 0 || self.somebody_looks()) {
            let by_then = self.source.counts();
            let next = self.source.next()?.filter(|batch| before + batch.index < end);
            let Some(batch) = next else {
                if let Share::Part(part) = &self.share {
                    self.batches_done = part.to; // there are no more texts with tokens in it
                }
                break;
            };
            let added = self.source.counts().since(by_then);
            *read = before + batch.index + 1;
            let refused = self.source.take_refused();
            if self.sweep == 0 && *read > self.batches_done {
                refused.into_iter().for_each(|record| self.skipped.record(record));
            }
            let done = match *read <= self.batches_done {
                true => options.pause(self.batches_done).and_then(|()| self.pass_over(&batch, added)),
                false => self.absorb(&batch, added),
            };
            done.map_err(|error| match error {
                Error::Write { source, .. } => self.keep(source),
                other => other,
            })?;
            if *read <= self.batches_done {
                if *read == self.batches_done {
                    self.counted = (self.counts, self.source.counts());
                }
                continue;
            }
            self.batches_done = *read;
            self.data_batches += u64::from(self.sweep == 0);
            let mut counts = self.source.counts();
            if self.sweep == 0 {
                counts = self.counts_now();
                self.counts = counts;
            }
            let (bytes, of) = self.source.progress();
            let (batches, texts) = (self.batches_done, counts.texts);
            self.watch.tell(&Event::Batch { batches, sweep: self.sweep, texts, read: bytes, of });
            self.tell_failures();
            let stopping = (options.stop)(self.batches_done);
            let due =
                |keeper: &Keeper<'_>| stopping || keeping.last.elapsed() >= keeper.place.checkpoint_every;
            if self.keeper.as_ref().is_some_and(due) {
                self.save()?;
                if let Some(keeper) = &self.keeper {
                    for analysis in keeping.interim.write(&self.lanes, keeper.output(), stopping) {
                        self.watch.tell(&Event::Interim { analysis });
                    }
                }
                keeping.last = Instant::now();
            }
            if stopping {
                return Err(Error::Interrupted { batches: self.batches_done });
            }
        }
        Ok(())
    }

    /// What was counted so far in the first sweep.
    fn counts_now(&self) -> Counts {
        let (before, by_then) = self.counted;
        before.plus(self.source.counts().since(by_then))
    }

    /// Passes over batches that this run need not read, and says how many.
    fn skip(&mut self, before: u64) -> Result<u64, Error> {
        let first = if let Share::Part(part) = &self.share { part.from } else { 0 };
        let done = self.batches_done - before.min(self.batches_done);
        let recorded = |recorder: &Recorder| (first..done).all(|index| recorder.has(index));
        let needed = self.source.carries_state() || !self.recorder().is_none_or(recorded);
        let count = if needed { first } else { done };
        if count == 0 {
            return Ok(0);
        }
        let passed = self.source.skip(count)?;
        if passed < count {
            // It is in a later sweep: batches of this one are counted as they were.
            self.source.rewind()?;
            return Ok(0);
        }
        if self.sweep == 0 {
            let counts = if done == count { self.counts } else { Counts::default() };
            self.counted = (counts, self.source.counts());
        }
        Ok(passed)
    }

    pub(super) fn somebody_looks(&self) -> bool {
        self.recorder().is_some() || self.lanes.iter().any(|lane| lane.looks_in(self.sweep))
    }

    /// What writes activations: those of the first sweep, since later ones give the same.
    pub(super) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref().filter(|_| self.sweep == 0)
    }

    /// Writes the state to disk, unless it is there or nothing is kept.
    pub(super) fn save(&mut self) -> Result<(), Error> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let (source, lanes) = (&self.source, &mut self.lanes);
        let plan_file = keeper.place.file.as_ref().and_then(|file| std::path::absolute(file).ok());
        let checkpoint = |identity| Checkpoint {
            identity,
            share: self.share.clone(),
            batches: self.batches_done,
            counts: self.counts,
            parity: source.parity().cloned(),
            told: self.told.clone(),
            skipped: self.skipped.clone(),
            data_batches: self.data_batches,
            threads: rayon::current_num_threads(),
            plan_file,
            analyses: Vec::new(), // they come one by one
        };
        let states = lanes.iter_mut().map(|lane| (lane.name.clone(), lane.progress()));
        keeper.save(self.batches_done, checkpoint, states)
    }

    /// Says what becomes of the work done so far when a file cannot be written: a later `--resume` goes on with it.
    fn keep(&mut self, source: WriteError) -> Error {
        let kept = match self.save() {
            Ok(()) => "; nothing is lost, --resume goes on from here",
            Err(error) => {
                tracing::warn!(%error, "the checkpoint could not be written either");
                ""
            }
        };
        Error::Write { source, kept }
    }
}

/// True for the failure of a pass.
pub(super) fn is_of_the_model(error: &Error) -> bool {
    matches!(error, Error::Model(_) | Error::Track(_))
}

/// What has to be done now and then.
struct Keeping {
    /// When a checkpoint was written last.
    last: Instant,
    interim: Interim,
}

/// What is said of a method that goes through data more than once where they can be read only once.
pub(super) const ONCE: &str = "it goes through the data more than once, and here they are batches that were handed over: give the run \
     a data source";

/// What is said of a method that drives the model where there is none.
pub(super) const NO_MODEL: &str =
    "it runs the model itself, and here are activations alone: run the plan with a model and data";

/// Everything that any analysis still wants to see.
pub(super) fn union(lanes: &[Lane]) -> CaptureRequest {
    lanes.iter().fold(CaptureRequest::none(), |all, lane| all.union(&lane.request))
}
