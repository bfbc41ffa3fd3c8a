//! How vectors are read in the vocabulary.

use std::sync::Arc;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::structure::{EmbeddingKind, NeuronWeights, Structure};
use fmrai_core::tensor::TensorData;
use ndarray::{ArcArray2, Array2, ArrayView2, Axis, s};

use super::config::FfnKeyValueConfig;
use crate::lens::{From, Lens, LensError, LoadedLens};

/// Where the maps to the vocabulary are, before their weights are read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MapPlace {
    weight: TensorId,
    /// The axis along which the vocabulary lies.
    axis: usize,
    /// Its shape, `[token, channel]` or the other way round.
    shape: Vec<i64>,
    /// True if it is the table of the token embedding, in a model without a map of its own.
    pub(super) borrowed: bool,
    /// What streams are read through: all that the model does after its last stream. The reason where that is not known.
    pub(super) lens: Result<Lens, LensError>,
}

/// Why there is no map to a vocabulary.
const NONE: &str =
    "the model has no map to a vocabulary; with tied_embedding its token embedding would be used";

impl MapPlace {
    /// The last map to a vocabulary of a model; the reason where there is none.
    pub(crate) fn find(
        structure: &Structure,
        graph: &dyn Graph,
        config: &FfnKeyValueConfig,
    ) -> Result<Self, &'static str> {
        let own = structure.unembedding.iter().rfind(|u| u.vocabulary);
        let table = || structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        let shape = |weight| graph.tensor(weight).map(|tensor| tensor.shape.clone()).unwrap_or_default();
        match (own, config.tied_embedding, table()) {
            (Some(own), ..) => Ok(Self {
                weight: own.weight,
                axis: own.axis,
                shape: shape(own.weight),
                borrowed: false,
                lens: Lens::find(graph, structure),
            }),
            (None, true, Some(table)) => Ok(Self {
                weight: table.weight,
                axis: 0,
                shape: shape(table.weight),
                borrowed: true,
                lens: Lens::borrowed(graph, structure),
            }),
            _ => Err(NONE),
        }
    }

    /// Bytes of the map in float32, and of scores of so many vectors.
    pub(super) fn bytes(&self, vectors: usize) -> usize {
        let size = |n: &i64| usize::try_from(*n).unwrap_or(0);
        let tokens = self.shape.get(self.axis).map_or(0, size);
        size_of::<f32>() * (self.shape.iter().map(size).product::<usize>() + vectors * tokens)
    }

    /// Reads the weights of the lens.
    pub(super) fn load(&self, weights: &dyn Weights) -> Result<Arc<LoadedLens>, LensError> {
        Ok(Arc::new(self.lens.clone()?.load(weights)?))
    }

    /// `E` alone: a matrix is not read again where the lens has it.
    pub(super) fn table(
        &self,
        weights: &dyn Weights,
        lens: Option<&LoadedLens>,
    ) -> Result<Projection, String> {
        let table = match lens.and_then(|lens| lens.matrix(self.weight)) {
            Some(table) => table,
            None => matrix(weights, self.weight)?.into_shared(),
        };
        Ok(Projection::Table(if self.axis == 0 { table } else { table.reversed_axes() }))
    }
}

/// A map from vectors to scores of all tokens.
#[derive(Debug, Clone)]
pub(super) enum Projection {
    /// `E`, `[token, channel]`, and nothing else.
    Table(ArcArray2<f32>),
    /// All that the model does after its last stream.
    Lens(Arc<LoadedLens>, From),
}

impl Projection {
    /// Size of the vocabulary.
    pub(super) fn tokens(&self) -> usize {
        match self {
            Self::Table(table) => table.nrows(),
            Self::Lens(lens, _) => lens.tokens(),
        }
    }

    /// Width of the vectors that it takes.
    pub(super) fn channels(&self) -> usize {
        match self {
            Self::Table(table) => table.ncols(),
            Self::Lens(lens, _) => lens.channels(),
        }
    }

    /// True for `E` alone.
    pub(super) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }

    /// Scores `[vector, token]` of vectors `[vector, channel]`.
    pub(super) fn scores(&self, vectors: ArrayView2<'_, f32>) -> Result<Array2<f32>, String> {
        match self {
            Self::Table(table) if table.ncols() == vectors.ncols() => Ok(vectors.dot(&table.t())),
            Self::Table(table) => Err(format!(
                "the vectors have {} channels, the vocabulary's vectors have {}",
                vectors.ncols(),
                table.ncols()
            )),
            Self::Lens(lens, from) => lens.logits(vectors, *from).map_err(|e| e.to_string()),
        }
    }
}

/// The value vectors of a block, `[neuron, channel]`.
pub(crate) fn values(
    weights: &dyn Weights,
    place: &NeuronWeights,
    neurons: usize,
) -> Result<Array2<f32>, String> {
    let matrix = matrix(weights, place.weight)?;
    if place.axis > 1 || place.groups > 1 || place.expert_axis.is_some() {
        let what = "the values lie in a weight of more than two axes, or in groups of channels";
        return Err(what.to_owned());
    }
    let matrix = if place.axis == 0 { matrix } else { matrix.reversed_axes() };
    let last = neurons.checked_sub(1).and_then(|n| n.checked_mul(place.step)?.checked_add(place.start));
    match last {
        Some(last) if last < matrix.nrows() => {
            let rows = matrix.slice(s![place.start..=last; place.step.max(1), ..]);
            Ok(rows.as_standard_layout().into_owned())
        }
        _ => Err(format!(
            "the values' weight has {} rows, {neurons} neurons are expected in it",
            matrix.len_of(Axis(0))
        )),
    }
}

fn elements(weights: &dyn Weights, id: TensorId) -> Result<(Vec<usize>, Vec<f32>), String> {
    let value =
        weights.weight(id).ok_or_else(|| format!("weight {id} is no named parameter of the model"))?;
    let value = value.map_err(|e| format!("weight {id}: {e}"))?;
    match value.data() {
        TensorData::F32(data) if data.iter().all(|x| x.is_finite()) => {
            Ok((value.shape().to_vec(), data.clone()))
        }
        TensorData::F32(_) => Err(format!("weight {id} holds NaN or infinity")),
        other => Err(format!("weight {id} is {}, needed float32", other.dtype())),
    }
}

fn matrix(weights: &dyn Weights, id: TensorId) -> Result<Array2<f32>, String> {
    let (shape, data) = elements(weights, id)?;
    let [rows, columns] = *shape else {
        return Err(format!("weight {id} has shape {shape:?}, needed two axes"));
    };
    Array2::from_shape_vec((rows, columns), data).map_err(|e| format!("weight {id}: {e}"))
}
