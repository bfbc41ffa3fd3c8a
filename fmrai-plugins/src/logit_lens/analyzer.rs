//! The analysis as an analyzer.

use std::fmt;

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::Value;

use super::analysis::LogitLens;
use super::config::LogitLensConfig;
use super::grid::Grid;
use super::read::read;
use super::report;
use super::streams::Streams;
use super::sums::Sums;
use crate::lens::LensError;

const VERSION: u32 = 1;

impl Analyzer for LogitLens {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let streams = Streams::of(model, &self.config)?;
        let weights = model.weights.ok_or(LensError::NoWeights);
        let lens = weights.and_then(|weights| streams.lens.load(&**weights));
        let lens = lens.map_err(|e| AnalyzerError::Unsuitable {
            found: e.to_string(),
            needed: "the weights between the last stream and the logits".to_owned(),
        })?;
        let request = streams.request();
        self.sums = Sums::new(streams.at.len());
        self.grid = Grid::new(self.config.texts);
        self.vocabulary = model.vocabulary.cloned();
        self.model = Some((streams, lens));
        Ok(request)
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let (streams, lens) = self.model()?;
        let own = streams.sequence.as_read(batch.samples());
        let batch = own.as_deref().map_or(*batch, |samples| batch.with_samples(samples));
        let read = read(&batch, streams, lens, &self.config, &self.grid)?;
        self.sums.add(&read.sums);
        self.grid.extend(read.grid);
        Ok(())
    }
}

impl Analysis for LogitLens {
    fn state(&self) -> Result<State, AnalyzerError> {
        let (streams, lens) = self.model()?;
        let mut state = State::new(LogitLensConfig::NAME, VERSION, self.settings(streams));
        self.sums.write(&mut state)?;
        self.grid.write(&mut state, streams.layers(), self.listed(lens))?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        let (streams, lens) = self.model()?;
        state.expect(LogitLensConfig::NAME, VERSION)?;
        if let Value::Object(settings) = self.settings(streams) {
            settings.iter().try_for_each(|(name, needed)| state.expect_field(name, needed))?;
        }
        let sums = Sums::read(state, streams.at.len())?;
        let grid = Grid::read(state, self.config.texts, streams.layers(), self.listed(lens))?;
        self.sums.add(&sums);
        self.grid.extend(grid.texts);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(self, &self.model()?.0)
    }
}

impl fmt::Debug for LogitLens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogitLens").field("config", &self.config).finish_non_exhaustive()
    }
}
