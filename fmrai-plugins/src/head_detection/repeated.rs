//! What heads do with repeated random tokens.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::experiment::{Bench, Layout, Place, Site};
use fmrai_core::graph::TensorId;
use fmrai_core::tensor::{TensorData, TensorValue};

use super::learning::loss;
use super::sums::{Sums, earlier};
use super::tokens::Rows;
use crate::attention::HeadLayout;
use crate::finite::finite;
use crate::sites::Moments;

/// Bytes of attention probabilities and logits that are held at a time, about.
const MEMORY: usize = 512 << 20;

/// Sum of attention to what followed the same token in earlier repetitions, and the queries of it, head by head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prefix {
    sums: Vec<f64>,
    queries: f64,
    /// Tokens that are repeated.
    pub(super) length: usize,
}

/// What was found on the rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repeated {
    pub(super) ids: Vec<Vec<u32>>,
    pub(super) sums: Sums,
    /// Loss on the middle token of the last part minus that of the first one.
    pub(super) learning: Moments,
}

/// The attention of some rows of tokens.
struct Attention<'a> {
    layout: &'a HeadLayout,
    /// `[row, head, query, key]` of each layer.
    layers: Vec<TensorValue>,
    tokens: usize,
}

impl Attention<'_> {
    /// Probabilities that a query gives to the tokens of its row. `head` counts over all layers.
    fn row(&self, row: usize, head: usize, query: usize) -> Option<&[f32]> {
        let (at, layer) = self.layout.layers().iter().enumerate().rfind(|(_, layer)| layer.first <= head)?;
        let value = self.layers.get(at)?;
        let TensorData::F32(data) = value.data() else { return None };
        let &[_, heads, queries, keys] = value.shape() else { return None };
        let before = self.layout.streams().get(layer.stream)?.before;
        let start = ((row * heads + head - layer.first) * queries + before + query) * keys;
        let first = start + layer.sinks[0] + before;
        data.get(first..first + self.tokens)
    }
}

/// What looks at a row: its place among all rows and among those that ran with it, their attention, and their logits `[row, position, token]`.
type Look<'l> = dyn FnMut([usize; 2], &Attention<'_>, Option<&TensorValue>) + 'l;

/// Runs the rows, as many at a time as fit into memory.
fn run(
    rows: &[Vec<u32>],
    layout: &HeadLayout,
    logits: Option<(TensorId, usize)>,
    bench: &mut dyn Bench,
    each: &mut Look<'_>,
) -> Result<(), AnalyzerError> {
    let tokens = rows.first().map_or(0, Vec::len);
    let mut sites: Vec<Site> = layout
        .layers()
        .iter()
        .map(|layer| Site {
            place: Place::Tensor(layer.probabilities),
            layout: Layout::probabilities(layer.heads),
        })
        .collect();
    sites.extend(logits.map(|(id, _)| Site { place: Place::Tensor(id), layout: Layout::stream() }));
    let vocabulary = logits.map_or(0, |(_, tokens)| tokens);
    let of_row = (layout.heads() * tokens + vocabulary).saturating_mul(4 * tokens).max(1);
    let chunk = (MEMORY / of_row).clamp(1, rows.len().max(1));
    for (at, part) in rows.chunks(chunk).enumerate() {
        let mut values = bench.read_tokens(part, &sites)?;
        let logits = if logits.is_some() { values.pop() } else { None };
        let read = |(value, layer): (&TensorValue, &crate::attention::LayerHeads)| {
            let before = layout.streams().get(layer.stream).map_or(0, |stream| stream.before);
            let least = layer.sinks[0] + before + tokens;
            let fits = matches!(value.shape(), [_, _, queries, keys] if *queries >= before + tokens && *keys >= least);
            fits && matches!(value.data(), TensorData::F32(p) if p.iter().all(|p| p.is_finite()))
        };
        if let Some((_, layer)) = values.iter().zip(layout.layers()).find(|(v, l)| !read((*v, *l))) {
            return Err(AnalyzerError::Other(format!(
                "attention[{}] gives no finite float32 probabilities for each of the {tokens} tokens",
                layer.layer
            )));
        }
        let attention = Attention { layout, layers: values, tokens };
        for row in 0..part.len() {
            each([at * chunk + row, row], &attention, logits.as_ref());
        }
    }
    Ok(())
}

impl Repeated {
    /// Runs the rows.
    pub(super) fn measure(
        rows: &Rows,
        layout: &HeadLayout,
        logits: Option<(TensorId, usize)>,
        bench: &mut dyn Bench,
    ) -> Result<Self, AnalyzerError> {
        let mut found =
            Self { ids: rows.rows.clone(), sums: Sums::new(layout.heads()), learning: Moments::default() };
        // The loss on a token stands at the position before it.
        let middle = rows.start + rows.length / 2;
        let ends = (rows.length > 1).then(|| [middle, middle + (rows.times - 1) * rows.length]);
        let logits = logits.filter(|_| ends.is_some());
        run(&rows.rows, layout, logits, bench, &mut |[row, held], attention, logits| {
            let ids = &rows.rows[row];
            let earlier = earlier(ids);
            for head in 0..layout.heads() {
                found.sums.add(head, ids.len(), &earlier, |query| attention.row(held, head, query));
            }
            let losses = ends.map(|ends| ends.map(|token| loss_on(logits?, held, ids, token)));
            if let Some([Some(early), Some(late)]) = losses {
                found.learning.add(late - early);
            }
        })?;
        Ok(found)
    }

    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        let length = self.ids.first().map_or(0, Vec::len);
        let ids = self.ids.iter().flatten().map(|id| i64::from(*id)).collect();
        state.put::<i64>("repeated.ids", [self.ids.len(), length], ids)?;
        state.put("repeated.learning", [3], self.learning.numbers().to_vec())?;
        self.sums.put(state, "repeated")
    }

    pub(super) fn get(state: &State, heads: usize) -> Result<Self, StateError> {
        let shape = state.tensors.get("repeated.ids").map(|ids| ids.shape().to_vec()).unwrap_or_default();
        let ids = state.get::<i64>("repeated.ids", &shape)?;
        let length = shape.get(1).copied().unwrap_or(0).max(1);
        let id = |id: &i64| u32::try_from(*id).unwrap_or(0);
        let n = finite(state, "repeated.learning", &[3])?;
        Ok(Self {
            ids: ids.chunks(length).map(|row| row.iter().map(id).collect()).collect(),
            sums: Sums::get(state, "repeated", heads)?,
            learning: Moments::of([n[0], n[1], n[2]]),
        })
    }
}

/// The loss on a token of a row, by logits `[row, position, token]`.
fn loss_on(logits: &TensorValue, row: usize, ids: &[u32], token: usize) -> Option<f64> {
    let &[_, positions, tokens] = logits.shape() else { return None };
    let TensorData::F32(data) = logits.data() else { return None };
    let start = (row * positions + token.checked_sub(1)?) * tokens;
    loss(data.get(start..start + tokens)?, *ids.get(token)?).filter(|loss| loss.is_finite())
}

impl Prefix {
    /// Runs the rows.
    pub(super) fn measure(
        rows: &Rows,
        layout: &HeadLayout,
        bench: &mut dyn Bench,
    ) -> Result<Self, AnalyzerError> {
        let mut found = Self { sums: vec![0.0; layout.heads()], queries: 0.0, length: rows.length };
        run(&rows.rows, layout, None, bench, &mut |[_, held], attention, _| {
            for query in rows.start + rows.length..rows.start + rows.length * rows.times {
                let repetitions = (query - rows.start) / rows.length;
                let keys = (1..=repetitions).map(|back| query - back * rows.length + 1);
                for (head, sum) in found.sums.iter_mut().enumerate() {
                    let Some(all) = attention.row(held, head, query) else { continue };
                    *sum += keys.clone().filter_map(|key| all.get(key)).map(|p| f64::from(*p)).sum::<f64>();
                }
                found.queries += 1.0;
            }
        })?;
        Ok(found)
    }

    /// The score of each head.
    pub(super) fn scores(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.queries).collect()
    }

    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        state.put("prefix.queries", [2], vec![self.queries, self.length as f64])?;
        state.put("prefix", [self.sums.len()], self.sums.clone())
    }

    pub(super) fn get(state: &State, heads: usize) -> Result<Self, StateError> {
        let n = finite(state, "prefix.queries", &[2])?;
        Ok(Self { sums: finite(state, "prefix", &[heads])?, queries: n[0], length: n[1] as usize })
    }
}
