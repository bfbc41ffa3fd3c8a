//! From selectors to tensors.

use std::collections::{BTreeMap, BTreeSet};

use super::error::near;
use super::labels::labels;
use super::stream::{RESIDUAL, components};
use super::{Layers, ModuleGlob, SelectError, Selector, Slice};
use crate::graph::{Graph, Operation, Origin, TensorId};
use crate::structure::{Component, Structure};

/// Stands for everything that the model gives back.
const OUTPUT: &str = "output";

/// A tensor that was selected, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The tensor.
    pub tensor: TensorId,
    /// The part of it that belongs to a head or neuron, where that was asked for.
    pub slice: Option<Slice>,
    /// What was asked for, with the layer or path that it is of: `attention[3].probabilities` of `attention[*].probabilities`,
    /// `encoder.layer.5` of `encoder.layer.*`. Where several tensors leave a module, this is the name of the one that was made last, and the
    /// others have their ids behind it.
    pub name: String,
    /// Everything it is called, see [`labels`]; then the module that it leaves, where selected by a path. A part has its own name alone.
    pub labels: Vec<String>,
    /// The first selector that selects it.
    pub selector: Selector,
}

/// The tensors that the selectors select, each once, in the order of their ids.
///
/// # Errors
/// [`SelectError`] for the first selector that selects nothing, lists a layer that does not exist, or asks for a weight.
pub fn select(
    graph: &dyn Graph,
    structure: &Structure,
    selectors: &[Selector],
) -> Result<Vec<Selected>, SelectError> {
    /// A tensor or a part of it, what it was found as, and the first selector that selects it.
    type All<'s> = BTreeMap<(TensorId, Option<Slice>), (Vec<Found>, &'s Selector)>;
    let components = components(structure);
    let mut found = All::new();
    for selector in selectors {
        for one in select_one(graph, structure, &components, selector)? {
            let key = (one.tensor, one.slice.clone());
            found.entry(key).or_insert_with(|| (Vec::new(), selector)).0.push(one);
        }
    }
    let selected = found.into_iter().map(|((tensor, slice), (found, selector))| {
        let name = found.first().map(|one| one.name.clone()).unwrap_or_default();
        let mut all = if slice.is_none() { labels(graph, structure, tensor) } else { vec![name.clone()] };
        let modules: Vec<String> = found.into_iter().filter_map(|one| one.module).collect();
        if all.first() == Some(&tensor.to_string()) && !modules.is_empty() {
            all.clear();
        }
        for module in modules {
            if !all.contains(&module) {
                all.push(module);
            }
        }
        Selected { tensor, slice, name, labels: all, selector: selector.clone() }
    });
    Ok(selected.collect())
}

/// A tensor that one selector selects.
struct Found {
    tensor: TensorId,
    slice: Option<Slice>,
    name: String,
    /// The module that it leaves, where that is how it was found.
    module: Option<String>,
}

impl Found {
    fn new(tensor: TensorId, name: String) -> Self {
        Self { tensor, slice: None, name, module: None }
    }
}

fn select_one(
    graph: &dyn Graph,
    structure: &Structure,
    components: &[Component<'_>],
    selector: &Selector,
) -> Result<Vec<Found>, SelectError> {
    match selector {
        Selector::Hook(hook) => {
            let found = hook.tensors(graph, structure);
            let found = found.map_err(|what| SelectError::Hook { selector: selector.clone(), what })?;
            Ok(found.into_iter().map(|(name, id)| Found::new(id, name)).collect())
        }
        Selector::Unit(unit) => {
            let found = unit.find(graph, structure);
            let (tensor, slice) =
                found.map_err(|what| SelectError::Unit { selector: selector.clone(), what })?;
            let name = unit.to_string();
            Ok(vec![Found { tensor, slice: Some(slice), name, module: None }])
        }
        Selector::Id(id) => match graph.tensor(*id) {
            Some(_) => activation(graph, selector, *id, &id.to_string())
                .map(|id| vec![Found::new(id, id.to_string())]),
            None => {
                let last = graph.tensors().len().saturating_sub(1);
                Err(SelectError::Id { selector: selector.clone(), last })
            }
        },
        Selector::Name(name) => by_name(graph, selector, name),
        Selector::Module(glob) => by_module(graph, components, selector, glob),
        Selector::Block { role, layers, part } => {
            by_role(graph, components, selector, (role, layers, part.as_deref()))
        }
    }
}

fn is_weight(graph: &dyn Graph, id: TensorId) -> bool {
    graph.tensor(id).is_some_and(|t| t.origin == Origin::Parameter)
}

/// The tensor, unless it is a weight.
fn activation(
    graph: &dyn Graph,
    selector: &Selector,
    id: TensorId,
    what: &str,
) -> Result<TensorId, SelectError> {
    if is_weight(graph, id) {
        return Err(SelectError::Weight { selector: selector.clone(), what: what.to_owned() });
    }
    Ok(id)
}

fn by_name(graph: &dyn Graph, selector: &Selector, name: &str) -> Result<Vec<Found>, SelectError> {
    let named = graph.tensors().iter().filter(|t| t.name.as_deref() == Some(name));
    let (weights, others): (Vec<_>, Vec<_>) = named.partition(|t| t.origin == Origin::Parameter);
    if !others.is_empty() {
        let asked = |id| if others.len() > 1 { format!("%{name}{id}") } else { format!("%{name}") };
        return Ok(others.iter().map(|t| Found::new(t.id, asked(t.id))).collect());
    }
    if let Some(output) = output(graph, name) {
        return activation(graph, selector, output, name).map(|id| vec![Found::new(id, format!("%{name}"))]);
    }
    if !weights.is_empty() {
        return Err(SelectError::Weight { selector: selector.clone(), what: name.to_owned() });
    }
    let names = graph.tensors().iter().filter(|t| t.origin != Origin::Parameter);
    let names = names.filter_map(|t| t.name.as_deref());
    let outputs = graph.outputs().iter().map(|output| output.name.as_str());
    let near = near(name, names.chain(outputs), |name| format!("%{name}"));
    Err(SelectError::Name { selector: selector.clone(), near })
}

/// What the model gives back under this name, or what an exported program calls so.
fn output(graph: &dyn Graph, name: &str) -> Option<TensorId> {
    let named = graph.outputs().iter().find(|output| output.name == name);
    let named = named.or_else(|| graph.outputs().iter().find(|output| output.value.as_deref() == Some(name)));
    named.map(|output| output.tensor)
}

fn by_role(
    graph: &dyn Graph,
    components: &[Component<'_>],
    selector: &Selector,
    (role, layers, part): (&str, &Layers, Option<&str>),
) -> Result<Vec<Found>, SelectError> {
    let of_role: Vec<&Component<'_>> = components.iter().filter(|b| b.role == role).collect();
    if of_role.is_empty() {
        let mut roles: Vec<String> = Vec::new();
        for component in components {
            if !roles.iter().any(|r| r == component.role) {
                roles.push(component.role.to_owned());
            }
        }
        let near = near(role, roles.iter().map(String::as_str), str::to_owned);
        return Err(SelectError::Role { selector: selector.clone(), role: role.to_owned(), near, roles });
    }
    if let Layers::Listed(ranges) = layers {
        let exists = |layer: u32| of_role.iter().any(|b| b.layer == layer as usize);
        // Layers are counted from 0 without gaps, so the first that is absent ends the search in any range.
        let missing = ranges.iter().find_map(|&(first, last)| (first..=last).find(|l| !exists(*l)));
        if let Some(layer) = missing {
            let all = of_role.iter().map(|b| u32::try_from(b.layer).unwrap_or(u32::MAX));
            let there = Layers::of(all).to_string();
            let (selector, role) = (selector.clone(), role.to_owned());
            return Err(SelectError::Layer { selector, role, layer, there });
        }
    }
    let asked = part;
    let part = match part {
        // As sites of experiments are called.
        Some("between") if role == RESIDUAL => Some("middle"),
        part => part,
    };
    let (mut found, mut lacking, mut weight) = (Vec::new(), None, None);
    for component in of_role.into_iter().filter(|b| layers.contains(b.layer)) {
        let tensor = match part {
            Some(part) => component.parts.iter().find(|(name, _)| *name == part).map(|(_, id)| *id),
            None => main_output(graph, component),
        };
        match tensor {
            None => lacking = lacking.or(Some(component)),
            Some(id) if is_weight(graph, id) => {
                weight = weight
                    .or_else(|| Some(format!("{role}[{}].{}", component.layer, part.unwrap_or_default())));
            }
            Some(id) => {
                let part = asked.map_or(String::new(), |part| format!(".{part}"));
                found.push(Found::new(id, format!("{role}[{}]{part}", component.layer)));
            }
        }
    }
    if let Some(what) = weight {
        return Err(SelectError::Weight { selector: selector.clone(), what });
    }
    match lacking {
        // A part that some layers lack is no mistake where all layers are meant.
        Some(component) if found.is_empty() || *layers != Layers::All => {
            let part = part.unwrap_or("output").to_owned();
            let activations = component.parts.iter().filter(|(_, id)| !is_weight(graph, *id));
            let parts: Vec<String> = activations.map(|(name, _)| (*name).to_owned()).collect();
            let near = near(&part, parts.iter().map(String::as_str), str::to_owned);
            let block = format!("{role}[{}]", component.layer);
            Err(SelectError::Part { selector: selector.clone(), block, part, near, parts })
        }
        _ => Ok(found),
    }
}

/// The part called `output`, else the last one that is no weight.
fn main_output(graph: &dyn Graph, component: &Component<'_>) -> Option<TensorId> {
    let mut activations = component.parts.iter().filter(|(_, id)| !is_weight(graph, *id));
    let output = activations.clone().find(|(name, _)| *name == "output");
    output.or_else(|| activations.next_back()).map(|(_, id)| *id)
}

fn by_module(
    graph: &dyn Graph,
    components: &[Component<'_>],
    selector: &Selector,
    glob: &ModuleGlob,
) -> Result<Vec<Found>, SelectError> {
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    for operation in graph.operations().iter().filter(|o| !o.module.is_empty()) {
        let path = operation.module.as_str();
        paths.insert(path);
        paths.extend(path.match_indices('.').filter_map(|(end, _)| path.get(..end)));
    }
    let modules: Vec<&str> = paths.iter().copied().filter(|path| glob.matches(path)).collect();
    let mut found: Vec<Found> = Vec::new();
    for operation in graph.operations() {
        for module in modules.iter().copied().filter(|module| is_in(operation, module)) {
            for id in operation.outputs.iter().filter(|id| leaves(graph, **id, module)) {
                let (name, module) = (module.to_owned(), Some(module.to_owned()));
                found.push(Found { tensor: *id, slice: None, name, module });
            }
        }
    }
    if !found.is_empty() {
        // The last tensor that leaves a module has its name.
        let last: BTreeMap<String, TensorId> =
            found.iter().map(|one| (one.name.clone(), one.tensor)).collect();
        for one in &mut found {
            if last.get(&one.name) != Some(&one.tensor) {
                one.name = format!("{}{}", one.name, one.tensor);
            }
        }
        return Ok(found);
    }
    let text = glob.to_string();
    if let Some(output) = output(graph, &text) {
        return activation(graph, selector, output, &text).map(|id| vec![Found::new(id, text.clone())]);
    }
    if text == OUTPUT && !graph.outputs().is_empty() {
        let mut all: Vec<Found> = Vec::new();
        for output in graph.outputs().iter().filter(|output| !is_weight(graph, output.tensor)) {
            if !all.iter().any(|one| one.tensor == output.tensor) {
                all.push(Found::new(output.tensor, output.name.clone()));
            }
        }
        return Ok(all);
    }
    if text == "logits"
        && let Some(last) = components.iter().rev().find(|b| b.role == "unembedding")
        && let Some(output) = main_output(graph, last)
    {
        return Ok(vec![Found::new(output, text)]);
    }
    // `attention.context` is a path, but what was meant may be a role.
    let head = text.split('.').next().unwrap_or_default();
    let near = match components.iter().find(|b| b.role == head) {
        Some(component) => {
            let part = text.split_once('.').map_or(String::new(), |(_, part)| format!(".{part}"));
            format!("; did you mean the role `{}[*]{part}`?", component.role)
        }
        None => {
            let outputs = graph.outputs().iter().map(|output| output.name.as_str());
            near(&text, paths.into_iter().chain(outputs), str::to_owned)
        }
    };
    Err(SelectError::Module { selector: selector.clone(), near })
}

/// True if the operation ran in the module or below it.
fn is_in(operation: &Operation, module: &str) -> bool {
    let rest = operation.module.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// True if the tensor is used outside of the module, or not at all.
fn leaves(graph: &dyn Graph, id: TensorId, module: &str) -> bool {
    let users = graph.users(id);
    let on_request = graph.tensor(id).is_none_or(|t| t.on_request);
    let outside = |user| graph.operation(user).is_some_and(|o| !is_in(o, module));
    !on_request && (users.is_empty() || users.iter().any(|user| outside(*user)))
}
