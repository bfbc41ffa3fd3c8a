//! Names of `TransformerLens` for tensors, as aliases of what the structure has.

use std::fmt;

use super::Layers;
use crate::experiment::{Block, Sites};
use crate::graph::{Graph, TensorId};
use crate::structure::{EmbeddingKind, Structure};

/// A hook name of `TransformerLens`: `blocks.3.attn.hook_pattern`, `blocks.*.hook_resid_pre`, `hook_embed`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookName {
    /// The blocks; absent for what is outside of them.
    layers: Option<Layers>,
    /// The rest, e.g. `attn.hook_pattern`.
    name: String,
}

/// Every name that is understood, below `blocks.N.` and outside.
const OF_BLOCKS: [&str; 14] = [
    "hook_resid_pre",
    "hook_resid_mid",
    "hook_resid_post",
    "hook_attn_out",
    "hook_mlp_out",
    "attn.hook_q",
    "attn.hook_rot_q",
    "attn.hook_rot_k",
    "attn.hook_v",
    "attn.hook_attn_scores",
    "attn.hook_pattern",
    "attn.hook_z",
    "mlp.hook_pre",
    "mlp.hook_post",
];
const OUTSIDE: [&str; 4] = ["hook_embed", "hook_pos_embed", "unembed.hook_in", "unembed.hook_out"];

impl HookName {
    /// Reads a name; `None` for what is no hook name, so that it may be the path of a module.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let of_block = text.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
        match of_block {
            Some((layers, name)) if name.rsplit('.').next().is_some_and(|last| last.starts_with("hook_")) => {
                let layers = match Layers::parse(layers) {
                    Ok(layers) => layers,
                    Err(what) => return Some(Err(what)),
                };
                Some(Ok(Self { layers: Some(layers), name: name.to_owned() }))
            }
            None if OUTSIDE.contains(&text) || text.starts_with("ln_final.hook_") => {
                Some(Ok(Self { layers: None, name: text.to_owned() }))
            }
            _ => None,
        }
    }

    /// The tensors with their own names, or a sentence that says what the model lacks, or why there is no such tensor.
    pub(super) fn tensors(
        &self,
        graph: &dyn Graph,
        structure: &Structure,
    ) -> Result<Vec<(String, TensorId)>, String> {
        let Some(layers) = &self.layers else {
            return self.outside(structure).map(|id| vec![(self.name.clone(), id)]);
        };
        let sites = Sites::of(graph, structure);
        if !OF_BLOCKS.contains(&self.name.as_str()) {
            return Err(self.unknown());
        }
        let chosen: Vec<&Block<'_>> =
            sites.blocks.iter().filter(|block| layers.contains(block.layer)).collect();
        if let Layers::Listed(ranges) = layers {
            let there = sites.blocks.len();
            let missing = ranges.iter().map(|(_, last)| *last).find(|last| *last as usize >= there);
            if let Some(layer) = missing {
                return Err(format!("there is no block {layer}, the model has {there}"));
            }
        }
        let mut found = Vec::new();
        let mut lacking = None;
        for block in chosen {
            match self.of_block(block, structure) {
                Ok(id) => found.push((format!("blocks.{}.{}", block.layer, self.name), id)),
                Err(what) => lacking = lacking.or(Some(format!("block {}: {what}", block.layer))),
            }
        }
        match lacking {
            Some(what) if found.is_empty() || *layers != Layers::All => Err(what),
            _ if found.is_empty() => Err("the model has no blocks with attention".to_owned()),
            _ => Ok(found),
        }
    }

    fn of_block(&self, block: &Block<'_>, structure: &Structure) -> Result<TensorId, String> {
        let attention = block.attention;
        let needs = |found: Option<TensorId>, what: &str| found.ok_or_else(|| format!("it has no {what}"));
        match self.name.as_str() {
            "hook_resid_pre" => needs(block.before(), "residual stream that was found"),
            "hook_resid_mid" => needs(block.between(), "stream between attention and FFN"),
            "hook_resid_post" => needs(block.after(), "residual stream that was found"),
            "hook_attn_out" => {
                let own = block.attention_write.filter(|write| write.writers.len() == 1);
                needs(own.map(|write| write.written), "addition of the attention alone to the stream")
            }
            "hook_mlp_out" => {
                let own = block.feed_forward_write.filter(|write| write.writers.len() == 1);
                let own = own.map(|write| write.written).or(block.feed_forward.map(|ffn| ffn.output));
                needs(own, "feed-forward block")
            }
            // Queries and keys go into the product after rotation: without one, these are the same.
            "attn.hook_q" if rotates(structure) => {
                Err("queries before rotation have no name here: attn.hook_rot_q are those of the product"
                    .to_owned())
            }
            "attn.hook_q" | "attn.hook_rot_q" => Ok(attention.query),
            "attn.hook_rot_k" => Ok(attention.key),
            "attn.hook_v" => Ok(attention.value),
            "attn.hook_attn_scores" => {
                let what =
                    "tensor of scores, since its attention is fused: load the model with eager attention";
                needs(attention.scores, what)
            }
            "attn.hook_pattern" => Ok(attention.probabilities),
            "attn.hook_z" => Ok(attention.context),
            "mlp.hook_pre" => needs(block.feed_forward.map(|ffn| ffn.pre_activation), "feed-forward block"),
            _ => needs(block.feed_forward.map(|ffn| ffn.activation), "feed-forward block"),
        }
    }

    fn outside(&self, structure: &Structure) -> Result<TensorId, String> {
        let embedding = |kind: EmbeddingKind, what: &str| {
            let found = structure.embeddings.iter().find(|embedding| embedding.kind == kind);
            found.map(|embedding| embedding.output).ok_or_else(|| format!("the model has no {what}"))
        };
        let last =
            structure.unembedding.last().ok_or_else(|| "the model has no map to a vocabulary".to_owned());
        match self.name.as_str() {
            "hook_embed" => embedding(EmbeddingKind::Token, "token embedding"),
            "hook_pos_embed" => embedding(EmbeddingKind::Position, "table of positions"),
            "unembed.hook_in" => last.map(|unembedding| unembedding.input),
            "unembed.hook_out" => last.map(|unembedding| unembedding.output),
            _ => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> String {
        let all: Vec<String> = OF_BLOCKS
            .iter()
            .map(|name| format!("blocks.N.{name}"))
            .chain(OUTSIDE.map(str::to_owned))
            .collect();
        format!("no tensor stands for this hook name; those that are understood are {}", all.join(", "))
    }
}

/// True if queries are rotated by position: then no table of positions is added to the stream.
fn rotates(structure: &Structure) -> bool {
    let added = |kind| structure.embeddings.iter().any(|embedding| embedding.kind == kind);
    !added(EmbeddingKind::Position) && !added(EmbeddingKind::RelativePosition)
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.layers {
            Some(layers) => write!(f, "blocks.{layers}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
