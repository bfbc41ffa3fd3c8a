//! What tensors are called.

use std::collections::BTreeMap;

use super::stream::components;
use super::{Layers, Selector};
use crate::graph::{Graph, TensorId};
use crate::structure::Structure;

/// Everything a tensor is called: its roles (`attention[3].probabilities`) in the order of the components, then its name
/// (`%linear_3`); its id where it has neither.
#[must_use]
pub fn labels(graph: &dyn Graph, structure: &Structure, tensor: TensorId) -> Vec<String> {
    let mut labels = Vec::new();
    for component in components(structure) {
        for (part, _) in component.parts.iter().filter(|(_, id)| *id == tensor) {
            labels.push(format!("{}[{}].{part}", component.role, component.layer));
        }
    }
    labels.extend(graph.tensor(tensor).and_then(|t| t.name.as_ref()).map(|name| format!("%{name}")));
    if labels.is_empty() {
        labels.push(tensor.to_string());
    }
    labels
}

/// Selectors that together select these tensors, each tensor by its first label: parts of several layers in one.
#[must_use]
pub fn selectors_for(
    graph: &dyn Graph,
    structure: &Structure,
    tensors: impl IntoIterator<Item = TensorId>,
) -> Vec<Selector> {
    let mut parts: BTreeMap<TensorId, (usize, &str, u32, &str)> = BTreeMap::new();
    for (rank, component) in structure.components().iter().enumerate() {
        for (part, id) in &component.parts {
            let layer = u32::try_from(component.layer).unwrap_or(u32::MAX);
            parts.entry(*id).or_insert((rank, component.role, layer, part));
        }
    }
    let mut blocks: BTreeMap<(&str, &str), (usize, Vec<u32>)> = BTreeMap::new();
    let mut others = Vec::new();
    for tensor in tensors {
        match parts.get(&tensor) {
            Some(&(rank, role, layer, part)) => {
                let entry = blocks.entry((role, part)).or_insert((rank, Vec::new()));
                entry.0 = entry.0.min(rank);
                entry.1.push(layer);
            }
            None => others.push(match graph.tensor(tensor).and_then(|t| t.name.clone()) {
                Some(name) => Selector::Name(name),
                None => Selector::Id(tensor),
            }),
        }
    }
    let mut blocks: Vec<_> = blocks.into_iter().collect();
    blocks.sort_by_key(|((_, part), (rank, _))| (*rank, *part));
    let whole = |role: &str, layers: &Layers| {
        let components = structure.components();
        let mut all = components.iter().filter(|b| b.role == role).map(|b| b.layer);
        all.all(|layer| layers.contains(layer))
    };
    let blocks = blocks.into_iter().map(|((role, part), (_, layers))| {
        let listed = Layers::of(layers.iter().copied());
        let several = layers.len() > 1;
        let layers = if several && whole(role, &listed) { Layers::All } else { listed };
        Selector::Block { role: role.to_owned(), layers, part: Some(part.to_owned()) }
    });
    blocks.chain(others).collect()
}
