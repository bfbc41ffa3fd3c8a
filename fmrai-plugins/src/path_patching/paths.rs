//! Which activations are taken from where.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::{Axis, Block, Change, Edit, Layout, Place, Site, Sites, Variant};
use fmrai_core::structure::EmbeddingKind;

use super::config::{Input, PathPatchingConfig, Receiver, ReceiverInput, Sender};
use crate::sites::{SiteKind, resolve_kind};

/// Where something stands in the order of a pass: what is at an earlier stage can reach what is at a later one.
type Stage = usize;

/// The stage of the logits.
const END: Stage = Stage::MAX;

/// Something that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    Head(usize, usize),
    Ffn(usize),
    Embedding,
}

/// What a layer has.
#[derive(Debug, Clone)]
struct Layer {
    layer: usize,
    heads: usize,
    head: (Site, Stage),
    ffn: Option<(Site, Stage)>,
}

/// An input that receives: the site that is read and set, with its heads; no heads where it has none.
#[derive(Debug, Clone, PartialEq)]
struct Receiving {
    site: Site,
    heads: Vec<usize>,
    stage: Stage,
    ffn: bool,
}

/// Receivers that are read in one pass. What is kept as it is goes as far as their stage.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    stage: Stage,
    receivers: Vec<Receiving>,
}

impl Reading {
    /// The sites that are read.
    pub(super) fn sites(&self) -> Vec<Site> {
        self.receivers.iter().map(|receiver| receiver.site.clone()).collect()
    }

    /// The heads of each of them that receive; none where the site has no heads.
    pub(super) fn heads(&self) -> impl Iterator<Item = &[usize]> {
        self.receivers.iter().map(|receiver| receiver.heads.as_slice())
    }
}

/// The senders and receivers of a model.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    kinds: Vec<Sender>,
    through_ffn: bool,
    embedding: Option<Site>,
    layers: Vec<Layer>,
    /// What receives; empty where that is the logits.
    pub(super) readings: Vec<Reading>,
}

impl Paths {
    pub(super) fn of(model: &ModelView<'_>, config: &PathPatchingConfig) -> Result<Self, AnalyzerError> {
        let sites = Sites::of(model.graph, model.structure);
        let embedding = model.structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        let embedding = embedding
            .map(|embedding| Site { place: Place::Tensor(embedding.output), layout: Layout::stream() });
        let unsuitable = |found: &str, needed: &str| {
            Err(AnalyzerError::Unsuitable { found: found.to_owned(), needed: needed.to_owned() })
        };
        if sites.blocks.is_empty() {
            return unsuitable("no self-attention", "attention heads, which send or are kept as they are");
        }
        if embedding.is_none() && config.senders.contains(&Sender::Embedding) {
            return unsuitable("no token embedding", "one, since it is among the senders");
        }
        let layers: Vec<Layer> = sites.blocks.iter().map(|block| layer_of(&sites, block)).collect();
        if config.senders == [Sender::Ffn] && layers.iter().all(|layer| layer.ffn.is_none()) {
            return unsuitable("no feed-forward blocks", "some, since these are the senders");
        }
        let mut receiving: Vec<Receiving> = Vec::new();
        for receiver in config.receivers.iter().filter_map(Receiver::input) {
            let found = receiving_of(&sites, &layers, receiver)?;
            // Heads that share their keys receive together, whichever of them is named.
            if !receiving.contains(&found) {
                receiving.push(found);
            }
        }
        Ok(Self {
            kinds: config.senders.clone(),
            through_ffn: config.through_ffn,
            embedding,
            layers,
            readings: readings(receiving, config.through_ffn),
        })
    }

    pub(super) fn senders(&self) -> Vec<Sending> {
        let mut senders = Vec::new();
        for kind in &self.kinds {
            match kind {
                Sender::Embedding => senders.push(Sending::Embedding),
                Sender::Head => senders.extend(
                    self.layers.iter().flat_map(|l| (0..l.heads).map(|head| Sending::Head(l.layer, head))),
                ),
                Sender::Ffn => senders
                    .extend(self.layers.iter().filter(|l| l.ffn.is_some()).map(|l| Sending::Ffn(l.layer))),
            }
        }
        senders
    }

    fn layer(&self, layer: usize) -> Option<&Layer> {
        self.layers.iter().find(|found| found.layer == layer)
    }

    fn stage(&self, sender: Sending) -> Stage {
        let stage = match sender {
            Sending::Embedding => Some(0),
            Sending::Head(layer, _) => self.layer(layer).map(|layer| layer.head.1),
            Sending::Ffn(layer) => self.layer(layer).and_then(|layer| layer.ffn.as_ref()).map(|ffn| ffn.1),
        };
        stage.unwrap_or(END)
    }

    /// True if what is sent can reach one of these receivers.
    pub(super) fn reaches(&self, sender: Sending, reading: &Reading) -> bool {
        self.stage(sender) < reading.stage
    }

    /// The pass in which a sender has its output of the other text, and nothing else changes but what it gives to the receivers directly. Without
    /// a reading these are the logits.
    pub(super) fn sent(&self, sender: Sending, reading: Option<&Reading>, base: &Rows) -> Variant {
        let edit = match sender {
            Sending::Embedding => self.embedding.as_ref().map(|site| base.source(site)),
            Sending::Head(layer, head) => {
                self.layer(layer).map(|layer| base.source(&layer.head.0).at(Axis::Head, [head]))
            }
            Sending::Ffn(layer) => {
                self.layer(layer).and_then(|layer| layer.ffn.as_ref()).map(|(site, _)| base.source(site))
            }
        };
        let between = self.stage(sender) + 1..reading.map_or(END, |reading| reading.stage);
        let mut variant = Variant::clean(base.runs.clone());
        variant.edits.extend(edit);
        for layer in &self.layers {
            let (site, stage) = &layer.head;
            if between.contains(stage) {
                variant.edits.push(base.own(site));
            }
            if let Some((site, stage)) = layer.ffn.as_ref().filter(|_| !self.through_ffn)
                && between.contains(stage)
            {
                variant.edits.push(base.own(site));
            }
        }
        variant
    }

    /// The same with all senders at once.
    pub(super) fn all_sent(&self, reading: Option<&Reading>, base: &Rows) -> Variant {
        let end = reading.map_or(END, |reading| reading.stage);
        let sends = |kind: Sender| self.kinds.contains(&kind);
        let mut variant = Variant::clean(base.runs.clone());
        if let Some(site) = self.embedding.as_ref().filter(|_| sends(Sender::Embedding)) {
            variant.edits.push(base.source(site));
        }
        for layer in &self.layers {
            let (site, stage) = &layer.head;
            if *stage < end {
                variant.edits.push(if sends(Sender::Head) { base.source(site) } else { base.own(site) });
            }
            if let Some((site, _)) = layer.ffn.as_ref().filter(|(_, stage)| *stage < end) {
                match (sends(Sender::Ffn), self.through_ffn) {
                    (true, _) => variant.edits.push(base.source(site)),
                    (false, false) => variant.edits.push(base.own(site)),
                    (false, true) => {}
                }
            }
        }
        variant
    }
}

/// The two runs of each pair, as rows of the batch.
pub(super) struct Rows {
    /// The text that runs.
    pub(super) runs: Vec<usize>,
    /// The one that outputs are taken from.
    pub(super) source: Vec<usize>,
}

impl Rows {
    fn own(&self, site: &Site) -> Edit {
        Edit::new(site.clone(), Change::Clean(self.runs.clone()))
    }

    fn source(&self, site: &Site) -> Edit {
        Edit::new(site.clone(), Change::Clean(self.source.clone()))
    }
}

fn layer_of(sites: &Sites<'_>, block: &Block<'_>) -> Layer {
    let of_heads = 2 * block.layer + 1;
    let of_ffn = if block.parallel() { of_heads } else { of_heads + 1 };
    Layer {
        layer: block.layer,
        heads: block.attention.heads,
        head: (sites.head(block), of_heads),
        ffn: SiteKind::FfnOutput.site(sites, block).map(|site| (site, of_ffn)),
    }
}

fn receiving_of(
    sites: &Sites<'_>,
    layers: &[Layer],
    receiver: &ReceiverInput,
) -> Result<Receiving, AnalyzerError> {
    let name = Receiver::Input(*receiver);
    let unsuitable = |needed: String| AnalyzerError::Unsuitable {
        found: format!("no {name}, which `receivers` names"),
        needed,
    };
    let block = sites.blocks.iter().find(|block| block.layer == receiver.layer);
    let layer = layers.iter().find(|layer| layer.layer == receiver.layer);
    let (Some(block), Some(layer)) = (block, layer) else {
        return Err(unsuitable(format!("a layer of 0 to {}", layers.len().saturating_sub(1))));
    };
    let kind = match receiver.input {
        Input::Query => SiteKind::Query,
        Input::Key => SiteKind::Key,
        Input::Value => SiteKind::Value,
        Input::Ffn => {
            let (site, stage) = layer
                .ffn
                .clone()
                .ok_or_else(|| unsuitable("a layer with a feed-forward block".to_owned()))?;
            return Ok(Receiving { site, heads: Vec::new(), stage, ffn: true });
        }
    };
    let (head, count) = (receiver.head.unwrap_or(0), block.attention.heads);
    let missing = || unsuitable(format!("a head of 0 to {} in that layer", count.saturating_sub(1)));
    let found = resolve_kind(sites, block, kind).filter(|_| head < count).ok_or_else(missing)?;
    let group = head * found.heads.len() / count.max(1);
    let heads = found.heads.get(group).cloned().ok_or_else(missing)?;
    Ok(Receiving { site: found.site, heads, stage: layer.head.1, ffn: false })
}

/// Receivers that can be read together. A feed-forward block is kept as it is on paths that do not go through one, so then its own input has
/// to be read in a pass of its own, which keeps what is before it alone.
fn readings(receiving: Vec<Receiving>, through_ffn: bool) -> Vec<Reading> {
    let (alone, together): (Vec<_>, Vec<_>) = receiving.into_iter().partition(|r| r.ffn && !through_ffn);
    let mut readings: Vec<Reading> =
        alone.into_iter().map(|r| Reading { stage: r.stage, receivers: vec![r] }).collect();
    if let Some(stage) = together.iter().map(|receiver| receiver.stage).max() {
        readings.push(Reading { stage, receivers: together });
    }
    readings
}
