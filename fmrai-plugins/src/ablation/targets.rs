//! What is ablated, one thing at a time, and where its result goes.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::{Axis, Site, Sites};

use super::config::{AblationConfig, AblationSite, Neurons};
use crate::sites::SiteKind;

/// A part of a site that is replaced.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Which of [`Targets::sites`].
    pub(super) site: usize,
    /// Heads or channels of it; `None` for all.
    pub(super) places: Option<(Axis, Vec<usize>)>,
}

/// One thing that is ablated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// Which of [`Targets::results`].
    pub(super) result: usize,
    /// Its place there.
    pub(super) cell: usize,
    /// What is replaced.
    pub(super) parts: Vec<Part>,
    /// The first layer that is changed; `None` where nothing is.
    pub(super) first_layer: Option<usize>,
}

/// What the cells of a result are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    /// Heads of layers.
    Heads { layers: usize, heads: usize },
    /// Layers.
    Layers(usize),
    /// Layers and neurons.
    Neurons(Vec<(usize, usize)>),
    /// Groups of heads.
    Groups(Vec<String>),
}

impl Cells {
    pub(super) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Heads { layers, heads } => vec![*layers, *heads],
            Self::Layers(layers) => vec![*layers],
            Self::Neurons(neurons) => vec![neurons.len()],
            Self::Groups(groups) => vec![groups.len()],
        }
    }

    pub(super) fn count(&self) -> usize {
        self.shape().iter().product()
    }

    pub(super) fn axes(&self) -> &'static [&'static str] {
        match self {
            Self::Heads { .. } => &["layer", "head"],
            Self::Layers(_) => &["layer"],
            Self::Neurons(_) => &["neuron"],
            Self::Groups(_) => &["group"],
        }
    }
}

/// All that is ablated.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Targets {
    /// Where something is replaced, each place once.
    pub(super) sites: Vec<Site>,
    /// Names of results with their cells: `head`, `ffn`, `attention`, `block`, `neuron`, `group`.
    pub(super) results: Vec<(&'static str, Cells)>,
    pub(super) targets: Vec<Target>,
    /// The probabilities of each layer.
    pub(super) patterns: Vec<(usize, Site)>,
    /// Layers that lack a site, for warnings.
    pub(super) lacking: Vec<String>,
}

impl Targets {
    pub(super) fn of(
        model: &ModelView<'_>,
        sites: &Sites<'_>,
        config: &AblationConfig,
    ) -> Result<Self, AnalyzerError> {
        let mut all = Self {
            patterns: sites.blocks.iter().map(|block| (block.layer, sites.probabilities(block))).collect(),
            ..Self::default()
        };
        for site in &config.sites {
            all.add_sites(sites, *site);
        }
        all.add_neurons(model, sites, config)?;
        all.add_groups(sites, config)?;
        if all.targets.is_empty() {
            return Err(AnalyzerError::Unsuitable {
                found: format!("no {}", all.lacking.join(", no ")),
                needed: "at least one of them".to_owned(),
            });
        }
        Ok(all)
    }

    /// The place of a site among all.
    fn site(&mut self, site: Site) -> usize {
        let found = self.sites.iter().position(|other| *other == site);
        found.unwrap_or_else(|| {
            self.sites.push(site);
            self.sites.len() - 1
        })
    }

    fn add_sites(&mut self, sites: &Sites<'_>, kind: AblationSite) {
        let layers = sites.blocks.iter().map(|block| block.layer + 1).max().unwrap_or(0);
        let heads = sites.blocks.iter().map(|block| block.attention.heads).max().unwrap_or(0);
        let result = self.results.len();
        let before = self.targets.len();
        let mut lacking = Vec::new();
        for block in &sites.blocks {
            let layer = block.layer;
            let target = |all: &mut Self, cell, parts: Vec<Part>| {
                all.targets.push(Target { result, cell, parts, first_layer: Some(layer) });
            };
            if kind == AblationSite::Head {
                let site = self.site(sites.head(block));
                for head in 0..block.attention.heads {
                    let part = Part { site, places: Some((Axis::Head, vec![head])) };
                    target(self, layer * heads + head, vec![part]);
                }
                continue;
            }
            let found: Vec<Site> = match kind {
                AblationSite::Ffn => SiteKind::FfnOutput.site(sites, block).into_iter().collect(),
                AblationSite::Attention => SiteKind::AttentionOutput.site(sites, block).into_iter().collect(),
                _ => block.written().into_iter().map(|tensor| sites.stream(tensor)).collect(),
            };
            if found.is_empty() {
                lacking.push(layer.to_string());
                continue;
            }
            let parts = found.into_iter().map(|site| Part { site: self.site(site), places: None }).collect();
            target(self, layer, parts);
        }
        if self.targets.len() == before {
            self.lacking.push(format!("{kind} whose output can be told"));
            return;
        }
        if !lacking.is_empty() {
            self.lacking.push(format!("{kind} whose output can be told in layers {}", lacking.join(", ")));
        }
        let cells =
            if kind == AblationSite::Head { Cells::Heads { layers, heads } } else { Cells::Layers(layers) };
        self.results.push((kind.name(), cells));
    }

    fn add_neurons(
        &mut self,
        model: &ModelView<'_>,
        sites: &Sites<'_>,
        config: &AblationConfig,
    ) -> Result<(), AnalyzerError> {
        let mut neurons = Vec::new();
        for (layer, neuron) in config.neurons.iter().flat_map(Neurons::places) {
            let block = sites.blocks.iter().find(|block| block.layer == layer);
            let site = block.and_then(|block| sites.neurons(block));
            let activation = block.and_then(|block| block.feed_forward).map(|ffn| ffn.activation);
            let width = activation
                .and_then(|id| model.graph.tensor(id))
                .and_then(|tensor| tensor.shape.last().copied())
                .and_then(|width| usize::try_from(width).ok());
            let (Some(site), Some(width)) = (site, width) else {
                return Err(AnalyzerError::Unsuitable {
                    found: format!("no feed-forward block in layer {layer}"),
                    needed: "one, since neurons of it are to be ablated".to_owned(),
                });
            };
            if neuron >= width {
                return Err(AnalyzerError::Unsuitable {
                    found: format!("{width} neurons in layer {layer}"),
                    needed: format!("neuron {neuron}, which is to be ablated; they are counted from 0"),
                });
            }
            let part = Part { site: self.site(site), places: Some((Axis::Channel, vec![neuron])) };
            self.targets.push(Target {
                result: self.results.len(),
                cell: neurons.len(),
                parts: vec![part],
                first_layer: Some(layer),
            });
            neurons.push((layer, neuron));
        }
        if !neurons.is_empty() {
            self.results.push(("neuron", Cells::Neurons(neurons)));
        }
        Ok(())
    }

    fn add_groups(&mut self, sites: &Sites<'_>, config: &AblationConfig) -> Result<(), AnalyzerError> {
        for (cell, (name, heads)) in config.groups.iter().enumerate() {
            let mut layers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for [layer, head] in heads {
                layers.entry(*layer).or_default().insert(*head);
            }
            let mut parts = Vec::new();
            for (layer, heads) in &layers {
                let unsuitable = |found: String| AnalyzerError::Unsuitable {
                    found,
                    needed: format!("heads {heads:?} in layer {layer}, which the group {name:?} names"),
                };
                let block = sites.blocks.iter().find(|block| block.layer == *layer);
                let block = block.ok_or_else(|| unsuitable(format!("{} layers", sites.blocks.len())))?;
                let there = block.attention.heads;
                if heads.iter().any(|head| *head >= there) {
                    return Err(unsuitable(format!("{there} heads in layer {layer}, counted from 0")));
                }
                let site = self.site(sites.head(block));
                parts.push(Part { site, places: Some((Axis::Head, heads.iter().copied().collect())) });
            }
            let first_layer = layers.keys().next().copied();
            self.targets.push(Target { result: self.results.len(), cell, parts, first_layer });
        }
        if !config.groups.is_empty() {
            self.results.push(("group", Cells::Groups(config.groups.keys().cloned().collect())));
        }
        Ok(())
    }
}
