//! From what the analyses have absorbed to files.

use fmrai_core::report::Report;
use fmrai_torch::files::FileInfo;
use serde_json::json;

use super::about::About;
use super::lane::{Failure, Lane};
use super::options::Options;
use super::outcome::{Answer, Outcome};
use super::recorder::{Recorded, Recorder};
use super::session::Session;
use crate::error::Error;
use crate::results::analysis::{self, ReportError};
use crate::results::folder::{PLAN, RUN, SUMMARY, Staging};
use crate::results::{WriteError, summary};

impl Session<'_> {
    /// Draws the conclusions and writes them. The state is on disk before that, so whatever goes wrong from here on, `--resume`
    /// does this part again.
    pub(super) fn finish(mut self, options: &Options<'_>) -> Result<Outcome, Error> {
        self.save()?;
        let mut staging = self.folder.stage().map_err(kept)?;
        let mut listing = Vec::new();
        let mut analyses = Vec::new();
        for i in 0..self.lanes.len() {
            options.pause(self.batches_done)?;
            let concluded = conclude(&mut self.lanes[i], &|| (options.stop)(self.batches_done));
            let Some((files, answer)) = concluded else {
                return Err(Error::Interrupted { batches: self.batches_done });
            };
            let lane = &self.lanes[i];
            let mut names = Vec::with_capacity(files.len());
            for (file, content) in files {
                let name = format!("{}/{file}", lane.name);
                names.push(name.clone());
                staging.write(name, &content).map_err(kept)?;
            }
            listing.push(summary::Listed {
                name: lane.name.clone(),
                kind: lane.kind.clone(),
                error: answer.as_ref().err().cloned(),
                files: names,
            });
            analyses.push((lane.name.clone(), answer));
        }
        options.pause(self.batches_done)?;
        self.stopwatch.lap("analyze");
        let activations = self.write_run(&mut staging, &listing).map_err(kept)?;
        let batches = self.recorder.as_ref().map(Recorder::written).unwrap_or_default();
        self.folder.publish(staging, &batches).map_err(kept)?;
        let told = self.told.lines(self.about.graph, self.about.structure);
        Ok(Outcome {
            output: self.plan.output,
            counts: self.counts,
            parity: self.source.parity().cloned(),
            non_finite_weights: self.about.non_finite_weights,
            warnings: self.about.warnings.into_iter().chain(told).collect(),
            analyses,
            activations,
        })
    }

    /// The files of the run itself; the summary last, since it names all others.
    fn write_run(
        &self,
        staging: &mut Staging,
        listing: &[summary::Listed],
    ) -> Result<Option<Recorded>, WriteError> {
        let mut run = self.stopwatch.report();
        run.insert("format".to_owned(), crate::results::FORMAT.into());
        run.insert("plan_file".to_owned(), self.plan.file.display().to_string().into());
        let path = if self.about.manifest.is_some() { "activations_path" } else { "model_path" };
        run.insert(path.to_owned(), self.about.path.clone().into());
        run.insert("program".to_owned(), program());
        run.insert("threads".to_owned(), self.threads.into());
        run.insert("resumed_from_batch".to_owned(), self.resumed_from.into());
        staging.write_json(PLAN.to_owned(), &self.document)?;
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
        let summary = summary::Summary {
            plan: &self.document,
            model,
            warnings,
            files: data_files,
            counts: self.counts,
            batches: self.batches_done,
            graph: *graph,
            structure,
            kernels: &kernels,
            parity,
            told: self.told.document(*graph, structure),
            analyses: listing,
            activations,
        };
        staging.write_json(SUMMARY.to_owned(), &summary.document())?;
        Ok(activations)
    }
}

/// What becomes of the work where results cannot be written: the state was written before them.
fn kept(source: WriteError) -> Error {
    Error::Write { source, kept: "; nothing is lost, --resume goes on from here" }
}

/// Name, size and hash of the running program; null where the system does not tell.
fn program() -> serde_json::Value {
    let read = || {
        let path = std::env::current_exe()?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        FileInfo::read(&path, &name)
    };
    read().ok().and_then(|info: FileInfo| serde_json::to_value(info).ok()).unwrap_or_default()
}

/// The files of an analysis, and its answer or failure; `None` if it was stopped.
fn conclude(lane: &mut Lane, stop: &dyn Fn() -> bool) -> Option<(analysis::Files, Answer)> {
    let report = lane.analyze();
    lane.close();
    if let Some(report) = report.filter(|_| lane.is_running()) {
        match analysis::files_until(stop, &lane.name, &lane.kind, &lane.config, &report) {
            Ok(files) => {
                let Report { summary, .. } = report;
                return Some((files, Ok(summary)));
            }
            Err(ReportError::Stopped) => return None,
            Err(error) => lane.fail("report", &error.to_string()),
        }
    }
    let unknown = || Failure { stage: String::new(), message: String::new() };
    let failure = lane.failure().cloned().unwrap_or_else(unknown);
    let Failure { stage, message } = &failure;
    Some((analysis::failure(&lane.name, &lane.kind, &lane.config, stage, message), Err(failure)))
}
