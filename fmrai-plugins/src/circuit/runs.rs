//! What the nodes and streams of a model hold in the two runs of a batch.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Bench, Layout, Site, Variant};
use fmrai_core::tensor::TensorValue;
use ndarray::Array2;

use super::graph::{End, Node};
use super::wiring::{Wiring, numbers};
use crate::pairs::PairRows;

/// A difference of streams that is larger than this share of them is none of rounding.
const ROUNDING: f32 = 2e-2;

/// The rows of the two texts of each pair.
#[derive(Debug, Clone)]
pub(super) struct PairedRows {
    pub(super) clean: Vec<usize>,
    pub(super) corrupted: Vec<usize>,
    /// The tokens of each pair, in the padded row.
    pub(super) spans: Vec<std::ops::Range<usize>>,
}

impl PairedRows {
    pub(super) fn of(pairs: &[PairRows<'_>]) -> Self {
        let span = |sample: &Sample| sample.span.clone();
        Self {
            clean: pairs.iter().map(|pair| pair.clean).collect(),
            corrupted: pairs.iter().map(|pair| pair.corrupted).collect(),
            spans: pairs.iter().map(|pair| span(pair.samples[0])).collect(),
        }
    }
}

/// What a site holds in one of the runs: `[pair · position, channel]` of a stream, the axes of the site of heads.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) data: Vec<f32>,
    pub(super) shape: Vec<usize>,
}

impl Held {
    fn of(value: &TensorValue) -> Self {
        Self { data: numbers(value), shape: value.shape().to_vec() }
    }

    /// With the last axis as columns.
    pub(super) fn matrix(&self) -> Result<Array2<f32>, AnalyzerError> {
        let width = self.shape.last().copied().unwrap_or(1).max(1);
        matrix(self.data.clone(), width)
    }
}

pub(super) fn value(data: Vec<f32>, shape: &[usize]) -> Result<TensorValue, AnalyzerError> {
    Ok(TensorValue::new(shape.to_vec(), data.into())?)
}

fn matrix(data: Vec<f32>, width: usize) -> Result<Array2<f32>, AnalyzerError> {
    let rows = data.len() / width;
    Array2::from_shape_vec((rows, width), data).map_err(|error| AnalyzerError::Other(error.to_string()))
}

/// One of the two runs.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// What each layer has: the stream before it, queries, keys and values, the heads side by side, and of a feed-forward block what it reads
    /// and what it gives.
    pub(super) layers: Vec<LayerRun>,
    /// The last stream.
    pub(super) end: Held,
}

/// What a layer holds in a run.
#[derive(Debug, Clone)]
pub(super) struct LayerRun {
    pub(super) before: Held,
    pub(super) inputs: [Held; 3],
    pub(super) heads: Held,
    pub(super) ffn: Option<[Held; 2]>,
}

/// The two runs.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    pub(super) clean: Run,
    pub(super) corrupted: Run,
}

impl Runs {
    pub(super) fn read(
        wiring: &Wiring,
        rows: &PairedRows,
        bench: &mut dyn Bench,
    ) -> Result<Self, AnalyzerError> {
        let mut sites: Vec<Site> = Vec::new();
        for layer in &wiring.layers {
            sites.push(layer.before.clone());
            sites.extend(layer.inputs.iter().cloned());
            sites.push(layer.heads.clone());
            sites.extend(layer.ffn.iter().flat_map(|ffn| [ffn.reads.clone(), ffn.gives.clone()]));
        }
        sites.push(wiring.end.clone());
        let variants = [Variant::clean(rows.clean.clone()), Variant::clean(rows.corrupted.clone())];
        let mut read = bench.read_all(&variants, &sites)?.into_iter();
        let mut next = || Self::run(wiring, &mut read.next().unwrap_or_default().iter());
        Ok(Self { clean: next()?, corrupted: next()? })
    }

    fn run(wiring: &Wiring, values: &mut std::slice::Iter<'_, TensorValue>) -> Result<Run, AnalyzerError> {
        let mut next = || {
            let value = values.next().map(Held::of);
            value.ok_or_else(|| AnalyzerError::Other("fewer values than sites were read".to_owned()))
        };
        let mut layers = Vec::with_capacity(wiring.layers.len());
        for layer in &wiring.layers {
            layers.push(LayerRun {
                before: next()?,
                inputs: [next()?, next()?, next()?],
                heads: next()?,
                ffn: if layer.ffn.is_some() { Some([next()?, next()?]) } else { None },
            });
        }
        Ok(Run { layers, end: next()? })
    }

    /// What each node gives to the stream in the clean run less what it gives in the corrupted one, `[pair · position · channel]`.
    pub(super) fn differences(&self, wiring: &Wiring) -> Result<Vec<Vec<f32>>, AnalyzerError> {
        let first = |run: &Run| run.layers.first().map(|layer| layer.before.clone());
        let mut all = Vec::with_capacity(wiring.graph.nodes.len());
        let mut heads: Option<(usize, Array2<f32>)> = None;
        for node in &wiring.graph.nodes {
            all.push(match *node {
                Node::Input => match (first(&self.clean), first(&self.corrupted)) {
                    (Some(clean), Some(corrupted)) => less(&clean.data, &corrupted.data),
                    _ => Vec::new(),
                },
                Node::Head(layer, head) => {
                    if heads.as_ref().is_none_or(|(of, _)| *of != layer) {
                        let [clean, corrupted] =
                            [&self.clean, &self.corrupted].map(|run| &run.layers[layer].heads);
                        let difference = less(&clean.data, &corrupted.data);
                        heads = Some((layer, matrix(difference, wiring.layers[layer].width().max(1))?));
                    }
                    let heads = heads.as_ref().map(|(_, heads)| wiring.layers[layer].of_head(heads, head));
                    flat(heads.unwrap_or_default())
                }
                Node::Ffn(layer) => {
                    let [clean, corrupted] =
                        [&self.clean, &self.corrupted].map(|run| run.layers[layer].ffn.as_ref());
                    match (clean, corrupted) {
                        (Some([_, clean]), Some([_, corrupted])) => less(&clean.data, &corrupted.data),
                        _ => Vec::new(),
                    }
                }
            });
        }
        let size = self.clean.end.data.len();
        if let Some(node) = all.iter().position(|difference| difference.len() != size) {
            return Err(AnalyzerError::Other(format!(
                "{} has {} elements, the stream {size}",
                wiring.graph.name(node),
                all[node].len()
            )));
        }
        Ok(all)
    }

    /// The stream that a destination reads in a run.
    pub(super) fn stream<'r>(run: &'r Run, end: &End) -> Option<&'r Held> {
        match end {
            End::Query(layer, _) | End::Key(layer, _) | End::Value(layer, _) => {
                run.layers.get(*layer).map(|layer| &layer.before)
            }
            End::Ffn(layer) => run.layers.get(*layer)?.ffn.as_ref().map(|[reads, _]| reads),
            End::Logits => Some(&run.end),
        }
    }

    /// Compares the differences of the nodes with that of each stream, which they have to add up to.
    pub(super) fn check(
        &self,
        wiring: &Wiring,
        rows: &PairedRows,
        differences: &[Vec<f32>],
    ) -> Result<(), AnalyzerError> {
        let mut sum = vec![0.0; self.clean.end.data.len()];
        let mut added = 0;
        let channels = self.clean.end.shape.last().copied().unwrap_or(1);
        let positions = sum.len() / channels.max(1) / rows.spans.len().max(1);
        for destination in &wiring.graph.destinations {
            // Of parallel blocks, heads are not in the stream yet.
            if destination.sources < added {
                continue;
            }
            for difference in &differences[added..destination.sources] {
                add(&mut sum, difference);
            }
            added = destination.sources;
            let streams = [&self.clean, &self.corrupted].map(|run| Self::stream(run, &destination.end));
            let [Some(clean), Some(corrupted)] = streams else { continue };
            let mut worst = 0.0_f32;
            let mut scale = 1e-3_f32;
            for (row, span) in rows.spans.iter().enumerate() {
                let start = (row * positions + span.start) * channels;
                let end = (row * positions + span.end.min(positions)) * channels;
                let streams = clean.data[start..end].iter().zip(&corrupted.data[start..end]);
                for ((clean, corrupted), sum) in streams.zip(&sum[start..end]) {
                    let off = (clean - corrupted - sum).abs();
                    // What is no number stays.
                    worst = if off.is_nan() || off > worst { off } else { worst };
                    scale = scale.max(clean.abs());
                }
            }
            if worst.is_nan() || worst > ROUNDING * scale {
                return Err(AnalyzerError::Unsuitable {
                    found: format!(
                        "a stream before {} that is off by {worst} from the sum of what is added to it",
                        destination.name
                    ),
                    needed: "a stream that is the sum of the input, the heads and the feed-forward blocks"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Row by row, one after the other.
pub(super) fn flat(matrix: Array2<f32>) -> Vec<f32> {
    if matrix.is_standard_layout() {
        matrix.into_raw_vec_and_offset().0
    } else {
        matrix.iter().copied().collect()
    }
}

pub(super) fn less(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

pub(super) fn add(into: &mut [f32], other: &[f32]) {
    into.iter_mut().zip(other).for_each(|(a, b)| *a += b);
}

pub(super) fn take(into: &mut [f32], other: &[f32]) {
    into.iter_mut().zip(other).for_each(|(a, b)| *a -= b);
}

/// The places of one head in data with the axes of a layout: runs of `(start, length)`.
pub(super) fn of_head(layout: &Layout, shape: &[usize], head: usize) -> Vec<(usize, usize)> {
    let Some(axis) = layout.axis(fmrai_core::experiment::Axis::Head).filter(|axis| *axis < shape.len())
    else {
        return vec![(0, shape.iter().product())];
    };
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    (0..outer).map(|at| ((at * shape[axis] + head) * inner, inner)).collect()
}
