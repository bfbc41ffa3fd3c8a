//! Feed-forward layers as key-value memories: Geva, Schuster, Berant and Levy 2021, "Transformer Feed-Forward Layers
//! Are Key-Value Memories".
//!
//! A block computes `y = f(x K) V + b`. Per neuron `i`, with the memory coefficient `m_i`, what the second linear map takes:
//!
//! - triggers: the `t` texts with the largest `max over positions of m_i`, if above 0; below zero too where `m_i` has both signs;
//! - mean, variance and skewness of `m_i` over positions, and how often it is active: `m_i > 0` in a plain block, the gate
//!   open (its function's argument above 0) in a gated one;
//! - the value's distribution `p = softmax(v_i E)`, `E` the map to the vocabulary, and whether `argmax p` is the token
//!   after the strongest trigger; per layer the rate of that, against chance, and the ranks of that token in `p`.
//!
//! Per layer, at positions drawn from the data: whether the prediction of the stream after the block is that of the stream
//! before it, of what the block writes, of both or of neither; and how often the block predicts what none of its values does. Streams
//! are read through all that the model does after its last stream (see [`lens`](crate::lens)), which is checked against its logits.
//!
//! `docs/ffn-key-value.md` has all definitions. Differences to the authors' code: the next token is taken from the text at
//! the trigger's position, where the code reads the second-to-last token of what it has stored; equal coefficients are
//! ordered by text.
//!
//! Memory, whatever the data: 16 bytes for each trigger, neuron and sign, 152 for each of those with a context, the texts
//! that triggers name, and the streams at the positions drawn.

mod agreement;
mod composition;
mod conclusions;
mod config;
mod contexts;
mod layout;
mod memories;
mod moments;
mod positions;
mod projection;
mod reading;
mod report;
mod sample;
mod scan;
mod shard;
mod state;
mod statistics;
mod texts;
mod triggers;
mod values;

pub use config::{FfnKeyValueConfig, Strategy};

use std::fmt;
use std::sync::Arc;

use fmrai_core::analyzer::{Analyzer, AnalyzerError, ModelView, State, Weights};
use fmrai_core::batch::{Batch, Vocabulary};
use fmrai_core::report::{Report, Store};
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Map, Value, json};

use layout::Layout;
use memories::Memories;
use projection::MapPlace;
use sample::Sample;

const NAME: &str = "ffn_key_value";
const VERSION: u32 = 2;

/// The analysis; made by [`FfnKeyValueConfig`].
pub struct FfnKeyValue {
    config: FfnKeyValueConfig,
    layout: Layout,
    memories: Memories,
    /// Absent where nothing can be said of the streams.
    sample: Option<Sample>,
    vocabulary: Option<Vocabulary>,
    weights: Option<Arc<dyn Weights>>,
    /// The map to the vocabulary, or why there is none.
    map: Result<MapPlace, &'static str>,
}

impl FfnKeyValue {
    fn new(config: FfnKeyValueConfig) -> Self {
        let layout = Layout::default();
        let memories = Memories::new(&layout, &config);
        Self {
            config,
            layout,
            memories,
            sample: None,
            vocabulary: None,
            weights: None,
            map: Err("the analysis has seen no model"),
        }
    }

    /// The text of a token; `#7` where that is not known.
    fn surface(&self, id: u32) -> String {
        let surface = self.vocabulary.as_ref().map_or("", |v| v.surface(id));
        if surface.is_empty() { format!("#{id}") } else { surface.to_owned() }
    }

    /// What of the config decides what is absorbed.
    fn settings(&self) -> Map<String, Value> {
        let FfnKeyValueConfig { triggers, strategy, special_tokens, composition_positions, seed, .. } =
            &self.config;
        let settings = json!({
            "triggers": triggers,
            "contexts": self.config.contexts,
            "strategy": strategy,
            "special_tokens": special_tokens,
            "composition_positions": composition_positions,
            "seed": seed,
        });
        settings.as_object().cloned().unwrap_or_default()
    }
}

impl fmt::Debug for FfnKeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FfnKeyValue")
            .field("config", &self.config)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl Analyzer for FfnKeyValue {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.map = MapPlace::find(model.structure, model.graph, &self.config);
        let lens = self.map.as_ref().ok().and_then(|map| map.lens.as_ref().ok());
        self.layout = Layout::of(model.graph, model.structure, lens.map(crate::lens::Lens::stream_number))?;
        self.memories = Memories::new(&self.layout, &self.config);
        self.vocabulary = model.vocabulary.cloned();
        self.weights = model.weights.cloned();
        // The stream of another sequence has other positions.
        let mut streams =
            self.layout.blocks.iter().filter_map(|block| block.stream.map(|s| s.number)).peekable();
        let none = streams.peek().is_none();
        let own = lens.is_some_and(|lens| none || streams.any(|number| number == lens.stream_number()));
        let possible = own && self.weights.is_some() && self.config.composition_positions > 0;
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

    fn state(&self) -> Result<State, AnalyzerError> {
        let mut document = self.settings();
        document.insert("blocks".to_owned(), self.layout.to_document());
        let mut state = State::new(NAME, VERSION, Value::Object(document));
        state::write(&self.memories, &mut state)?;
        if let Some(sample) = &self.sample {
            sample.write(&mut state)?;
        }
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NAME, VERSION)?;
        self.layout.check_document(&state.document["blocks"])?;
        state::check_settings(&state.document, &self.settings())?;
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
}
