//! Graphs in which modules stand for their operations.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Argument, Graph, GraphError, GraphOutput, Operation, OperationId, Origin, RecordedGraph, TensorId,
    TensorNode, Value,
};

/// What of a graph is shown, and how deep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The path of a module: what runs in it or below it, and what it is given as inputs; all of the graph where absent.
    pub module: Option<String>,
    /// Modules this deep (below `module`) stand for all operations in them; from 1. None does where absent.
    pub depth: Option<usize>,
}

/// Why there is no such summary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SummaryError {
    /// No operation ran there.
    #[error("no operation ran in a module {module:?}{near}")]
    Module {
        /// The path asked for.
        module: String,
        /// ` (did you mean ...)`, or nothing.
        near: String,
    },
    /// The model does not tell which modules its operations run in.
    #[error("the operations of this model do not tell the modules that they ran in")]
    NoModules,
    /// A bug.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// A node of the summary: one operation, or all those of a module that can stand together.
struct Node {
    /// Path of the module that it stands for; `None` for an operation of its own.
    group: Option<String>,
    operations: Vec<OperationId>,
    /// The nodes that it depends on, itself included.
    behind: BTreeSet<usize>,
}

/// A graph of which the pictures are small: operations named `self_attn: 12 operations` stand for those of a module, and run in the module
/// around it. A module is several such operations where what it computes goes out and comes back. Tensors within them are left out, so it is a
/// graph for pictures, not for finders.
///
/// # Errors
/// [`SummaryError`] for a module that there is not, or a model that tells none.
pub fn summary(graph: &dyn Graph, wanted: &Summary) -> Result<RecordedGraph, SummaryError> {
    let below = |path: &str, module: &str| {
        path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let base = wanted.module.as_deref().unwrap_or_default();
    let shown = |operation: &&Operation| base.is_empty() || below(&operation.module, base);
    let operations: Vec<&Operation> = graph.operations().iter().filter(shown).collect();
    if graph.operations().iter().all(|operation| operation.module.is_empty()) {
        return Err(SummaryError::NoModules);
    }
    if operations.is_empty() {
        let mut paths: BTreeSet<&str> = BTreeSet::new();
        for operation in graph.operations() {
            let path = operation.module.as_str();
            paths.insert(path);
            paths.extend(path.match_indices('.').filter_map(|(end, _)| path.get(..end)));
        }
        let near =
            crate::suggest::nearest(base, paths, 2).first().map(|near| format!(" (did you mean {near:?}?)"));
        return Err(SummaryError::Module { module: base.to_owned(), near: near.unwrap_or_default() });
    }
    let prefix = if base.is_empty() { 0 } else { base.split('.').count() };
    let group = |operation: &Operation| {
        let parts: Vec<&str> = operation.module.split('.').filter(|part| !part.is_empty()).collect();
        let depth = prefix + wanted.depth?;
        (parts.len() >= depth).then(|| parts[..depth].join("."))
    };
    let nodes = nodes(graph, &operations, group);
    Ok(built(graph, &nodes)?)
}

/// The nodes, in an order in which each comes after those that it depends on.
fn nodes(
    graph: &dyn Graph,
    operations: &[&Operation],
    group: impl Fn(&Operation) -> Option<String>,
) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut of_operation: BTreeMap<OperationId, usize> = BTreeMap::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for operation in operations {
        let before: BTreeSet<usize> = operation
            .inputs()
            .filter_map(|id| graph.producer(id))
            .filter_map(|producer| of_operation.get(&producer.id).copied())
            .collect();
        let path = group(operation);
        // A group stays open as long as nothing outside of it stands between its operations.
        let at = path.as_ref().and_then(|path| open.get(path).copied()).filter(|at| {
            before
                .iter()
                .all(|node| node == at || nodes.get(*node).is_none_or(|node| !node.behind.contains(at)))
        });
        let at = at.unwrap_or_else(|| {
            nodes.push(Node {
                group: path.clone(),
                operations: Vec::new(),
                behind: BTreeSet::from([nodes.len()]),
            });
            nodes.len() - 1
        });
        if let Some(path) = path {
            open.insert(path, at);
        }
        let more: BTreeSet<usize> = before
            .iter()
            .filter_map(|node| nodes.get(*node))
            .flat_map(|node| node.behind.iter().copied())
            .collect();
        // Whatever depends on the group depends on what it depends on now.
        for node in &mut nodes {
            if node.behind.contains(&at) {
                node.behind.extend(&more);
            }
        }
        if let Some(node) = nodes.get_mut(at) {
            node.operations.push(operation.id);
        }
        of_operation.insert(operation.id, at);
    }
    let mut left: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(left.len());
    let mut done: BTreeSet<usize> = BTreeSet::new();
    while ordered.len() < left.len() {
        let ready = left.iter().position(|node| {
            node.as_ref().is_some_and(|node| {
                node.behind.iter().all(|other| done.contains(other) || is_itself(node, *other, &of_operation))
            })
        });
        let Some(at) = ready.or_else(|| left.iter().position(Option::is_some)) else { break };
        done.insert(at);
        ordered.extend(left.get_mut(at).and_then(Option::take));
    }
    ordered
}

fn is_itself(node: &Node, other: usize, of_operation: &BTreeMap<OperationId, usize>) -> bool {
    node.operations.first().and_then(|first| of_operation.get(first)) == Some(&other)
}

/// The graph of these nodes.
fn built(graph: &dyn Graph, nodes: &[Node]) -> Result<RecordedGraph, GraphError> {
    let mut builder = Builder { graph, operations: Vec::new(), tensors: Vec::new(), ids: BTreeMap::new() };
    let inside: BTreeSet<OperationId> =
        nodes.iter().flat_map(|node| node.operations.iter().copied()).collect();
    for node in nodes {
        match &node.group {
            Some(path) if node.operations.len() > 1 => builder.group(path, node, &inside),
            _ => node
                .operations
                .iter()
                .filter_map(|id| graph.operation(*id))
                .for_each(|o| builder.operation(o)),
        }
    }
    let Builder { operations, tensors, ids, .. } = builder;
    let outputs = graph
        .outputs()
        .iter()
        .filter_map(|output| Some(GraphOutput { tensor: *ids.get(&output.tensor)?, ..output.clone() }));
    RecordedGraph::new(operations, tensors)?.with_outputs(outputs.collect())
}

struct Builder<'g> {
    graph: &'g dyn Graph,
    operations: Vec<Operation>,
    tensors: Vec<TensorNode>,
    ids: BTreeMap<TensorId, TensorId>,
}

impl Builder<'_> {
    fn next(&self) -> (OperationId, TensorId) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (OperationId(number(self.operations.len())), TensorId(number(self.tensors.len())))
    }

    /// The id of a tensor that is taken, which is an input where nothing that is shown makes it.
    fn taken(&mut self, id: TensorId) -> TensorId {
        if let Some(known) = self.ids.get(&id) {
            return *known;
        }
        let new = self.next().1;
        if let Some(node) = self.graph.tensor(id) {
            let made = matches!(node.origin, Origin::Operation { .. });
            let from = || {
                let module =
                    self.graph.producer(id).map(|producer| producer.module.as_str()).unwrap_or_default();
                if module.is_empty() { id.to_string() } else { format!("from {module}") }
            };
            self.tensors.push(TensorNode {
                id: new,
                name: if made { Some(from()) } else { node.name.clone() },
                origin: if made { Origin::Input } else { node.origin },
                version_of: None,
                on_request: false,
                ..node.clone()
            });
            self.ids.insert(id, new);
        }
        new
    }

    fn made(&mut self, id: TensorId, output: usize) -> TensorId {
        let (operation, new) = self.next();
        if let Some(node) = self.graph.tensor(id) {
            let origin = Origin::Operation { operation, output: u32::try_from(output).unwrap_or(u32::MAX) };
            self.tensors.push(TensorNode { id: new, origin, version_of: None, ..node.clone() });
            self.ids.insert(id, new);
        }
        new
    }

    fn operation(&mut self, operation: &Operation) {
        let arguments = operation.arguments.iter().map(|argument| Argument {
            name: argument.name.clone(),
            value: match &argument.value {
                Value::Tensor(id) => Value::Tensor(self.taken(*id)),
                Value::Tensors(ids) => {
                    Value::Tensors(ids.iter().map(|id| id.map(|id| self.taken(id))).collect())
                }
                other => other.clone(),
            },
        });
        let arguments: Vec<Argument> = arguments.collect();
        let outputs = operation.outputs.iter().enumerate().map(|(at, id)| self.made(*id, at)).collect();
        let id = self.next().0;
        self.operations.push(Operation { id, arguments, outputs, ..operation.clone() });
    }

    /// One operation for those of a module: it takes what comes from outside but weights and constants, which are its own, and makes what goes
    /// there or nowhere.
    fn group(&mut self, path: &str, node: &Node, inside: &BTreeSet<OperationId>) {
        let own: BTreeSet<OperationId> = node.operations.iter().copied().collect();
        let operations: Vec<&Operation> =
            node.operations.iter().filter_map(|id| self.graph.operation(*id)).collect();
        let of_own = |id: TensorId| {
            let origin = self.graph.tensor(id).map(|tensor| tensor.origin);
            matches!(origin, Some(Origin::Parameter | Origin::Constant))
                || self.graph.producer(id).is_some_and(|producer| own.contains(&producer.id))
        };
        let mut taken: Vec<TensorId> = Vec::new();
        for id in operations.iter().flat_map(|operation| operation.inputs()) {
            if !of_own(id) && !taken.contains(&id) {
                taken.push(id);
            }
        }
        let goes_out = |id: &TensorId| {
            let users = self.graph.users(*id);
            let dead = users.is_empty() && self.graph.tensor(*id).is_some_and(|t| !t.on_request);
            let given = self.graph.outputs().iter().any(|output| output.tensor == *id);
            dead || given || users.iter().any(|user| !own.contains(user) || !inside.contains(user))
        };
        let mut outputs: Vec<TensorId> = operations
            .iter()
            .flat_map(|operation| operation.outputs.iter().copied())
            .filter(goes_out)
            .collect();
        // The last one is what the module is about: a picture shows the shape of the first.
        outputs.reverse();
        let (outer, name) = path.rsplit_once('.').unwrap_or(("", path));
        let taken: Vec<Argument> = taken
            .into_iter()
            .enumerate()
            .map(|(at, id)| Argument { name: format!("input_{at}"), value: Value::Tensor(self.taken(id)) })
            .collect();
        let outputs = outputs.into_iter().enumerate().map(|(at, id)| self.made(id, at)).collect();
        let id = self.next().0;
        self.operations.push(Operation {
            id,
            name: format!("{name}: {} operations", operations.len()),
            arguments: taken,
            outputs,
            module: outer.to_owned(),
            source: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Builder as Build;

    /// Two layers of an attention and a map, with a stream around them.
    fn model() -> RecordedGraph {
        let mut b = Build::new();
        let mut x = b.input("x", &[2, 5, 8]);
        for layer in 0..2 {
            b.module(&format!("layers.{layer}.attention"));
            let q = b.linear(x, 8);
            let k = b.transpose(q, 1, 2);
            let scores = b.bmm(q, k);
            let p = b.softmax(scores, -1);
            let y = b.bmm(p, x);
            b.module(&format!("layers.{layer}"));
            x = b.add(x, y);
            b.module(&format!("layers.{layer}.map"));
            let y = b.linear(x, 8);
            let y = b.unary("aten::relu", y);
            b.module(&format!("layers.{layer}"));
            x = b.add(x, y);
        }
        b.build()
    }

    fn names(graph: &RecordedGraph) -> Vec<&str> {
        graph.operations().iter().map(Operation::base_name).collect()
    }

    #[test]
    fn modules_stand_for_their_operations() {
        let graph = model();
        let of = |module: Option<&str>, depth| {
            summary(&graph, &Summary { module: module.map(str::to_owned), depth }).unwrap()
        };
        assert_eq!(names(&of(None, Some(1))), ["layers: 18 operations"]);
        assert_eq!(names(&of(None, Some(2))), ["0: 9 operations", "1: 9 operations"]);
        let inner = of(Some("layers.1"), Some(1));
        assert_eq!(names(&inner), ["attention: 5 operations", "add", "map: 2 operations", "add"]);
        assert_eq!(inner.tensors()[0].name.as_deref(), Some("from layers.0"), "what it is given is an input");
        assert_eq!(inner.operations()[1].inputs().count(), 2);
        assert_eq!(of(None, None).operations().len(), graph.operations().len());
        let error = |module: &str| {
            let wanted = Summary { module: Some(module.to_owned()), depth: None };
            summary(&graph, &wanted).unwrap_err().to_string()
        };
        assert_eq!(error("layer.1"), "no operation ran in a module \"layer.1\" (did you mean \"layers.1\"?)");
    }

    #[test]
    fn a_module_that_what_it_made_comes_back_to_is_two() {
        let mut b = Build::new();
        let x = b.input("x", &[4]);
        b.module("a.first");
        let y = b.unary("aten::relu", x);
        b.module("a.second");
        let y = b.unary("aten::tanh", y);
        b.module("b");
        let y = b.unary("aten::exp", y);
        b.module("a.first");
        b.unary("aten::neg", y);
        b.module("a.third");
        b.unary("aten::abs", x);
        let wanted = Summary { module: None, depth: Some(1) };
        let graph = summary(&b.build(), &wanted).unwrap();
        assert_eq!(names(&graph), ["a: 2 operations", "exp", "a: 2 operations"]);
    }
}
