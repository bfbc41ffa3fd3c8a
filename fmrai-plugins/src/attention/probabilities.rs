//! Reading captured probabilities: which rows and columns belong to a text.

use std::ops::Range;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::tensor::TensorError;

use super::{HeadLayout, LayerHeads};

/// Largest excess over 1 that rounding in a softmax explains.
const ROUNDING: f32 = 1e-4;

/// Probabilities of one layer, `[sample, head, position, position]`, padding included.
#[derive(Debug, Clone, Copy)]
struct LayerAttention<'a> {
    data: &'a [f32],
    heads: usize,
    positions: usize,
}

/// The attention of all heads over one batch.
#[derive(Debug)]
pub struct BatchAttention<'a> {
    layers: Vec<LayerAttention<'a>>,
    /// Layer and number within the layer of each head.
    heads: Vec<(usize, usize)>,
    samples: &'a [Sample],
    /// For each sample the positions that count: those of its tokens, or all where it has none.
    spans: Vec<Range<usize>>,
}

impl<'a> BatchAttention<'a> {
    /// Reads the probabilities of all layers, `[batch, head, query, key]` or `[batch * head, query, key]`, float32.
    ///
    /// # Errors
    /// - [`AnalyzerError::Tensor`] for another element type or shape, or if a sample's span leaves the tensor.
    /// - [`AnalyzerError::NotFinite`] for NaN or infinity at a valid query and key.
    /// - [`AnalyzerError::Other`] for numbers that are no probabilities, or for samples without tokens (images, sounds)
    ///   if layers have different numbers of positions, which cannot be set against each other.
    pub fn read(batch: &Batch<'a>, layout: &HeadLayout) -> Result<Self, AnalyzerError> {
        let samples = batch.samples();
        let layers: Result<Vec<_>, _> =
            layout.layers().iter().map(|layer| read_layer(batch, layer)).collect();
        let layers = layers?;
        let spans = spans(samples, &layers)?;
        let attention = Self { layers, heads: layout.iter().collect(), samples, spans };
        for text in attention.texts() {
            text.check(layout)?;
        }
        Ok(attention)
    }

    /// The samples that have any position, in order.
    pub fn texts(&self) -> impl Iterator<Item = TextAttention<'_>> {
        let rows = self.samples.iter().zip(&self.spans).enumerate().filter(|(_, (_, span))| !span.is_empty());
        rows.map(|(row, (sample, span))| TextAttention { batch: self, row, sample, span })
    }
}

fn spans(samples: &[Sample], layers: &[LayerAttention<'_>]) -> Result<Vec<Range<usize>>, AnalyzerError> {
    let without = |sample: &Sample| sample.token_ids.is_empty() && sample.span.is_empty();
    let positions = |layer: &LayerAttention<'_>| layer.positions;
    let all = layers.first().map_or(0, positions);
    if let Some(other) = layers.iter().map(positions).find(|other| *other != all)
        && samples.iter().any(without)
    {
        return Err(AnalyzerError::Other(format!(
            "layers attend over {all} and over {other} positions: their heads cannot be set against each other"
        )));
    }
    let span = |sample: &Sample| if without(sample) { 0..all } else { sample.span.clone() };
    Ok(samples.iter().map(span).collect())
}

fn read_layer<'a>(batch: &Batch<'a>, layer: &LayerHeads) -> Result<LayerAttention<'a>, AnalyzerError> {
    let (samples, heads) = (batch.samples().len(), layer.heads);
    let tensor = |source| AnalyzerError::Tensor { tensor: layer.probabilities, source };
    let view = batch.tensor(layer.probabilities)?;
    let data = view.f32().map_err(tensor)?;
    let positions = match *view.shape() {
        [b, h, query, key] if b == samples && h == heads && query == key => key,
        [rows, query, key] if samples.checked_mul(heads) == Some(rows) && query == key => key,
        _ => {
            return Err(tensor(TensorError::Shape {
                found: view.shape().to_vec(),
                needed: format!(
                    "[batch, head, query, key] = [{samples}, {heads}, n, n] \
                     or [batch * head, query, key] with as many queries as keys"
                ),
            }));
        }
    };
    match batch.samples().iter().find(|s| s.span.start > s.span.end || s.span.end > positions) {
        None => Ok(LayerAttention { data, heads, positions }),
        Some(sample) => Err(tensor(TensorError::Shape {
            found: view.shape().to_vec(),
            needed: format!(
                "the positions {} to {} of sample {}",
                sample.span.start, sample.span.end, sample.id
            ),
        })),
    }
}

/// The attention of all heads over one text of at least one token. Queries and keys are counted from the first valid
/// token; padding cannot be reached.
#[derive(Debug, Clone, Copy)]
pub struct TextAttention<'a> {
    batch: &'a BatchAttention<'a>,
    row: usize,
    sample: &'a Sample,
    span: &'a Range<usize>,
}

impl<'a> TextAttention<'a> {
    /// The sample that the text is.
    #[must_use]
    pub fn sample(&self) -> &'a Sample {
        self.sample
    }

    /// Number of valid tokens, at least 1.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.span.len()
    }

    /// Number of heads of all layers.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.batch.heads.len()
    }

    /// Probabilities `[key]` that `query` of a head (index over all layers) gives to the valid keys.
    ///
    /// # Panics
    /// If `head` or `query` is out of range.
    #[must_use]
    pub fn row(&self, head: usize, query: usize) -> &'a [f32] {
        let (layer, head) = self.batch.heads[head];
        let LayerAttention { data, heads, positions } = self.batch.layers[layer];
        let Range { start, end } = *self.span;
        assert!(query < end - start, "query {query} of {} tokens", end - start);
        let row = ((self.row * heads + head) * positions + start + query) * positions;
        &data[row + start..row + end]
    }

    fn check(&self, layout: &HeadLayout) -> Result<(), AnalyzerError> {
        for layer in layout.layers() {
            let what = || format!("attention probabilities of layer {}", layer.layer);
            let (mut not_finite, mut no_probability) = (0, 0);
            for head in layer.first..layer.first + layer.heads {
                for query in 0..self.tokens() {
                    for &p in self.row(head, query) {
                        not_finite += usize::from(!p.is_finite());
                        no_probability += usize::from(!(0.0..=1.0 + ROUNDING).contains(&p));
                    }
                }
            }
            let sample = self.sample.id;
            if not_finite > 0 {
                return Err(AnalyzerError::NotFinite { what: what(), count: not_finite, sample });
            }
            if no_probability > 0 {
                let what = what();
                return Err(AnalyzerError::Other(format!(
                    "{what} hold {no_probability} numbers outside [0, 1] in sample {sample}"
                )));
            }
        }
        Ok(())
    }
}
