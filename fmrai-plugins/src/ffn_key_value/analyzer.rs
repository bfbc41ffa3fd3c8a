//! The analysis as an analyzer.

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State};
use fmrai_core::batch::Batch;
use fmrai_core::registry::Named;
use fmrai_core::report::{Report, Store};
use fmrai_core::tracker::CaptureRequest;
use serde_json::Value;

use super::analysis::FfnKeyValue;
use super::config::FfnKeyValueConfig;
use super::layout::Layout;
use super::memories::Memories;
use super::projection::MapPlace;
use super::sample::Sample;
use super::shard::Shard;
use super::values::CHUNK;
use super::{report, state};
use crate::lens::Lens;

const VERSION: u32 = 2;

impl Analyzer for FfnKeyValue {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.map = MapPlace::find(model.structure, model.graph, &self.config);
        let lens = self.map.as_ref().ok().and_then(|map| map.lens.as_ref().ok());
        self.layout = Layout::of(
            model.graph,
            model.structure,
            lens.map(Lens::stream_number),
            self.config.layers.as_deref(),
        )?;
        self.memories = Memories::new(&self.layout, &self.config);
        self.vocabulary = model.vocabulary.cloned();
        self.weights = model.weights.cloned();
        // The stream of another sequence has other positions.
        let mut streams =
            self.layout.blocks.iter().filter_map(|block| block.stream.map(|s| s.number)).peekable();
        let none = streams.peek().is_none();
        let own = lens.is_some_and(|lens| none || streams.any(|number| number == lens.stream_number()));
        let read = self.config.values && self.config.composition_positions > 0;
        let possible = own && self.weights.is_some() && read;
        self.sample = lens.filter(|_| possible).map(|lens| Sample::new(&self.layout, &self.config, lens));
        let streams = self.sample.as_ref().map(Sample::request).unwrap_or_default();
        let blocks = &self.layout.blocks;
        let memories: CaptureRequest =
            blocks.iter().flat_map(|b| [Some(b.activation), b.gate]).flatten().collect();
        Ok(memories.union(&streams))
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let Self { memories, sample, layout, config, .. } = self;
        let own = layout.stream.as_read(batch.samples());
        let batch = own.as_deref().map_or(*batch, |samples| batch.with_samples(samples));
        memories.track(&batch, layout, config, sample.as_mut())
    }
}

impl Analysis for FfnKeyValue {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut document = self.settings();
        document.insert("blocks".to_owned(), self.layout.to_document());
        let mut state = State::new(FfnKeyValueConfig::NAME, VERSION, Value::Object(document));
        state::write(&self.memories, &mut state)?;
        if let Some(sample) = &self.sample {
            sample.write(&mut state)?;
        }
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(FfnKeyValueConfig::NAME, VERSION)?;
        state.expect_field("blocks", &self.layout.to_document())?;
        self.settings().iter().try_for_each(|(name, needed)| state.expect_field(name, needed))?;
        let sample = self.sample.as_ref().map(|sample| sample.read(state)).transpose()?;
        state::merge(&mut self.memories, state)?;
        if let (Some(ours), Some(theirs)) = (&mut self.sample, sample) {
            ours.merge(theirs);
        }
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        report::report(self)
    }

    fn interim(&self) -> Result<Option<Store>, AnalyzerError> {
        report::interim(self)
    }

    /// Lists that fill up; then the map of values to the vocabulary, with the scores that are looked at together, and after these the tables of all.
    fn bytes_ahead(&self) -> u64 {
        let shards = self.memories.shards.iter().map(Shard::bytes_ahead);
        let (lists, tables) = shards.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        let map = self.map.as_ref().ok().filter(|_| self.config.values);
        let (table, with_scores) = map.map_or((0, 0), |map| {
            let vectors = CHUNK * rayon::current_num_threads();
            (map.bytes(0), map.bytes(vectors))
        });
        (lists + with_scores.max(table + tables)) as u64
    }
}
