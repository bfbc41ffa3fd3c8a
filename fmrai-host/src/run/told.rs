//! What a run has to tell of the tensors that it kept, beside its results.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::selector::labels;
use fmrai_core::structure::Structure;
use fmrai_core::tensor::DataView;
use fmrai_core::tracker::{Activations, CaptureRequest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::samples::Samples;

/// Elements that one thread looks at.
const PART: usize = 1 << 16;
/// Tensors that a line names; the rest is counted.
const NAMED: usize = 3;

/// What was noticed in tensors that were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Tensors that hold NaN.
    pub nan: BTreeMap<TensorId, Nan>,
    /// Tensors of a batch that was filled up, in which the samples could not be told from the rows that were added: handed out
    /// whole.
    pub whole: BTreeSet<TensorId>,
    /// Tensors of a batch that was filled up, in which what belongs to one sample depends on the rows that were added.
    pub mixed: BTreeSet<TensorId>,
}

/// NaN in a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nan {
    /// How many elements, over all batches.
    pub elements: u64,
    /// In how many batches.
    pub batches: u64,
    /// The first batch that has some, from 0.
    pub first_batch: u64,
    /// The sample of the first one; `None` if it cannot be told.
    pub first_sample: Option<u64>,
}

impl Told {
    /// Looks for NaN in the tensors of a batch. `row_of` tells the row that an element of a tensor of some shape belongs to.
    pub(super) fn look(
        &mut self,
        batch: &Samples,
        activations: &dyn Activations,
        request: &CaptureRequest,
        mut row_of: impl FnMut(TensorId, &[usize], usize) -> Option<usize>,
    ) {
        for id in request.tensors() {
            let Some(Ok(view)) = activations.tensor(id) else { continue };
            let (elements, first) = nan(view.data());
            let Some(first) = first else { continue };
            if let Some(known) = self.nan.get_mut(&id) {
                known.elements += elements;
                known.batches += 1;
                continue;
            }
            let row = row_of(id, view.shape(), first);
            let first_sample = row.and_then(|row| batch.samples.get(row)).map(|sample| sample.id);
            self.nan.insert(id, Nan { elements, batches: 1, first_batch: batch.index, first_sample });
        }
    }

    /// Adds what was noticed in other batches.
    pub(super) fn merge(&mut self, other: &Self) {
        for (id, new) in &other.nan {
            let Some(known) = self.nan.get_mut(id) else {
                self.nan.insert(*id, new.clone());
                continue;
            };
            if new.first_batch < known.first_batch {
                (known.first_batch, known.first_sample) = (new.first_batch, new.first_sample);
            }
            known.elements += new.elements;
            known.batches += new.batches;
        }
        self.whole.extend(&other.whole);
        self.mixed.extend(&other.mixed);
    }

    /// A sentence for each kind of thing that was noticed.
    pub(super) fn lines(&self, graph: &dyn Graph, structure: &Structure) -> Vec<String> {
        let named = |ids: &mut dyn Iterator<Item = TensorId>, count: usize| {
            let names: Vec<String> = ids.take(NAMED).map(|id| name(graph, structure, id)).collect();
            let more = count.saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", names.join(", "))
        };
        let mut lines = Vec::new();
        if let Some((first, nan)) = self.nan.first_key_value() {
            let elements: u64 = self.nan.values().map(|nan| nan.elements).sum();
            let sample = nan.first_sample.map_or_else(String::new, |id| format!(", sample {id}"));
            lines.push(format!(
                "{elements} elements of {} kept tensors are NaN: {}; in {first} first in batch {}{sample}",
                self.nan.len(),
                named(&mut self.nan.keys().copied(), self.nan.len()),
                nan.first_batch,
            ));
        }
        if !self.whole.is_empty() {
            lines.push(format!(
                "which part of a tensor belongs to which sample cannot be told, so the rows that fill up the last batch are still in \
                 {}",
                named(&mut self.whole.iter().copied(), self.whole.len())
            ));
        }
        if !self.mixed.is_empty() {
            lines.push(format!(
                "the rows that fill up the last batch have a part in {}, which is computed over all rows",
                named(&mut self.mixed.iter().copied(), self.mixed.len())
            ));
        }
        lines
    }

    /// The same for the summary of the run.
    pub(super) fn document(&self, graph: &dyn Graph, structure: &Structure) -> Value {
        let about = |id: &TensorId| json!({ "id": id, "labels": labels(graph, structure, *id) });
        let nan = self.nan.iter().map(|(id, nan)| {
            let mut entry = about(id);
            for (field, value) in json!(nan).as_object().into_iter().flatten() {
                entry[field] = value.clone();
            }
            entry
        });
        json!({
            "nan": nan.collect::<Vec<_>>(),
            "whole": self.whole.iter().map(about).collect::<Vec<_>>(),
            "mixed": self.mixed.iter().map(about).collect::<Vec<_>>(),
        })
    }
}

fn name(graph: &dyn Graph, structure: &Structure, id: TensorId) -> String {
    match labels(graph, structure, id).into_iter().next() {
        Some(label) if label != id.to_string() => format!("{label} ({id})"),
        _ => id.to_string(),
    }
}

/// How many elements are NaN, and the first of them.
fn nan(data: DataView<'_>) -> (u64, Option<usize>) {
    match data {
        DataView::F32(d) => count(d, f32::is_nan),
        DataView::F64(d) => count(d, f64::is_nan),
        DataView::I64(_) | DataView::I32(_) | DataView::U8(_) => (0, None),
    }
}

fn count<T: Copy + Sync>(data: &[T], is_nan: impl Fn(T) -> bool + Sync) -> (u64, Option<usize>) {
    let some = |part: &[T]| part.iter().fold(false, |some, x| some | is_nan(*x));
    if !data.par_chunks(PART).any(some) {
        return (0, None);
    }
    let all = data.iter().filter(|x| is_nan(**x)).count() as u64;
    (all, data.iter().position(|x| is_nan(*x)))
}

#[cfg(test)]
mod tests {
    use fmrai_core::testing::{MemoryActivations, padded_sample};

    use super::*;

    #[test]
    fn nan_is_counted_and_its_first_sample_is_told() {
        let of = |values: Vec<f32>| {
            let activations = MemoryActivations::new();
            let activations = activations.with_f32(TensorId(0), [2, 2], values).unwrap();
            activations.with_f32(TensorId(1), [1], vec![1.0]).unwrap()
        };
        let samples = |index| Samples {
            index,
            samples: vec![padded_sample(2 * index, &[1], 0), padded_sample(2 * index + 1, &[1], 0)],
        };
        let request = (0..2).map(TensorId).collect();
        let row = |_: TensorId, _: &[usize], element| Some(element / 2);
        let mut told = Told::default();
        told.look(&samples(0), &of(vec![1.0; 4]), &request, row);
        assert_eq!(told, Told::default());
        told.look(&samples(1), &of(vec![1.0, 2.0, f32::NAN, f32::INFINITY]), &request, row);
        told.look(&samples(2), &of(vec![f32::NAN; 4]), &request, row);
        let expected = Nan { elements: 5, batches: 2, first_batch: 1, first_sample: Some(3) };
        assert_eq!(told.nan, BTreeMap::from([(TensorId(0), expected)]));
    }
}
