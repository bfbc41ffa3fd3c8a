//! What is changed in the passes in which a text is continued.

use std::path::{Path, PathBuf};

use fmrai_core::experiment::{Axis, Block, Change, Edit, Site, Sites};
use fmrai_core::graph::{Graph, RecordedGraph};
use fmrai_core::tensor::TensorValue;
use fmrai_plugins::sites::SiteKind;
use fmrai_plugins::steering::Directions;
use fmrai_torch::generate::{EditFrom, TextEdit};
use serde::Deserialize;

use crate::error::Error;

/// Which tokens are edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum From {
    /// The last token of the prompt and all after it
    PromptEnd,
    /// All tokens
    Start,
}

/// What is changed, as the command line says it.
#[derive(Debug, Clone)]
pub(crate) struct EditOptions {
    /// A file of directions, perhaps with the name of a tensor after a colon.
    pub(crate) steer: Option<String>,
    pub(crate) strength: f64,
    pub(crate) layer: Option<usize>,
    /// Edits as JSON.
    pub(crate) edit: Vec<String>,
    pub(crate) from: From,
}

/// An edit as JSON: `{"site": "head", "layer": 3, "heads": [1], "with": "zero"}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    site: Place,
    layer: usize,
    #[serde(default)]
    heads: Option<Vec<usize>>,
    #[serde(default)]
    neurons: Option<Vec<usize>>,
    with: With,
}

/// Where, as the ablation analysis names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Head,
    Neuron,
    Ffn,
    Attention,
    Block,
}

/// What happens there: `"zero"`, or `{"scale": 0.5}`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum With {
    Zero,
    Scale(f64),
}

/// What is changed.
pub(super) struct Edits {
    steer: Option<Steer>,
    specs: Vec<Spec>,
    from: EditFrom,
}

/// A direction that is added to the stream before a layer.
struct Steer {
    directions: Directions,
    strength: f64,
    layer: usize,
}

impl Edits {
    /// Reads files and JSON.
    pub(super) fn of(options: &EditOptions) -> Result<Self, Error> {
        let usage = |what: String| Error::Usage(what);
        let steer = match &options.steer {
            None => None,
            Some(file) => Some(Steer::of(file, options.strength, options.layer).map_err(usage)?),
        };
        let specs =
            options.edit.iter().map(|text| Spec::of(text)).collect::<Result<_, _>>().map_err(usage)?;
        let from = match options.from {
            From::PromptEnd => EditFrom::PromptEnd,
            From::Start => EditFrom::Start,
        };
        Ok(Self { steer, specs, from })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steer.is_none() && self.specs.is_empty()
    }

    /// The edits of a pass.
    pub(super) fn in_pass(&self, graph: &RecordedGraph, sites: &Sites<'_>) -> Result<Vec<TextEdit>, String> {
        let mut edits = Vec::new();
        if let Some(steer) = &self.steer {
            edits.push(steer.edit(graph, sites)?);
        }
        for spec in &self.specs {
            edits.extend(spec.edits(graph, sites).map_err(|what| format!("--edit: {what}"))?);
        }
        Ok(edits.into_iter().map(|edit| TextEdit { edit, from: self.from }).collect())
    }
}

/// Splits `FILE:TENSOR`; a path that is there is taken as it is.
fn split(text: &str) -> (PathBuf, Option<&str>) {
    let whole = Path::new(text);
    match text.rsplit_once(':') {
        Some((file, tensor)) if !whole.exists() && !file.is_empty() && !tensor.is_empty() => {
            (PathBuf::from(file), Some(tensor))
        }
        _ => (whole.to_owned(), None),
    }
}

impl Steer {
    fn of(file: &str, strength: f64, layer: Option<usize>) -> Result<Self, String> {
        if !strength.is_finite() {
            return Err(format!("--strength is {strength}, a finite number is needed"));
        }
        let (path, tensor) = split(file);
        let directions = Directions::read(&path, tensor).map_err(|what| format!("--steer: {what}"))?;
        let layer = layer.ok_or_else(|| {
            let places = directions.places().map_or_else(
                || "one direction, which can be added before any layer".to_owned(),
                |places| format!("directions for {places} places, the first before layer 0"),
            );
            format!("--steer: {}: has {places}: say which one with --layer", path.display())
        })?;
        if directions.at(layer).is_none() {
            let places = directions.places().unwrap_or(0);
            return Err(format!(
                "--layer is {layer}, {} has directions for {places} places, the first before layer 0",
                path.display()
            ));
        }
        Ok(Self { directions, strength, layer })
    }

    fn edit(&self, graph: &RecordedGraph, sites: &Sites<'_>) -> Result<Edit, String> {
        let stream = |block: &Block<'_>| block.before().map(|tensor| sites.stream(tensor));
        let found = match sites.blocks.iter().find(|block| block.layer == self.layer) {
            Some(block) => stream(block),
            // After the last layer.
            None if self.layer == sites.blocks.len() => {
                sites.blocks.last().and_then(Block::after).map(|tensor| sites.stream(tensor))
            }
            None => {
                return Err(format!(
                    "--layer is {}, the model has {} layers",
                    self.layer,
                    sites.blocks.len()
                ));
            }
        };
        let site =
            found.ok_or_else(|| format!("no residual stream was found before layer {}", self.layer))?;
        let direction = self.directions.at(self.layer).unwrap_or_default().to_vec();
        let (there, given) = (width(graph, &site), direction.len());
        if there != Some(given) {
            let there = there.map_or_else(|| "an unknown number of".to_owned(), |there| there.to_string());
            return Err(format!("--steer: the direction has {given} channels, the stream has {there}"));
        }
        let value = TensorValue::new([1, 1, given], direction.into()).map_err(|error| error.to_string())?;
        Ok(Edit::new(site, Change::Add(value, self.strength)))
    }
}

/// How many channels a site has.
fn width(graph: &RecordedGraph, site: &Site) -> Option<usize> {
    match site.place {
        fmrai_core::experiment::Place::Tensor(id) => {
            graph.tensor(id)?.shape.last().and_then(|width| usize::try_from(*width).ok())
        }
        fmrai_core::experiment::Place::Scores(_) => None,
    }
}

impl Spec {
    fn of(text: &str) -> Result<Self, String> {
        let spec: Self = serde_json::from_str(text).map_err(|error| {
            let example = r#"{"site": "head", "layer": 3, "heads": [1], "with": "zero"}"#;
            format!("--edit {text}: {error}; an edit looks like {example}")
        })?;
        let wrong = |what: &str| Err(format!("--edit {text}: {what}"));
        match (spec.site, &spec.heads, &spec.neurons) {
            (Place::Head, Some(heads), _) if heads.is_empty() => return wrong("`heads` is empty"),
            (Place::Neuron, _, None) => return wrong("`neurons` are needed, a list of them"),
            (Place::Neuron, _, Some(neurons)) if neurons.is_empty() => return wrong("`neurons` is empty"),
            (Place::Head, _, Some(_)) => return wrong("a head has no `neurons`"),
            (Place::Neuron, Some(_), _) => return wrong("neurons have no `heads`"),
            (Place::Ffn | Place::Attention | Place::Block, heads, neurons)
                if heads.is_some() || neurons.is_some() =>
            {
                return wrong("`heads` are for the site `head`, `neurons` for the site `neuron`");
            }
            _ => {}
        }
        if matches!(spec.with, With::Scale(scale) if !scale.is_finite()) {
            return wrong("`scale` has to be finite");
        }
        Ok(spec)
    }

    fn edits(&self, graph: &RecordedGraph, sites: &Sites<'_>) -> Result<Vec<Edit>, String> {
        let layer = self.layer;
        let block = sites.blocks.iter().find(|block| block.layer == layer);
        let block = block
            .ok_or_else(|| format!("there is no layer {layer}, the model has {}", sites.blocks.len()))?;
        let change = || match self.with {
            With::Zero => Change::Zero,
            With::Scale(scale) => Change::Scale(scale),
        };
        let one = |site: Option<Site>, what: &str| {
            let site = site.ok_or_else(|| format!("no {what} was found in layer {layer}"))?;
            Ok::<_, String>(Edit::new(site, change()))
        };
        let places = |places: &[usize], count: usize, what: &str| {
            let mut places = places.to_vec();
            places.sort_unstable();
            places.dedup();
            match places.last().filter(|last| **last >= count) {
                Some(last) => Err(format!("there is no {what} {last} in layer {layer}, which has {count}")),
                None => Ok(places),
            }
        };
        Ok(match self.site {
            Place::Head => {
                let edit = one(Some(sites.head(block)), "head")?;
                vec![match &self.heads {
                    Some(heads) => edit.at(Axis::Head, places(heads, block.attention.heads, "head")?),
                    None => edit,
                }]
            }
            Place::Neuron => {
                let edit = one(sites.neurons(block), "feed-forward block")?;
                let count = width(graph, &edit.site).unwrap_or(0);
                let neurons = self.neurons.as_deref().unwrap_or_default();
                vec![edit.at(Axis::Channel, places(neurons, count, "neuron")?)]
            }
            Place::Ffn => {
                vec![one(SiteKind::FfnOutput.site(sites, block), "output of a feed-forward block")?]
            }
            Place::Attention => {
                vec![one(SiteKind::AttentionOutput.site(sites, block), "output of attention of its own")?]
            }
            Place::Block => {
                let written = block.written();
                if written.is_empty() {
                    return Err(format!("no addition to the stream was found in layer {layer}"));
                }
                written.into_iter().map(|tensor| Edit::new(sites.stream(tensor), change())).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_that_make_no_sense_are_refused_in_words() {
        for (text, said) in [
            ("{", "an edit looks like"),
            (r#"{"site":"heads","layer":0,"with":"zero"}"#, "unknown variant `heads`"),
            (r#"{"site":"head","layer":0,"heads":[],"with":"zero"}"#, "`heads` is empty"),
            (r#"{"site":"neuron","layer":0,"with":"zero"}"#, "`neurons` are needed"),
            (r#"{"site":"ffn","layer":0,"heads":[1],"with":"zero"}"#, "`heads` are for the site `head`"),
            (r#"{"site":"head","layer":-1,"with":"zero"}"#, "invalid value"),
            (r#"{"site":"head","layer":0,"with":{"scale":"a"}}"#, "invalid type"),
            (r#"{"site":"head","layer":0,"with":"zero","of":1}"#, "unknown field `of`"),
        ] {
            let what = Spec::of(text).unwrap_err();
            assert!(what.contains(said), "{what}");
        }
        assert!(Spec::of(r#"{"site":"head","layer":3,"heads":[1],"with":{"scale":0.5}}"#).is_ok());
    }

    #[test]
    fn a_tensor_may_stand_after_the_file() {
        assert_eq!(split("a/b.safetensors:x.y"), (PathBuf::from("a/b.safetensors"), Some("x.y")));
        assert_eq!(split("a/b.safetensors"), (PathBuf::from("a/b.safetensors"), None));
        assert_eq!(split(":x"), (PathBuf::from(":x"), None));
    }
}
