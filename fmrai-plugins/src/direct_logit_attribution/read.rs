//! The parts of a batch.

use std::collections::BTreeMap;
use std::ops::Range;

use fmrai_core::analyzer::{AnalyzerError, Weights};
use fmrai_core::batch::{Batch, Sample};
use fmrai_core::graph::TensorId;
use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

use super::config::Target;
use super::layout::{BIAS, EMBEDDING, Layout, OTHER, Write};
use super::neurons::LoadedNeurons;
use super::positions::{Position, positions};
use super::sums::{OfText, Sums};
use crate::lens::LensError;
use crate::lens::frozen::{Covectors, LoadedPath, Pulled};
use crate::rows::Rows;

/// Positions that are worked on together: a weight is read once for all of them.
const POSITIONS: usize = 16;

/// The weights of all paths.
#[derive(Debug)]
pub(super) struct Loaded {
    logits: LoadedPath,
    /// For each addition to the stream the path of its heads.
    heads: Vec<Option<LoadedPath>>,
    neurons: Vec<LoadedNeurons>,
}

impl Loaded {
    pub(super) fn of(layout: &Layout, weights: &dyn Weights) -> Result<Self, LensError> {
        let heads = layout.writes.iter().map(|write| match write {
            Write::Heads { path, .. } => path.load(weights).map(Some),
            Write::FeedForward { .. } | Write::Other { .. } => Ok(None),
        });
        let heads = heads.collect::<Result<_, _>>()?;
        let neurons = layout.neurons().map(|(first, neurons)| LoadedNeurons::of(first, neurons, weights));
        Ok(Self { logits: layout.logits.load(weights)?, heads, neurons: neurons.collect::<Result<_, _>>()? })
    }

    fn neurons(&self) -> usize {
        self.neurons.iter().map(|neurons| neurons.count).sum()
    }
}

/// The contributions of all parts of a batch.
pub(super) fn read(
    batch: &Batch<'_>,
    layout: &Layout,
    loaded: &Loaded,
    target: Option<Target>,
) -> Result<Sums, AnalyzerError> {
    let mut tensors = BTreeMap::new();
    for id in layout.request().tensors() {
        let shape = batch.tensor(id)?.shape();
        tensors.insert(id, Rows::read(batch, id, shape.last().copied().unwrap_or(0))?);
    }
    let length = tensors.get(&layout.lens.stream()).map_or(0, |rows| rows.positions);
    if tensors.values().any(|rows| rows.positions != length) {
        let what = "what is added to the stream has other positions than the stream";
        return Err(AnalyzerError::Other(what.to_owned()));
    }
    let found = positions(batch.samples(), target, layout.lens.tokens());
    let chunks: Vec<Range<usize>> = found
        .texts
        .iter()
        .flat_map(|text| text.clone().step_by(POSITIONS).map(|at| at..(at + POSITIONS).min(text.end)))
        .collect();
    let reader = Reader { layout, loaded, tensors: &tensors, samples: batch.samples() };
    let of_chunk = |chunk: &Range<usize>| reader.read(found.all.get(chunk.clone()).unwrap_or_default());
    let read = chunks.par_iter().map(of_chunk).collect::<Result<Vec<OfText>, AnalyzerError>>()?;
    let mut sums = Sums::new(layout.parts(), loaded.neurons());
    let mut read = chunks.iter().zip(&read).peekable();
    for text in &found.texts {
        let mut all = OfText::new(layout.parts(), loaded.neurons());
        while let Some((_, chunk)) = read.next_if(|(range, _)| range.end <= text.end) {
            all.add(chunk);
        }
        sums.add_text(&all);
    }
    sums.answers = found.answers;
    sums.without_wrong = found.without_wrong;
    Ok(sums)
}

/// Reads the parts at some positions.
struct Reader<'a> {
    layout: &'a Layout,
    loaded: &'a Loaded,
    tensors: &'a BTreeMap<TensorId, Rows<'a>>,
    samples: &'a [Sample],
}

impl Reader<'_> {
    fn read(&self, positions: &[Position]) -> Result<OfText, AnalyzerError> {
        let Self { layout, loaded, .. } = self;
        let mut parts = Parts { totals: vec![0.0; positions.len()], all: vec![0.0; layout.parts()] };
        let stream = self.rows(layout.lens.stream(), positions)?;
        let tokens = Covectors::Few(positions.iter().map(|at| at.logits.clone()).collect());
        let pulled = loaded.logits.pull(&[stream.view()], tokens).map_err(|e| other(&e))?;
        let direction =
            pulled.covectors.first().ok_or_else(|| AnalyzerError::Other("no stream".to_owned()))?;
        parts.put(BIAS, &pulled.constants);
        let of = |id: TensorId| Ok::<_, AnalyzerError>(dots(direction, &self.rows(id, positions)?, 0, 1));
        parts.put(EMBEDDING, &of(layout.embedding)?);
        // What is asked of the outputs of parallel feed-forward blocks, by layer.
        let mut beside = BTreeMap::new();
        for (write, path) in layout.writes.iter().zip(&loaded.heads) {
            match write {
                Write::FeedForward { layer, written, .. } => {
                    parts.put(layout.feed_forward(*layer), &of(*written)?);
                }
                Write::Other { written } => parts.put(OTHER, &of(*written)?),
                Write::Heads { layer, heads, path: found, parallel, .. } => {
                    let Some(path) = path else { continue };
                    let given = found.given().iter().map(|id| self.rows(*id, positions));
                    let given = given.collect::<Result<Vec<_>, _>>()?;
                    let views: Vec<_> = given.iter().map(Array2::view).collect();
                    let mut pulled =
                        path.pull(&views, Covectors::All(direction.clone())).map_err(|e| other(&e))?;
                    parts.put(BIAS, &pulled.constants);
                    if let (Some(covectors), Some(rows)) = (pulled.covectors.first(), given.first()) {
                        for head in 0..*heads {
                            parts.put(layout.head(*layer, head), &dots(covectors, rows, head, *heads));
                        }
                    }
                    if *parallel && let (Some(covectors), Some(rows)) = (pulled.covectors.pop(), given.last())
                    {
                        parts.put(layout.feed_forward(*layer), &dots(&covectors, rows, 0, 1));
                        beside.insert(*layer, covectors);
                    }
                }
            }
        }
        let mut of_neurons = vec![0.0; loaded.neurons()];
        for neurons in &loaded.neurons {
            let covectors = beside.get(&neurons.layer).unwrap_or(direction).clone();
            let activations = self.rows(neurons.activation, positions)?;
            neurons.add(&activations, covectors, &mut of_neurons).map_err(|e| other(&e))?;
        }
        self.checked(positions, parts, of_neurons, &pulled, &stream)
    }

    /// The sum compared with the logit itself: the model's own, or where it has that at other positions, what is read of the stream.
    fn checked(
        &self,
        positions: &[Position],
        parts: Parts,
        neurons: Vec<f64>,
        pulled: &Pulled,
        stream: &Array2<f32>,
    ) -> Result<OfText, AnalyzerError> {
        let own = self.layout.own_logits.and_then(|id| self.tensors.get(&id));
        let read =
            pulled.covectors.first().map(|direction| dots(direction, stream, 0, 1)).unwrap_or_default();
        let mut found =
            OfText { parts: parts.all, neurons, positions: positions.len() as u64, ..OfText::default() };
        for (row, (at, total)) in positions.iter().zip(&parts.totals).enumerate() {
            let logits = own.map(|own| own.row(at.sample, at.position));
            let token = |id: usize| logits.and_then(|logits| logits.get(id)).map(|x| f64::from(*x));
            let constant = pulled.constants.get(row).copied().unwrap_or(0.0);
            let read = read.get(row).copied().unwrap_or(0.0) + constant;
            let logit = match logits {
                Some(_) => at.logits.iter().map(|(id, weight)| weight * token(*id).unwrap_or(0.0)).sum(),
                None => read,
            };
            let size =
                at.logits.iter().filter_map(|(id, _)| token(*id)).fold(logit.abs(), |a, b| a.max(b.abs()));
            let error = (total - logit).abs();
            if !error.is_finite() || !found.parts.iter().chain(&found.neurons).all(|x| x.is_finite()) {
                return Err(self.not_finite("contributions to the logits", at, 1));
            }
            found.logit += logit;
            found.error = found.error.max(error);
            found.relative_error = found.relative_error.max(if size > 0.0 { error / size } else { error });
        }
        Ok(found)
    }

    /// The rows of a tensor at some positions.
    fn rows(&self, id: TensorId, positions: &[Position]) -> Result<Array2<f32>, AnalyzerError> {
        let rows = self.tensors.get(&id).ok_or(AnalyzerError::NotCaptured(id))?;
        let mut all = Vec::with_capacity(positions.len() * rows.width);
        for at in positions {
            let row = rows.row(at.sample, at.position);
            match row.iter().filter(|x| !x.is_finite()).count() {
                0 => all.extend_from_slice(row),
                count => return Err(self.not_finite("what is added to the stream", at, count)),
            }
        }
        Array2::from_shape_vec((positions.len(), rows.width), all)
            .map_err(|e| AnalyzerError::Other(e.to_string()))
    }

    fn not_finite(&self, what: &str, at: &Position, count: usize) -> AnalyzerError {
        let sample = self.samples.get(at.sample).map_or(0, |sample| sample.id);
        AnalyzerError::NotFinite { what: what.to_owned(), count, sample }
    }
}

/// Contributions, as sums over positions, and at each position as the sum over all parts.
struct Parts {
    all: Vec<f64>,
    totals: Vec<f64>,
}

impl Parts {
    fn put(&mut self, part: usize, values: &[f64]) {
        self.all.get_mut(part).into_iter().for_each(|all| *all += values.iter().sum::<f64>());
        self.totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
    }
}

/// For each row the product of one of `parts` equal parts of its channels.
fn dots(covectors: &Array2<f64>, rows: &Array2<f32>, part: usize, parts: usize) -> Vec<f64> {
    let width = covectors.ncols().min(rows.ncols()) / parts.max(1);
    let channels = part * width..(part + 1) * width;
    let pairs = covectors.rows().into_iter().zip(rows.rows());
    let dot = |(c, x): (ArrayView1<'_, f64>, ArrayView1<'_, f32>)| {
        channels.clone().map(|channel| c[channel] * f64::from(x[channel])).sum()
    };
    pairs.map(dot).collect()
}

fn other(error: &LensError) -> AnalyzerError {
    AnalyzerError::Other(error.to_string())
}
