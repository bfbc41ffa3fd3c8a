//! The residual stream by layers.

use crate::experiment::blocks;
use crate::structure::{Component, Structure};

/// The role that stands for the stream of a layer.
pub(super) const RESIDUAL: &str = "residual";

/// All components, and the stream at each layer as one more: before the layer's attention, between that and its feed-forward block
/// (`middle`, where there is one), and after the layer. In a model without attention each addition is a layer.
pub(super) fn components(structure: &Structure) -> Vec<Component<'_>> {
    let mut all = structure.components();
    let at = all.iter().position(|component| component.role == "addition").unwrap_or(all.len());
    let layers = blocks(structure);
    let streams: Vec<Component<'_>> = if layers.is_empty() {
        let of = |(layer, write): (usize, &crate::structure::Residual)| Component {
            role: RESIDUAL,
            layer,
            module: "",
            parts: vec![("before", write.before), ("after", write.after)],
        };
        structure
            .residual
            .iter()
            .enumerate()
            .map(of)
            .map(|component| Component { module: module(structure, component.layer), ..component })
            .collect()
    } else {
        let of = |block: &crate::experiment::Block<'_>| {
            let before = block.before().map(|id| ("before", id));
            let middle = block.between().map(|id| ("middle", id));
            let after = block.after().map(|id| ("after", id));
            let parts: Vec<_> = [before, middle, after].into_iter().flatten().collect();
            (!parts.is_empty()).then_some(Component { role: RESIDUAL, layer: block.layer, module: "", parts })
        };
        layers.iter().filter_map(of).collect()
    };
    all.splice(at..at, streams);
    all
}

fn module(structure: &Structure, at: usize) -> &str {
    structure.residual.get(at).map_or("", |write| write.module.as_str())
}
