//! The map from channels to the vocabulary, with the normalisation before it.

use fmrai_core::analyzer::{AnalyzerError, Weights};
use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::structure::{EmbeddingKind, NeuronWeights, Norm, NormKind, Structure};
use fmrai_core::tensor::TensorData;
use ndarray::{Array2, ArrayView2, Axis, s};

use super::config::FfnKeyValueConfig;

/// What is added to the variance where the graph does not tell.
const EPS: f64 = 1e-5;

/// Where the map `E` to the vocabulary is, before its weights are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MapPlace {
    weight: TensorId,
    /// The axis along which the vocabulary lies.
    axis: usize,
    /// True if it is the table of the token embedding, in a model without a map of its own.
    pub(super) borrowed: bool,
    norm: Option<NormPlace>,
}

#[derive(Debug, Clone, PartialEq)]
struct NormPlace {
    kind: NormKind,
    weight: Option<TensorId>,
    bias: Option<TensorId>,
    eps: f64,
    /// What is added to the weight.
    offset: f32,
}

/// Why there is no map to a vocabulary.
const NONE: &str =
    "the model has no map to a vocabulary; with tied_embedding its token embedding would be used";

impl MapPlace {
    /// The last map to a vocabulary of a model; the reason where there is none.
    pub(super) fn find(
        structure: &Structure,
        graph: &dyn Graph,
        config: &FfnKeyValueConfig,
    ) -> Result<Result<Self, &'static str>, AnalyzerError> {
        let own = structure.unembedding.iter().rfind(|u| u.vocabulary);
        let table = || structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        let (weight, axis, input, borrowed) = match (own, config.tied_embedding, table()) {
            (Some(own), ..) => (own.weight, own.axis, Some(own.input), false),
            (None, true, Some(table)) => (table.weight, 0, None, true),
            _ => return Ok(Err(NONE)),
        };
        let norm = if config.final_norm { Some(NormPlace::find(structure, graph, input)?) } else { None };
        Ok(Ok(Self { weight, axis, borrowed, norm }))
    }

    /// Reads the weights.
    pub(super) fn read(&self, weights: &dyn Weights) -> Result<Projection, String> {
        let table = matrix(weights, self.weight)?;
        let table = if self.axis == 0 { table } else { table.reversed_axes() };
        let norm = match &self.norm {
            None => None,
            Some(place) => Some(place.read(weights, table.ncols())?),
        };
        Ok(Projection { table, norm })
    }
}

impl NormPlace {
    fn find(
        structure: &Structure,
        graph: &dyn Graph,
        input: Option<TensorId>,
    ) -> Result<Self, AnalyzerError> {
        let known = |n: &&Norm| matches!(n.kind, NormKind::Layer | NormKind::Rms);
        let before = |n: &&Norm| Some(n.output) == input;
        let norms = || structure.norms.iter().filter(known);
        let norm = norms().rfind(before).or_else(|| norms().next_back());
        let norm = norm.ok_or_else(|| AnalyzerError::Unsuitable {
            found: "no layer norm or RMS norm".to_owned(),
            needed: "one for final_norm".to_owned(),
        })?;
        let offset = norm.weight.is_some_and(|weight| is_added_to(graph, weight));
        Ok(Self {
            kind: norm.kind,
            weight: norm.weight,
            bias: norm.bias,
            eps: norm.eps.unwrap_or(EPS),
            offset: f32::from(u8::from(offset)),
        })
    }

    fn read(&self, weights: &dyn Weights, channels: usize) -> Result<FinalNorm, String> {
        let read = |id: Option<TensorId>, absent: f32| match id {
            None => Ok(vec![absent; channels]),
            Some(id) => {
                let (_, data) = elements(weights, id)?;
                if data.len() == channels {
                    return Ok(data);
                }
                Err(format!(
                    "the last norm has {} channels, the vocabulary's vectors have {channels}",
                    data.len()
                ))
            }
        };
        let scale: Vec<f32> = read(self.weight, 1.0)?;
        let scale = scale.into_iter().map(|w| w + self.offset).collect();
        Ok(FinalNorm {
            centred: self.kind == NormKind::Layer,
            eps: self.eps,
            scale,
            shift: read(self.bias, 0.0)?,
        })
    }
}

/// True if the model adds something to a weight before it uses it, as norms that store the weight less 1 do.
fn is_added_to(graph: &dyn Graph, weight: TensorId) -> bool {
    let mut at = weight;
    for _ in 0..4 {
        let [user] = graph.users(at) else { return false };
        let Some(operation) = graph.operation(*user) else { return false };
        match operation.base_name() {
            "add" => return true,
            "to" | "_to_copy" | "float" => {}
            _ => return false,
        }
        let Some(output) = operation.outputs.first() else { return false };
        at = *output;
    }
    false
}

/// `E`, and what is done before it.
#[derive(Debug)]
pub(super) struct Projection {
    /// `[token, channel]`.
    table: Array2<f32>,
    norm: Option<FinalNorm>,
}

#[derive(Debug)]
struct FinalNorm {
    centred: bool,
    eps: f64,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl FinalNorm {
    fn apply(&self, row: &mut [f32]) {
        let n = row.len() as f64;
        let mean = if self.centred { row.iter().map(|&x| f64::from(x)).sum::<f64>() / n } else { 0.0 };
        let square = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        let by = (square + self.eps).sqrt().recip();
        for ((x, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *x = (((f64::from(*x) - mean) * by) as f32).mul_add(*scale, *shift);
        }
    }
}

impl Projection {
    /// Size of the vocabulary.
    pub(super) fn tokens(&self) -> usize {
        self.table.nrows()
    }

    /// Width of the vectors that it takes.
    pub(super) fn channels(&self) -> usize {
        self.table.ncols()
    }

    /// Scores `[vector, token]` of vectors `[vector, channel]`.
    pub(super) fn scores(&self, vectors: ArrayView2<'_, f32>) -> Array2<f32> {
        let Some(norm) = &self.norm else { return vectors.dot(&self.table.t()) };
        let mut normed = vectors.as_standard_layout().into_owned();
        for mut row in normed.rows_mut() {
            if let Some(row) = row.as_slice_mut() {
                norm.apply(row);
            }
        }
        normed.dot(&self.table.t())
    }
}

/// The value vectors of a block, `[neuron, channel]`.
pub(super) fn values(
    weights: &dyn Weights,
    place: &NeuronWeights,
    neurons: usize,
) -> Result<Array2<f32>, String> {
    let matrix = matrix(weights, place.weight)?;
    if place.axis > 1 || place.expert_axis.is_some() {
        return Err("the values lie in a weight of more than two axes".to_owned());
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
