//! Where the weights of heads are, and the matrices that they are.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::graph::TensorId;
use fmrai_core::structure::{
    AttentionKind, EmbeddingKind, HeadProjection, OutputProjection, input_projections, output_projections,
};
use fmrai_core::tensor::TensorData;
use ndarray::{Array2, s};

use super::matrices::Heads;
use crate::attention::HeadLayout;

/// The maps of a layer.
#[derive(Debug, Clone, PartialEq)]
struct Layer {
    /// Number of the layer.
    layer: usize,
    heads: usize,
    query: Option<HeadProjection>,
    key: Option<HeadProjection>,
    value: Option<HeadProjection>,
    output: Option<OutputProjection>,
}

/// Where the weights are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Places {
    layers: Vec<Layer>,
    /// The map to the vocabulary and the axis of the results.
    unembedding: Option<(TensorId, usize)>,
    /// The table of the token embedding.
    table: Option<TensorId>,
}

/// The weights of a layer.
#[derive(Debug, Clone)]
pub(super) struct LayerWeights {
    pub(super) layer: usize,
    /// `W_V`, each head `[channel, channel of the head]`.
    pub(super) value: Result<Heads, String>,
    /// `W_O`, transposed: each head `[channel, channel of the head]`.
    pub(super) output: Result<Heads, String>,
    pub(super) query: Result<Heads, String>,
    pub(super) key: Result<Heads, String>,
}

/// Weights as matrices, each read once.
struct Reader<'w> {
    weights: &'w dyn Weights,
    read: BTreeMap<TensorId, Result<Array2<f32>, String>>,
}

impl Places {
    /// Those of the layers whose heads are scored.
    pub(super) fn of(model: &ModelView<'_>, layout: &HeadLayout) -> Self {
        let inputs = input_projections(model.graph, model.structure);
        let outputs = output_projections(model.graph, model.structure);
        let own = model.structure.attention.iter().zip(inputs.into_iter().zip(outputs));
        let own = own.filter(|(attention, _)| attention.kind == AttentionKind::SelfAttention);
        let layers = own
            .filter(|(attention, _)| layout.layers().iter().any(|layer| layer.layer == attention.layer))
            .map(|(attention, (input, output))| Layer {
                layer: attention.layer,
                heads: attention.heads,
                query: input.query,
                key: input.key,
                value: input.value,
                output,
            })
            .collect();
        let unembedding = model.structure.unembedding.iter().rfind(|found| found.vocabulary);
        let table = model.structure.embeddings.iter().find(|found| found.kind == EmbeddingKind::Token);
        Self {
            layers,
            unembedding: unembedding.map(|found| (found.weight, found.axis)),
            table: table.map(|found| found.weight),
        }
    }

    /// Reads the weights of all layers. What is not there says why.
    pub(super) fn layers(&self, weights: &dyn Weights, with_keys: bool) -> Vec<LayerWeights> {
        let read = |layer: &Layer| {
            let mut reader = Reader { weights, read: BTreeMap::new() };
            let mut keys = |name: &str, found: &Option<HeadProjection>| {
                if with_keys { reader.input(name, found) } else { Err("it was not asked for".to_owned()) }
            };
            LayerWeights {
                layer: layer.layer,
                query: keys("queries", &layer.query),
                key: keys("keys", &layer.key),
                value: reader.input("values", &layer.value),
                output: reader.output(layer.output.as_ref(), layer.heads),
            }
        };
        self.layers.iter().map(read).collect()
    }

    /// Channels of all heads of a layer, and of the stream: what a composition costs.
    pub(super) fn sizes(&self) -> Vec<[usize; 2]> {
        let of =
            |layer: &Layer| layer.output.as_ref().zip(layer.value.as_ref()).map(|(o, v)| [o.size, v.size]);
        self.layers.iter().filter_map(of).collect()
    }

    /// The map to the vocabulary and the token embedding, both `[token, channel]`; one of them where they are the same.
    pub(super) fn vocabulary(
        &self,
        weights: &dyn Weights,
    ) -> Result<(Array2<f32>, Option<Array2<f32>>), String> {
        let (unembedding, axis) = self.unembedding.ok_or("the model has no map to a vocabulary")?;
        let table = self.table.ok_or("the model has no token embedding")?;
        let mut map = matrix(weights, unembedding)?;
        if axis == 1 {
            map = map.reversed_axes();
        }
        let table = if table == unembedding { None } else { Some(matrix(weights, table)?) };
        Ok((map, table))
    }
}

impl Reader<'_> {
    fn matrix(&mut self, id: TensorId) -> Result<&Array2<f32>, String> {
        let weights = self.weights;
        let read = self.read.entry(id).or_insert_with(|| matrix(weights, id));
        read.as_ref().map_err(Clone::clone)
    }

    fn input(&mut self, name: &str, found: &Option<HeadProjection>) -> Result<Heads, String> {
        let found = found.as_ref().ok_or_else(|| {
            format!("no linear map was found that makes its {name} of the stream, head by head")
        })?;
        let whole = self.matrix(found.weight)?;
        // [channel, result]
        let whole = if found.axis == 0 { whole.t() } else { whole.view() };
        let rows = found.start..found.start + found.size;
        let each = found.channels.first().map_or(0, Vec::len);
        let most = found.channels.iter().flatten().max().copied().unwrap_or(0);
        if rows.end > whole.nrows() || most >= whole.ncols() || each == 0 {
            return Err(format!("weight {} is {:?}, too small for its {name}", found.weight, whole.shape()));
        }
        let mut all = Array2::zeros((rows.len(), found.channels.len() * each));
        for (column, from) in found.channels.iter().flatten().enumerate() {
            all.column_mut(column).assign(&whole.slice(s![rows.clone(), *from]));
        }
        Ok(Heads { all, heads: found.channels.len() })
    }

    fn output(&mut self, found: Option<&OutputProjection>, heads: usize) -> Result<Heads, String> {
        let found = found.ok_or("no output projection was found that takes its heads side by side")?;
        let whole = self.matrix(found.weight)?;
        // [result, channel of all heads]
        let whole = if found.axis == 1 { whole.view() } else { whole.t() };
        let columns = found.start..found.start + found.size;
        if columns.end > whole.ncols() || heads == 0 || !found.size.is_multiple_of(heads) {
            return Err(format!(
                "weight {} is {:?}, which is no map of {heads} heads",
                found.weight,
                whole.shape()
            ));
        }
        Ok(Heads { all: whole.slice(s![.., columns]).to_owned(), heads })
    }
}

/// A weight of two axes.
fn matrix(weights: &dyn Weights, id: TensorId) -> Result<Array2<f32>, String> {
    let value =
        weights.weight(id).ok_or_else(|| format!("weight {id} is no named parameter of the model"))?;
    let value = value.map_err(|error| format!("weight {id}: {error}"))?;
    let &[rows, columns] = value.shape() else {
        return Err(format!("weight {id} has shape {:?}, needed two axes", value.shape()));
    };
    match value.into_data() {
        TensorData::F32(data) if data.iter().all(|x| x.is_finite()) => {
            Array2::from_shape_vec((rows, columns), data).map_err(|error| format!("weight {id}: {error}"))
        }
        TensorData::F32(_) => Err(format!("weight {id} holds NaN or infinity")),
        other => Err(format!("weight {id} is {}, needed float32", other.dtype())),
    }
}
