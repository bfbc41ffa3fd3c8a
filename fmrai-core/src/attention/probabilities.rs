//! Reading captured probabilities: which rows and columns belong to a text, and which rows are distributions.

use std::borrow::Cow;

use crate::analyzer::AnalyzerError;
use crate::batch::{Batch, Sample};

use super::heads::{HeadLayout, LayerHeads};
use super::row::{AttentionRow, seen};
use crate::sequences::Stream;

/// Largest excess over 1 that rounding in a softmax explains.
const ROUNDING: f32 = 1e-4;

/// True for what a probability can be, but for rounding.
fn is_probability(p: f32) -> bool {
    (0.0..=1.0 + ROUNDING).contains(&p)
}

/// The sum of a row, and whether all of it are probabilities. Elements are looked at eight at a time, since each is seen by each analysis.
fn sum_of(row: &[f32]) -> (f64, bool) {
    let (eights, rest) = row.as_chunks::<8>();
    let mut sums = [0.0; 8];
    let mut bad = [0; 8];
    for eight in eights {
        for ((sum, bad), p) in sums.iter_mut().zip(&mut bad).zip(eight) {
            *sum += f64::from(*p);
            *bad |= u32::from(!is_probability(*p));
        }
    }
    let sum = sums.iter().sum::<f64>() + rest.iter().copied().map(f64::from).sum::<f64>();
    (sum, bad == [0; 8] && rest.iter().copied().all(is_probability))
}

/// Probabilities of one layer. The row of a query of a text starts at
/// `starts[sample] + head * of_head + query * of_query`.
#[derive(Debug, Clone)]
struct LayerAttention<'a> {
    data: Cow<'a, [f32]>,
    /// Positions of queries, padding included.
    positions: usize,
    starts: Vec<usize>,
    of_head: Vec<usize>,
    of_query: Vec<usize>,
    sinks: usize,
}

/// One sequence of one sample.
#[derive(Debug, Clone)]
struct Text {
    row: usize,
    stream: usize,
    tokens: usize,
    /// `[head, query]`: rows that are no distributions. Empty where all are.
    broken: Vec<bool>,
    zero: u64,
}

/// The attention of all heads over one batch.
#[derive(Debug)]
pub struct BatchAttention<'a> {
    layout: &'a HeadLayout,
    layers: Vec<LayerAttention<'a>>,
    /// Place in `layers`, and number within the layer, of each head.
    heads: Vec<(usize, usize)>,
    samples: &'a [Sample],
    texts: Vec<Text>,
}

impl<'a> BatchAttention<'a> {
    /// Reads the probabilities of all layers, `[batch, head, query, key]` or `[batch * head, query, key]`, float32.
    ///
    /// Rows over the tokens of a text, and the sinks, that do not sum to 1 are no distributions: rows of zeros where a
    /// sample is masked whole, or rows with a share for padding. They are told by [`TextAttention::is_valid`].
    ///
    /// # Errors
    /// - [`AnalyzerError::Tensor`] for another element type or shape, or if a sample's tokens leave the tensor.
    /// - [`AnalyzerError::NotFinite`] for NaN or infinity at a valid query and key.
    /// - [`AnalyzerError::Other`] for numbers that are no probabilities, or for layers of one sequence with different
    ///   numbers of positions.
    pub fn read(batch: &Batch<'a>, layout: &'a HeadLayout) -> Result<Self, AnalyzerError> {
        let samples = batch.samples();
        let mut layers = Vec::with_capacity(layout.layers().len());
        let mut positions: Vec<Option<usize>> = vec![None; layout.streams().len()];
        let mut heads = Vec::with_capacity(layout.heads());
        for (place, layer) in layout.layers().iter().enumerate() {
            let stream = &layout.streams()[layer.stream];
            let read = read_layer(batch, layer, stream)?;
            let known = positions[layer.stream].get_or_insert(read.positions);
            if *known != read.positions && samples.iter().any(|s| stream.tokens(s).is_none()) {
                return Err(AnalyzerError::Other(format!(
                    "layers attend over {known} and over {} positions: their heads cannot be set against each other",
                    read.positions
                )));
            }
            heads.extend((0..layer.heads).map(|head| (place, head)));
            layers.push(read);
        }
        let mut texts = Vec::new();
        for (row, sample) in samples.iter().enumerate() {
            for (stream, all) in positions.iter().enumerate() {
                let tokens = match layout.streams()[stream].tokens(sample) {
                    Some(tokens) => tokens.span.len(),
                    None => all.unwrap_or(0),
                };
                if tokens > 0 {
                    texts.push(Text { row, stream, tokens, broken: Vec::new(), zero: 0 });
                }
            }
        }
        let mut attention = Self { layout, layers, heads, samples, texts: Vec::new() };
        for text in &mut texts {
            attention.check(text)?;
        }
        attention.texts = texts;
        Ok(attention)
    }

    /// The sequences of the samples that have any position, sample by sample.
    pub fn texts(&self) -> impl Iterator<Item = TextAttention<'_>> {
        self.texts.iter().map(|text| TextAttention { batch: self, text })
    }

    fn row(&self, text: &Text, head: usize, query: usize) -> &[f32] {
        let (layer, head) = self.heads[head];
        let layer = &self.layers[layer];
        assert!(query < text.tokens, "query {query} of {} tokens", text.tokens);
        let start =
            layer.starts[text.row] + head * layer.of_head[text.row] + query * layer.of_query[text.row];
        &layer.data[start..start + text.tokens + layer.sinks]
    }

    /// Looks for rows that are no distributions.
    fn check(&self, text: &mut Text) -> Result<(), AnalyzerError> {
        let sample = self.samples[text.row].id;
        for layer in self.layout.layers().iter().filter(|l| l.stream == text.stream) {
            let what = || format!("attention probabilities of layer {}", layer.layer);
            let (mut not_finite, mut no_probability) = (0, 0);
            for head in layer.first..layer.first + layer.heads {
                for query in 0..text.tokens {
                    let (sum, good) = sum_of(self.row(text, head, query));
                    if !good {
                        for p in self.row(text, head, query) {
                            not_finite += usize::from(!p.is_finite());
                            no_probability += usize::from(!is_probability(*p));
                        }
                    }
                    if (sum - 1.0).abs() > layer.tolerance {
                        text.broken.resize(self.heads.len() * text.tokens, false);
                        text.broken[head * text.tokens + query] = true;
                        text.zero += u64::from(sum == 0.0);
                    }
                }
            }
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

fn read_layer<'a>(
    batch: &Batch<'a>,
    layer: &LayerHeads,
    stream: &Stream,
) -> Result<LayerAttention<'a>, AnalyzerError> {
    let (samples, heads) = (batch.samples(), layer.heads);
    let view = batch.elements::<f32>(layer.probabilities)?;
    let data = view.data();
    let sinks = layer.sinks[0] + layer.sinks[1];
    let fits = |leading: &[usize]| match *leading {
        [rows] => samples.len().checked_mul(heads) == Some(rows),
        [rows, ref inner @ ..] => rows == samples.len() && inner.iter().product::<usize>() == heads,
        [] => false,
    };
    let (positions, keys) = match view.shape().split_last_chunk::<2>() {
        Some((leading, &[query, key])) if fits(leading) && query.checked_add(sinks) == Some(key) => {
            (query, key)
        }
        _ => {
            let more = if sinks > 0 { format!(" and {sinks} more for the sinks") } else { String::new() };
            return Err(view.misshapen(format!(
                "[batch, head, query, key] = [{}, {heads}, n, n] \
                 or [batch * head, query, key] with as many queries as keys{more}",
                samples.len()
            )));
        }
    };
    let mut ranges = Vec::with_capacity(samples.len());
    for sample in samples {
        ranges.push(stream.range(sample, positions).map_err(|span| {
            view.misshapen(format!("the positions {} to {} of sample {}", span.start, span.end, sample.id))
        })?);
    }
    // Positions that are no tokens: those that the model adds, and sinks. All of them are choices of a row.
    let tokens = samples.iter().any(|sample| stream.tokens(sample).is_some());
    let added = if tokens { [stream.before, stream.after] } else { [0, 0] };
    let extra = [layer.sinks[0] + added[0], layer.sinks[1] + added[1]];
    let rows = ranges.len();
    if extra == [0, 0] {
        let start = |(row, range): (usize, &std::ops::Range<usize>)| {
            (row * heads * positions + range.start) * keys + range.start
        };
        return Ok(LayerAttention {
            data: Cow::Borrowed(data),
            positions,
            starts: ranges.iter().enumerate().map(start).collect(),
            of_head: vec![positions * keys; rows],
            of_query: vec![keys; rows],
            sinks: 0,
        });
    }
    let sinks = extra[0] + extra[1];
    let (mut owned, mut starts) = (Vec::new(), Vec::with_capacity(rows));
    let (mut of_head, mut of_query) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for (row, range) in ranges.iter().enumerate() {
        starts.push(owned.len());
        of_head.push(range.len() * (range.len() + sinks));
        of_query.push(range.len() + sinks);
        for head in 0..heads {
            for query in range.clone() {
                let all = &data[((row * heads + head) * positions + query) * keys..][..keys];
                let own = range.start + layer.sinks[0]..range.end + layer.sinks[0];
                owned.extend_from_slice(&all[own]);
                owned.extend_from_slice(&all[..extra[0]]);
                owned.extend_from_slice(&all[keys - extra[1]..]);
            }
        }
    }
    Ok(LayerAttention { data: Cow::Owned(owned), positions, starts, of_head, of_query, sinks })
}

/// The attention of all heads of one sequence over one text of at least one token. Queries and keys are counted from the
/// first valid token; padding cannot be reached.
#[derive(Debug, Clone, Copy)]
pub struct TextAttention<'a> {
    batch: &'a BatchAttention<'a>,
    text: &'a Text,
}

impl<'a> TextAttention<'a> {
    /// The sample that the text is.
    #[must_use]
    pub fn sample(&self) -> &'a Sample {
        &self.batch.samples[self.text.row]
    }

    /// Which of the layout's sequences it is.
    #[must_use]
    pub fn stream(&self) -> usize {
        self.text.stream
    }

    /// Number of valid tokens, at least 1.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.text.tokens
    }

    /// The heads that look at it: indices over all layers.
    pub fn heads(&self) -> impl Iterator<Item = usize> + use<'a> {
        let stream = self.text.stream;
        let layers = self.batch.layout.layers().iter().filter(move |l| l.stream == stream);
        layers.flat_map(|l| l.first..l.first + l.heads)
    }

    /// Keys of a head that are no tokens.
    #[must_use]
    pub fn sinks(&self, head: usize) -> usize {
        self.batch.layers[self.batch.heads[head].0].sinks
    }

    /// Probabilities `[key]` that `query` of a head (index over all layers) gives to the valid keys, then those of its
    /// sinks.
    ///
    /// # Panics
    /// If `head` or `query` is out of range.
    #[must_use]
    pub fn row(&self, head: usize, query: usize) -> &'a [f32] {
        self.batch.row(self.text, head, query)
    }

    /// The rows of all heads that sum to 1, head by head and query by query.
    pub fn rows(self) -> impl Iterator<Item = AttentionRow<'a>> {
        let tokens = self.tokens();
        let queries = move |index| (0..tokens).map(move |query| (index, query));
        let rows = self.heads().flat_map(queries).filter(move |(index, query)| self.is_valid(*index, *query));
        rows.map(move |(index, query)| {
            let (place, head) = self.batch.heads[index];
            let layer = &self.batch.layout.layers()[place];
            let (tokens, sinks) = self.row(index, query).split_at(self.tokens());
            let seen = seen(layer.visible, query, tokens.len());
            AttentionRow {
                layer: layer.layer,
                head,
                index,
                query,
                first_key: seen.start,
                keys: &tokens[seen],
                sinks,
                visible: layer.visible,
            }
        })
    }

    /// True for a row that sums to 1.
    #[must_use]
    pub fn is_valid(&self, head: usize, query: usize) -> bool {
        self.text.broken.get(head * self.text.tokens + query) != Some(&true)
    }

    /// Rows that are all zeros.
    #[must_use]
    pub fn zero_rows(&self) -> u64 {
        self.text.zero
    }

    /// The queries whose rows of all heads are valid.
    #[must_use]
    pub fn valid_queries(&self) -> Vec<usize> {
        let heads: Vec<usize> = self.heads().collect();
        (0..self.tokens()).filter(|query| heads.iter().all(|head| self.is_valid(*head, *query))).collect()
    }
}
