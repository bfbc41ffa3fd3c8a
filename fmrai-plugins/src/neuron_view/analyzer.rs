//! The analysis as an analyzer.

use std::fmt;
use std::sync::Arc;

use fmrai_core::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State, Weights};
use fmrai_core::batch::{Batch, Vocabulary};
use fmrai_core::registry::Named;
use fmrai_core::report::Report;
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Value, json};

use super::config::NeuronViewConfig;
use super::kept::{Kept, Text, strongest};
use super::report::{self, Reader};
use crate::ffn_key_value::{Block, FfnKeyValueConfig, Layout, MapPlace, values};
use crate::first_texts::of_document;
use crate::pieces::{numbered, pieces, token};
use crate::rows::Rows;

const VERSION: u32 = 1;

/// The analysis; made by [`NeuronViewConfig`].
pub struct NeuronView {
    config: NeuronViewConfig,
    layout: Layout,
    vocabulary: Option<Vocabulary>,
    weights: Option<Arc<dyn Weights>>,
    /// Where values are read in the vocabulary, or why not.
    place: Result<MapPlace, String>,
    /// The norm of every value, block by block; empty where the weights are not at hand.
    norms: Vec<Vec<f32>>,
    kept: Kept,
}

impl fmt::Debug for NeuronView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NeuronView").field("config", &self.config).finish_non_exhaustive()
    }
}

impl NeuronView {
    pub(super) fn new(config: NeuronViewConfig) -> Self {
        let kept = Kept::new(config.texts);
        let place = Err("the analysis has seen no model".to_owned());
        let (layout, norms) = (Layout::default(), Vec::new());
        Self { config, layout, vocabulary: None, weights: None, place, norms, kept }
    }

    /// What states have to agree on.
    fn settings(&self) -> Value {
        let ranked = if self.norms.is_empty() { "coefficient" } else { "written" };
        json!({ "blocks": self.layout.to_document(), "config": self.config, "ranked_by": ranked })
    }

    fn text(&self, batch: &Batch<'_>, rows: &[Rows<'_>], sample: usize) -> Result<Text, AnalyzerError> {
        let whole = &batch.samples()[sample];
        // Samples without tokens, such as images, have all positions.
        let all = rows.first().map_or(0, |rows| rows.positions);
        let span = if whole.token_ids.is_empty() { 0..all } else { whole.span.clone() };
        let looked_at = span.start..span.end.min(span.start + self.config.max_tokens);
        let shown = pieces(whole, self.vocabulary.as_ref());
        let known = shown.len();
        let mut shown = numbered(shown, known, span.len());
        shown.truncate(looked_at.len());
        let (mut layers, mut most) = (Vec::new(), Vec::new());
        for (block, rows) in rows.iter().enumerate() {
            let norms = self.norms.get(block).map_or(&[][..], Vec::as_slice);
            let own = looked_at.start..looked_at.end.min(rows.positions);
            let (strong, of_position) = strongest(rows, (sample, whole.id), own, norms, self.config.top)?;
            layers.push(strong);
            most.push(of_position);
        }
        Ok(Text { shown, of: span.len(), layers, most })
    }
}

impl Analyzer for NeuronView {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.layout = Layout::of(model.graph, model.structure, None, None)?;
        self.vocabulary = model.vocabulary.cloned();
        self.weights = model.weights.cloned();
        let config =
            FfnKeyValueConfig { tied_embedding: self.config.tied_embedding, ..FfnKeyValueConfig::default() };
        self.place = MapPlace::find(model.structure, model.graph, &config).map_err(str::to_owned);
        self.norms.clear();
        if let Some(weights) = &self.weights {
            let norms = |block: &Block| {
                let values = values(weights.as_ref(), &block.values, block.neurons)?;
                Ok(values.rows().into_iter().map(|row| row.dot(&row).sqrt()).collect())
            };
            let norms: Result<Vec<Vec<f32>>, String> = self.layout.blocks.iter().map(norms).collect();
            self.norms = norms.unwrap_or_default();
        }
        Ok(self.layout.blocks.iter().map(|block| block.activation).collect())
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        let shown = self.layout.stream.as_read(batch.samples());
        let batch = shown.as_deref().map_or(*batch, |samples| batch.with_samples(samples));
        let wanted: Vec<usize> = batch
            .samples()
            .iter()
            .enumerate()
            .filter(|(_, sample)| self.kept.wants(sample.id))
            .map(|(row, _)| row)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let blocks = self.layout.blocks.iter();
        let rows: Vec<Rows<'_>> = blocks
            .map(|block| Rows::read(&batch, block.activation, block.neurons))
            .collect::<Result<_, _>>()?;
        let mut found = Kept::new(self.config.texts);
        for row in wanted {
            let id = batch.samples()[row].id;
            if found.wants(id) {
                found.add(id, self.text(&batch, &rows, row)?);
            }
        }
        self.kept.merge(found);
        Ok(())
    }
}

impl Analysis for NeuronView {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut state = State::new(NeuronViewConfig::NAME, VERSION, self.settings());
        self.kept.put_document(&mut state)?;
        Ok(state)
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        state.expect(NeuronViewConfig::NAME, VERSION)?;
        for field in ["blocks", "config", "ranked_by"] {
            state.expect_field(field, &self.settings()[field])?;
        }
        let texts = of_document::<Text>(state)?;
        report::check(&texts, &self.layout)?;
        self.kept.merge(Kept::of(self.config.texts, texts));
        Ok(())
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        let reader = Reader {
            weights: self.weights.as_deref(),
            place: &self.place,
            show: &|id| token(id, self.vocabulary.as_ref()),
        };
        report::report(&self.config, &self.layout, &self.norms, &self.kept, &reader)
    }
}
