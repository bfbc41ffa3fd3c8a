//! From what the analyses have absorbed to files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fmrai_core::model::FileInfo;
use fmrai_core::report::Report;
use serde_json::json;

use super::source::About;
use super::{Answer, Failure, Lane, Outcome, Recorded, Session};
use crate::checkpoint;
use crate::error::Error;
use crate::results::{WriteError, analysis, folder, summary, write_json};

impl Session<'_> {
    /// Draws the conclusions and writes them.
    pub(super) fn finish(mut self) -> Result<Outcome, Error> {
        let output = self.plan.output.clone();
        let old = folder::listed(&output);
        let mut listing = Vec::new();
        let mut analyses = Vec::new();
        for i in 0..self.lanes.len() {
            let (files, answer) = conclude(&mut self.lanes[i]);
            let lane = &self.lanes[i];
            let names: Vec<String> = files.iter().map(|(file, _)| format!("{}/{file}", lane.name)).collect();
            let error = answer.as_ref().err().cloned();
            listing.push(summary::Listed {
                name: lane.name.clone(),
                kind: lane.kind.clone(),
                error,
                files: names,
            });
            analyses.push((lane.name.clone(), answer));
            let written = analysis::write_all(&output.join(&lane.name), &files);
            written.map_err(|error| self.keep(error))?;
        }
        self.stopwatch.lap("analyze");
        let written = self.write_run(&listing);
        let activations = written.map_err(|error| self.keep(error))?;
        let mut new: BTreeSet<PathBuf> = listing.iter().flat_map(|l| &l.files).map(PathBuf::from).collect();
        if activations.is_some() {
            new.extend(super::activation_files(&output));
        }
        folder::remove_stale(&output, &old, &new);
        checkpoint::remove(&output);
        Ok(Outcome {
            output,
            counts: self.counts,
            parity: self.source.parity().cloned(),
            non_finite_weights: self.about.non_finite_weights,
            analyses,
            activations,
            warnings: self.told.lines(self.about.graph, self.about.structure),
        })
    }

    /// The files of the run itself; `summary.json` last, since it names all others.
    fn write_run(&self, listing: &[summary::Listed]) -> Result<Option<Recorded>, WriteError> {
        let output = &self.plan.output;
        let mut run = self.stopwatch.report();
        run.insert("format".to_owned(), crate::results::FORMAT.into());
        run.insert("plan_file".to_owned(), self.plan.file.display().to_string().into());
        let path = if self.about.manifest.is_some() { "activations_path" } else { "model_path" };
        run.insert(path.to_owned(), self.about.path.clone().into());
        run.insert("program".to_owned(), program());
        run.insert("threads".to_owned(), self.threads.into());
        run.insert("resumed_from_batch".to_owned(), self.resumed_from.into());
        write_json(&output.join("plan.json"), &self.document)?;
        write_json(&output.join("run.json"), &run)?;
        let About { graph, structure, model, data_files, kernels, .. } = &self.about;
        let kernels = kernels.clone().unwrap_or_else(|| summary::kernels(structure, &self.requested));
        let parity = self.source.parity();
        let activations = match &self.recorder {
            Some(recorder) => Some(recorder.finish(&self.about, self.counts, &json!(parity), &kernels)?),
            None => None,
        };
        let summary = summary::Summary {
            plan: &self.document,
            model,
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
        write_json(&output.join("summary.json"), &summary.document())?;
        Ok(activations)
    }

    /// Keeps what was absorbed when the results cannot be written: a later `--resume` writes them.
    pub(super) fn keep(&mut self, source: WriteError) -> Error {
        let kept = match self.checkpoint().save(&self.plan.output) {
            Ok(()) => "; nothing is lost, --resume goes on from here",
            Err(error) => {
                tracing::warn!(%error, "the checkpoint could not be written either");
                ""
            }
        };
        Error::Write { source, kept }
    }
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

/// The files of an analysis, and its answer or failure.
fn conclude(lane: &mut Lane) -> (analysis::Files, Answer) {
    let report = lane.analyze();
    lane.close();
    if let Some(report) = report.filter(|_| lane.is_running()) {
        match analysis::files(&lane.name, &lane.kind, &lane.config, &report) {
            Ok(files) => {
                let Report { summary, .. } = report;
                return (files, Ok(summary));
            }
            Err(error) => lane.fail("report", &error.to_string()),
        }
    }
    let unknown = || Failure { stage: String::new(), message: String::new() };
    let failure = lane.failure().cloned().unwrap_or_else(unknown);
    let Failure { stage, message } = &failure;
    (analysis::failure(&lane.name, &lane.kind, &lane.config, stage, message), Err(failure))
}
