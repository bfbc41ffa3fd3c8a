//! Everything that the analysis knows.

use std::fmt;
use std::sync::Arc;

use fmrai_core::analyzer::Weights;
use fmrai_core::batch::Vocabulary;
use serde_json::{Map, Value, json};

use super::config::FfnKeyValueConfig;
use super::layout::Layout;
use super::memories::Memories;
use super::projection::MapPlace;
use super::sample::Sample;

/// The analysis; made by [`FfnKeyValueConfig`].
pub struct FfnKeyValue {
    pub(super) config: FfnKeyValueConfig,
    pub(super) layout: Layout,
    pub(super) memories: Memories,
    /// Absent where nothing can be said of the streams.
    pub(super) sample: Option<Sample>,
    pub(super) vocabulary: Option<Vocabulary>,
    pub(super) weights: Option<Arc<dyn Weights>>,
    /// The map to the vocabulary, or why there is none.
    pub(super) map: Result<MapPlace, &'static str>,
}

impl FfnKeyValue {
    pub(super) fn new(config: FfnKeyValueConfig) -> Self {
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
    pub(super) fn surface(&self, id: u32) -> String {
        let surface = self.vocabulary.as_ref().map_or("", |v| v.surface(id));
        if surface.is_empty() { format!("#{id}") } else { surface.to_owned() }
    }

    /// What of the config decides what is absorbed.
    pub(super) fn settings(&self) -> Map<String, Value> {
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
