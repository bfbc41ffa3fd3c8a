//! The analysis as an analyzer.

use std::fmt;

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::Value;

use super::analysis::DirectLogitAttribution;
use super::config::DirectLogitAttributionConfig;
use super::layout::Layout;
use super::read::{Loaded, read};
use super::report;
use super::sums::Sums;
use crate::lens::LensError;

const VERSION: u32 = 1;

/// Neurons whose contributions are kept.
fn neurons(layout: &Layout) -> usize {
    layout.neurons().map(|(_, neurons)| neurons.count).sum()
}

impl Analyzer for DirectLogitAttribution {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let layout = Layout::of(model, self.config.neurons > 0)?;
        let weights = model.weights.ok_or(LensError::NoWeights);
        let loaded = weights.and_then(|weights| Loaded::of(&layout, &**weights));
        let loaded = loaded.map_err(|e| AnalyzerError::Unsuitable {
            found: e.to_string(),
            needed: "the weights between the heads and the logits".to_owned(),
        })?;
        let request = layout.request();
        self.sums = Sums::new(layout.parts(), neurons(&layout));
        self.model = Some((layout, loaded));
        Ok(request)
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let (layout, loaded) = self.model()?;
        let own = layout.sequence.as_read(batch.samples());
        let batch = own.as_deref().map_or(*batch, |samples| batch.with_samples(samples));
        let sums = read(&batch, layout, loaded, self.config.target)?;
        self.sums.add(&sums);
        Ok(())
    }
}

impl Analysis for DirectLogitAttribution {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state =
            State::new(DirectLogitAttributionConfig::NAME, VERSION, self.settings(&self.model()?.0));
        self.sums.write(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        let (layout, _) = self.model()?;
        state.expect(DirectLogitAttributionConfig::NAME, VERSION)?;
        if let Value::Object(settings) = self.settings(layout) {
            settings.iter().try_for_each(|(name, needed)| state.expect_field(name, needed))?;
        }
        let sums = Sums::read(state, layout.parts(), neurons(layout))?;
        self.sums.add(&sums);
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(self, &self.model()?.0)
    }
}

impl fmt::Debug for DirectLogitAttribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectLogitAttribution").field("config", &self.config).finish_non_exhaustive()
    }
}
