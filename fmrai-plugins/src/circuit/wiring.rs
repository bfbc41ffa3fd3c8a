//! Where the nodes and destinations of a model are in its passes.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::{Axis, Block, Layout, Place, Site, Sites, Size};
use fmrai_core::graph::{TensorId, Value};
use fmrai_core::structure::{
    Attention, EmbeddingKind, OutputProjection, Structure, Writer, output_projections,
};
use fmrai_core::tensor::TensorValue;
use ndarray::{Array2, s};

use super::graph::{Graph, LayerShape};
use crate::sites::{SiteKind, logits_of};

const NEEDED: &str =
    "blocks whose attention heads and feed-forward blocks are added to one stream as they are";

/// The feed-forward block of a layer.
#[derive(Debug, Clone)]
pub(super) struct Ffn {
    /// The stream that it reads.
    pub(super) reads: Site,
    /// What it adds to the stream.
    pub(super) gives: Site,
}

/// A layer.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// The stream that the attention reads.
    pub(super) before: Site,
    /// Queries, keys and values.
    pub(super) inputs: [Site; 3],
    /// What the output projection takes: all heads side by side.
    pub(super) heads: Site,
    /// The output projection, `[head · channel, channel of the stream]`.
    weight: Array2<f32>,
    count: usize,
    pub(super) ffn: Option<Ffn>,
}

impl Layer {
    /// What a head adds to the stream, `[position, channel]`, of what all heads give, `[position, head · channel]`.
    pub(super) fn of_head(&self, heads: &Array2<f32>, head: usize) -> Array2<f32> {
        let width = self.weight.nrows() / self.count.max(1);
        let channels = s![head * width..(head + 1) * width, ..];
        heads.slice(s![.., head * width..(head + 1) * width]).dot(&self.weight.slice(channels))
    }

    /// Channels of all heads together.
    pub(super) fn width(&self) -> usize {
        self.weight.nrows()
    }
}

/// The nodes and destinations of a model.
#[derive(Debug, Clone)]
pub(super) struct Wiring {
    pub(super) graph: Graph,
    pub(super) logits: TensorId,
    /// The token embeddings, where there are some.
    pub(super) embedding: Option<Site>,
    pub(super) layers: Vec<Layer>,
    /// The last stream.
    pub(super) end: Site,
    /// Whether keys or values that heads share are one destination for all of them.
    pub(super) grouped: bool,
}

impl Wiring {
    pub(super) fn of(model: &ModelView<'_>) -> Result<Self, AnalyzerError> {
        let structure = model.structure;
        let logits = logits_of(model)?;
        let sites = Sites::of(model.graph, structure);
        check_stream(structure, &sites)?;
        let projections = output_projections(model.graph, structure);
        let mut layers = Vec::with_capacity(sites.blocks.len());
        let mut shapes = Vec::with_capacity(sites.blocks.len());
        for block in &sites.blocks {
            let at =
                structure.attention.iter().position(|attention| std::ptr::eq(attention, block.attention));
            let projection = at.and_then(|at| projections.get(at).copied().flatten());
            let layer = layer_of(model, &sites, block, projection)?;
            let heads = block.attention.heads;
            let [_, keys, values] = &layer.inputs;
            shapes.push(LayerShape {
                heads,
                keys: heads_of(keys, block.attention),
                values: heads_of(values, block.attention),
                ffn: layer.ffn.is_some(),
                parallel: block.parallel(),
            });
            layers.push(layer);
        }
        let embedding = structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        let end = sites.blocks.last().and_then(Block::after).ok_or_else(|| unsuitable("no last stream"))?;
        Ok(Self {
            grouped: shapes.iter().any(|shape| shape.keys != shape.heads || shape.values != shape.heads),
            graph: Graph::new(&shapes),
            logits,
            embedding: embedding
                .map(|found| Site { place: Place::Tensor(found.output), layout: Layout::stream() }),
            layers,
            end: sites.stream(end),
        })
    }
}

fn unsuitable(found: &str) -> AnalyzerError {
    AnalyzerError::Unsuitable { found: found.to_owned(), needed: NEEDED.to_owned() }
}

/// How many heads can be set apart at a site of keys or values.
fn heads_of(site: &Site, attention: &Attention) -> usize {
    let known = site.layout.0.iter().find_map(|(axis, size)| match (axis, size) {
        (Axis::Head, Size::Known(heads)) => Some(*heads),
        _ => None,
    });
    known.filter(|heads| *heads > 0 && *heads <= attention.heads).unwrap_or(attention.heads)
}

/// Whether the stream is the sum of what the blocks add to it, and nothing else.
fn check_stream(structure: &Structure, sites: &Sites<'_>) -> Result<(), AnalyzerError> {
    let first = sites.blocks.first().ok_or_else(|| unsuitable("no self-attention"))?;
    let stream = first.attention_write.map(|write| write.stream);
    let known = |operation| {
        sites.blocks.iter().any(|block| {
            let writes = [block.attention_write, block.feed_forward_write];
            writes.into_iter().flatten().any(|write| write.operation == operation)
        })
    };
    let other = structure.residual.iter().find(|w| Some(w.stream) == stream && !known(w.operation));
    if let Some(other) = other {
        return Err(unsuitable(&format!(
            "something else that is added to the stream ({})",
            if other.module.is_empty() { "of an unknown module" } else { &other.module }
        )));
    }
    let mut last = None;
    for block in &sites.blocks {
        let name = |what: &str| unsuitable(&format!("{what} in layer {}", block.layer));
        let before = block.before().ok_or_else(|| name("an attention that adds to no stream"))?;
        if last.is_some_and(|last| last != before) || block.attention_write.is_none() {
            return Err(name("a stream that is changed between blocks, such as by a norm,"));
        }
        if let (Some(between), Some(attention)) = (block.between(), block.attention_write)
            && between != attention.after
        {
            return Err(name(
                "a stream that is changed between attention and feed-forward block, such as by a norm,",
            ));
        }
        last = block.after();
    }
    Ok(())
}

fn layer_of(
    model: &ModelView<'_>,
    sites: &Sites<'_>,
    block: &Block<'_>,
    projection: Option<OutputProjection>,
) -> Result<Layer, AnalyzerError> {
    let name = |what: &str| unsuitable(&format!("{what} in layer {}", block.layer));
    let projection =
        projection.ok_or_else(|| name("no output projection that takes the heads side by side"))?;
    let write = block.attention_write.ok_or_else(|| name("an attention that adds to no stream"))?;
    let before = block.before().ok_or_else(|| name("no stream before the block"))?;
    let heads = block.attention.heads;
    if heads == 0 || !projection.size.is_multiple_of(heads) {
        return Err(name("an output projection that is not one of its heads"));
    }
    if write.writers.iter().filter(|writer| matches!(writer, Writer::Attention(_))).count() != 1 {
        return Err(name("several attentions that are added at once"));
    }
    let beside = block.feed_forward.map(|found| found.output).filter(|_| write.writers.len() > 1);
    if !adds_only(model, projection.output, write.written, beside) {
        return Err(name("an attention whose output is normalised or scaled before it is added"));
    }
    let ffn = match SiteKind::FfnOutput.site(sites, block) {
        None => None,
        Some(gives) => {
            let reads = if block.parallel() { Some(before) } else { block.between() };
            let reads = reads.ok_or_else(|| name("no stream before the feed-forward block"))?;
            Some(Ffn { reads: sites.stream(reads), gives })
        }
    };
    Ok(Layer {
        before: sites.stream(before),
        inputs: [sites.query(block), sites.key(block), sites.value(block)],
        heads: sites.stream(projection.input),
        weight: weight_of(model, &projection, block.layer)?,
        count: heads,
        ffn,
    })
}

/// `W_O`, `[head · channel, channel of the stream]`.
fn weight_of(
    model: &ModelView<'_>,
    projection: &OutputProjection,
    layer: usize,
) -> Result<Array2<f32>, AnalyzerError> {
    let name = |what: &str| unsuitable(&format!("{what} in layer {layer}"));
    let weights = model.weights.ok_or_else(|| name("an output projection whose weight is not at hand"))?;
    let weight = weights.weight(projection.weight);
    let weight = weight.ok_or_else(|| name("an output projection whose weight is not at hand"))??;
    let &[rows, columns] = weight.shape() else {
        return Err(name("an output projection whose weight is no matrix"));
    };
    let elements: Vec<f32> = numbers(&weight);
    let matrix = Array2::from_shape_vec((rows, columns), elements)
        .map_err(|error| AnalyzerError::Other(error.to_string()))?;
    let matrix = if projection.axis == 0 { matrix } else { matrix.reversed_axes() };
    let channels = projection.start..projection.start + projection.size;
    if channels.end > matrix.nrows() {
        return Err(name("an output projection whose weight has other channels"));
    }
    Ok(matrix.slice(s![channels, ..]).to_owned())
}

/// True if what is added is the result of the output projection with nothing but constants, and the feed-forward block beside it, added to it.
fn adds_only(model: &ModelView<'_>, from: TensorId, to: TensorId, beside: Option<TensorId>) -> bool {
    let graph = model.graph;
    let computed = |id: TensorId| graph.producer(id).is_some();
    let mut open = vec![to];
    let mut found = false;
    while let Some(at) = open.pop() {
        if at == from {
            found = true;
            continue;
        }
        if Some(at) == beside {
            continue;
        }
        let Some(operation) = graph.producer(at) else { return false };
        let stem = operation.name.trim_start_matches("aten::").split('.').next().unwrap_or_default();
        let inputs: Vec<TensorId> = operation.inputs().filter(|id| computed(*id)).collect();
        match stem {
            "view" | "reshape" | "_unsafe_view" | "transpose" | "permute" | "dropout" | "clone"
            | "contiguous" | "to" | "_to_copy" | "alias" | "detach" | "squeeze" | "unsqueeze" | "flatten"
            | "unflatten"
                if inputs.len() == 1 =>
            {
                open.extend(inputs);
            }
            "add" | "add_" => {
                let plain = |value: &Value| match value {
                    Value::Int(factor) => *factor == 1,
                    Value::Float(factor) => *factor == 1.0,
                    _ => true,
                };
                if !operation.argument("alpha").is_none_or(plain) {
                    return false;
                }
                open.extend(inputs);
            }
            _ => return false,
        }
    }
    found
}

/// The elements of a value as float32.
pub(super) fn numbers(value: &TensorValue) -> Vec<f32> {
    use fmrai_core::tensor::TensorData;
    match value.data() {
        TensorData::F32(data) => data.to_vec(),
        TensorData::F64(data) => data.iter().map(|x| *x as f32).collect(),
        TensorData::I64(data) => data.iter().map(|x| *x as f32).collect(),
    }
}
