//! From what the analyses have absorbed to files.

use std::path::PathBuf;

use fmrai_core::report::Report;
use fmrai_report::model::Model;
use fmrai_report::{Analysis, html};
use fmrai_torch::files::FileInfo;
use serde_json::{Map, Value, json};

use super::about::About;
use super::graph_file::graph_json;
use super::keeper::Keeper;
use super::lane::{Failure, Lane};
use super::not_numbers;
use super::options::Options;
use super::outcome::{Answer, Outcome};
use super::recorder::{Recorded, Recorder};
use super::session::Session;
use super::work::Work;
use crate::checkpoint::{self, Share};
use crate::error::Error;
use crate::events::Event;
use crate::plan::OnError;
use crate::report;
use crate::results::analysis::{self, ReportError};
use crate::results::folder::{GRAPH, PLAN, REPORT, RUN, SUMMARY, Staging};
use crate::results::{STORE, StoreError, WriteError, summary};

impl Session<'_> {
    /// Draws the conclusions, writes them where results are kept, and hands back what `keep` leaves of each report. The state
    /// is on disk before that, so whatever goes wrong from here on, `--resume` does this part again.
    pub(super) fn finish<R>(
        mut self,
        options: &Options<'_>,
        keep: fn(Report) -> R,
    ) -> Result<Outcome<R>, Error> {
        self.save()?;
        self.budget.conclude();
        // Where a run is tried, what it absorbed is what is wanted.
        let states = matches!(options.work, Work::Every(_)).then(|| self.state_bytes());
        let staging = self.keeper.as_ref().map(|keeper| keeper.place.folder.stage());
        let mut staging = staging.transpose().map_err(kept)?;
        let reported = self.keeper.as_ref().is_some_and(|keeper| keeper.place.report);
        let mut listing = Vec::new();
        let mut analyses = Vec::new();
        let (mut shown, mut unasked) = (Vec::new(), Vec::new());
        for lane in &mut self.lanes {
            // It goes on without batches that it refuses, but has to have one.
            if let Some(refused) = self
                .skipped
                .analyses
                .get(&lane.name)
                .filter(|left| left.count + self.skipped.batches.count >= self.data_batches)
            {
                let first = refused.first.first().cloned().unwrap_or_default();
                lane.fail("track_batch", &format!("it refused all of the data; {first}"));
            }
            options.pause(self.batches_done)?;
            self.watch.tell(&Event::Concluding { analysis: lane.name.clone() });
            let answer = match &mut staging {
                None => conclude(lane),
                Some(staging) => {
                    let stop = || (options.stop)(self.batches_done);
                    let Some(Concluded { files, store, answer }) =
                        written(lane, &stop, staging).map_err(kept)?
                    else {
                        return Err(Error::Interrupted { batches: self.batches_done });
                    };
                    let error = answer.as_ref().err().cloned();
                    if reported {
                        let found = answer.as_ref().map(|report| (report, store.as_deref()));
                        let failed = |f: &Failure| fmrai_report::Failure {
                            stage: f.stage.clone(),
                            message: f.message.clone(),
                        };
                        shown.push(report::of_report(
                            &lane.name,
                            &lane.kind,
                            &lane.config,
                            found.map_err(failed),
                            &mut unasked,
                        ));
                    }
                    listing.push(stage(staging, lane, files, store.is_some(), error).map_err(kept)?);
                    answer
                }
            };
            analyses.push((lane.name.clone(), answer.map(keep)));
        }
        options.pause(self.batches_done)?;
        self.tell_failures();
        self.stopwatch.lap("analyze");
        let mut activations = None;
        if let Some(mut staging) = staging {
            activations = self.write_run(&mut staging, &listing, (shown, unasked), states).map_err(kept)?;
            let batches = self.recorder.as_ref().map(Recorder::written).unwrap_or_default();
            if let Some(keeper) = &mut self.keeper {
                keeper.place.folder.publish(staging, &batches).map_err(kept)?;
            }
        }
        self.budget.tell();
        let failed = analyses.iter().filter(|(_, answer)| answer.is_err()).count();
        self.watch.tell(&Event::Done { answered: analyses.len() - failed, failed });
        Ok(self.outcome(analyses, activations))
    }

    /// Bytes of the state of each analysis as it was saved.
    fn state_bytes(&self) -> Map<String, Value> {
        let Some(keeper) = &self.keeper else { return Map::new() };
        let bytes = |lane: &Lane| checkpoint::state_bytes(keeper.output(), &lane.name);
        self.lanes.iter().map(|lane| (lane.name.clone(), bytes(lane).into())).collect()
    }

    /// Keeps what was absorbed of a part of the data for a merge. No conclusion is drawn from it.
    pub(super) fn keep_part<R>(mut self) -> Result<Outcome<R>, Error> {
        self.save()?;
        let failed =
            self.lanes.iter().filter_map(|lane| Some((lane.name.clone(), Err(lane.failure()?.clone()))));
        let failed = failed.collect();
        Ok(self.outcome(failed, None))
    }

    /// What is handed back, beside the answers.
    fn outcome<R>(self, analyses: Vec<(String, Answer<R>)>, activations: Option<Recorded>) -> Outcome<R> {
        let told =
            self.told.lines(self.about.graph, self.about.structure).into_iter().chain(self.skipped.lines());
        let recorded = self.about.manifest.is_some();
        Outcome {
            output: self.keeper.as_ref().map(|keeper| keeper.output().to_owned()),
            part: (self.share != Share::Whole).then(|| self.share.to_string()),
            counts: self.counts,
            parity: self.source.parity().cloned(),
            recorded,
            non_finite_weights: self.about.non_finite_weights,
            logged_warnings: if recorded { 0 } else { self.about.warnings.len() },
            warnings: self.about.warnings.into_iter().chain(told).collect(),
            analyses,
            activations,
        }
    }

    /// The files of the run itself; the summary last, since it names all others.
    fn write_run(
        &self,
        staging: &mut Staging,
        listing: &[summary::Listed],
        shown: (Vec<Analysis>, Vec<String>),
        states: Option<Map<String, Value>>,
    ) -> Result<Option<Recorded>, WriteError> {
        let Some(Keeper { place, .. }) = &self.keeper else { return Ok(None) };
        let mut run = self.stopwatch.report();
        run.insert("format".to_owned(), crate::results::FORMAT.into());
        run.insert("plan_file".to_owned(), json!(place.file.as_ref().map(|file| file.display().to_string())));
        let path = if self.about.manifest.is_some() { "activations_path" } else { "model_path" };
        run.insert(path.to_owned(), self.about.path.clone().into());
        run.insert("program".to_owned(), program());
        run.insert("threads".to_owned(), rayon::current_num_threads().into());
        run.insert("resumed_from_batch".to_owned(), self.resumed_from.into());
        if let Some(states) = states {
            run.insert("state_bytes".to_owned(), states.into());
        }
        if !self.merged.is_empty() {
            let merged: Vec<String> = self.merged.iter().map(|folder| folder.display().to_string()).collect();
            run.insert("merged_from".to_owned(), merged.into());
        }
        staging.write_json(PLAN.to_owned(), &place.document)?;
        staging.write_json(RUN.to_owned(), &run)?;
        let About { graph, structure, model, warnings, data_files, kernels, .. } = &self.about;
        let kernels = kernels.clone().unwrap_or_else(|| summary::kernels(structure, &self.requested));
        let parity = self.source.parity();
        let activations = match &self.recorder {
            Some(recorder) => {
                Some(recorder.finish(staging, &self.about, self.counts, &json!(parity), &kernels)?)
            }
            None => None,
        };
        let files: &[&'static str] = if place.report { &[GRAPH, REPORT] } else { &[GRAPH] };
        staging.write(GRAPH.to_owned(), graph_json(*graph).as_bytes())?;
        let summary = summary::Summary {
            plan: &place.document,
            model,
            warnings,
            files: data_files,
            counts: self.counts,
            batches: self.data_batches,
            graph: *graph,
            structure,
            kernels: &kernels,
            parity,
            recorded: self.about.manifest.is_some(),
            told: self.told.document(*graph, structure),
            skipped: (self.on_error == OnError::Skip).then(|| self.skipped.document()),
            files_of_run: files,
            analyses: listing,
            activations,
        };
        let document = summary.document();
        if place.report {
            staging.write(REPORT.to_owned(), page(document.clone(), &self.about, shown).as_bytes())?;
        }
        staging.write_json(SUMMARY.to_owned(), &document)?;
        Ok(activations)
    }
}

/// The page that shows the results. One that cannot be made says so itself: it is no reason to lose results.
fn page(summary: Value, about: &About<'_>, (analyses, notes): (Vec<Analysis>, Vec<String>)) -> String {
    let summary = match summary {
        Value::Object(summary) => summary,
        _ => Map::new(),
    };
    let model = Model::of(about.graph, about.structure);
    html(report::of_summary(summary, Some(model), analyses, notes)).unwrap_or_else(|error| {
        tracing::warn!(%error, "the report could not be made; the results are complete");
        "<!DOCTYPE html>\n<title>no report</title>\n<p>The report could not be made; the other files hold the results.</p>\n".to_owned()
    })
}

/// What becomes of the work where results cannot be written: the state was written before them.
fn kept(source: WriteError) -> Error {
    Error::Write { source, kept: "; nothing is lost, --resume goes on from here" }
}

/// Name, size and hash of the running program; null where the system does not tell.
fn program() -> Value {
    let read = || {
        let path = std::env::current_exe()?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        FileInfo::read(&path, &name)
    };
    read().ok().and_then(|info: FileInfo| serde_json::to_value(info).ok()).unwrap_or_default()
}

/// The report of an analysis, which ends with it, or its failure.
fn conclude(lane: &mut Lane) -> Answer<Report> {
    let mut report = lane.analyze();
    lane.close();
    report.iter_mut().for_each(not_numbers::warn);
    let unknown = || Failure { stage: String::new(), message: String::new() };
    report.filter(|_| lane.is_running()).ok_or_else(|| lane.failure().cloned().unwrap_or_else(unknown))
}

/// An analysis that has ended.
struct Concluded {
    /// Its files but for its store.
    files: analysis::Files,
    /// Where its store stands, which is written.
    store: Option<PathBuf>,
    answer: Answer<Report>,
}

/// The same with its files, of which its store is written at once; `None` if it was stopped.
fn written(
    lane: &mut Lane,
    stop: &dyn Fn() -> bool,
    staging: &mut Staging,
) -> Result<Option<Concluded>, WriteError> {
    let failure = match conclude(lane) {
        Ok(report) => match analysis::files_until(stop, &lane.name, &lane.kind, &lane.config, &report) {
            Ok(files) => {
                let name = format!("{}/{STORE}", lane.name);
                let store = report.store.as_ref().map(|store| staging.write_store(name, store)).transpose();
                match store {
                    Ok(store) => return Ok(Some(Concluded { files, store, answer: Ok(report) })),
                    Err(StoreError::Write(error)) => return Err(error),
                    Err(error) => lane.fail("report", &error.to_string()).clone(),
                }
            }
            Err(ReportError::Stopped) => return Ok(None),
            Err(error) => lane.fail("report", &error.to_string()).clone(),
        },
        Err(failure) => failure,
    };
    let Failure { stage, message } = &failure;
    let files = analysis::failure(&lane.name, &lane.kind, &lane.config, stage, message);
    Ok(Some(Concluded { files, store: None, answer: Err(failure) }))
}

/// Writes the files of an analysis, and says what the summary lists of it.
fn stage(
    staging: &mut Staging,
    lane: &Lane,
    files: analysis::Files,
    has_store: bool,
    error: Option<Failure>,
) -> Result<summary::Listed, WriteError> {
    let mut names = Vec::with_capacity(files.len() + 1);
    let last = files.len().saturating_sub(1);
    for (at, (file, content)) in files.into_iter().enumerate() {
        if has_store && at == last {
            names.push(format!("{}/{STORE}", lane.name)); // before the summary, which names it
        }
        let name = format!("{}/{file}", lane.name);
        names.push(name.clone());
        staging.write(name, &content)?;
    }
    Ok(summary::Listed { name: lane.name.clone(), kind: lane.kind.clone(), error, files: names })
}
