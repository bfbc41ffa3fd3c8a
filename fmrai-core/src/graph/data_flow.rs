//! Topological queries, on petgraph.

use std::collections::BTreeSet;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Reversed, Walker};

use super::{Graph, OperationId, TensorId};

/// A vertex of the data flow: operations and tensors alternate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// An operation.
    Operation(OperationId),
    /// A tensor.
    Tensor(TensorId),
}

/// The bipartite graph tensor -> operation -> tensor. An in-place operation makes a new tensor, so it is acyclic.
#[derive(Debug, Clone)]
pub struct DataFlow {
    flow: DiGraph<Node, ()>,
    operations: u32,
}

impl DataFlow {
    /// The data flow of a graph. Ids that point nowhere are left out.
    #[must_use]
    pub fn of(graph: &dyn Graph) -> Self {
        let (operations, tensors) = (graph.operations(), graph.tensors());
        let edges = operations.iter().map(|o| o.arguments.len() + o.outputs.len()).sum();
        let mut flow = DiGraph::with_capacity(operations.len() + tensors.len(), edges);
        for operation in operations {
            flow.add_node(Node::Operation(operation.id));
        }
        for tensor in tensors {
            flow.add_node(Node::Tensor(tensor.id));
        }
        let offset = operations.len();
        for (o, operation) in operations.iter().enumerate() {
            let known = |id: &TensorId| (id.0 as usize) < tensors.len();
            for id in operation.inputs().filter(known) {
                flow.update_edge(NodeIndex::new(offset + id.0 as usize), NodeIndex::new(o), ());
            }
            for id in operation.outputs.iter().filter(|id| known(id)) {
                flow.update_edge(NodeIndex::new(o), NodeIndex::new(offset + id.0 as usize), ());
            }
        }
        Self { flow, operations: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    /// The petgraph graph itself, for algorithms that are not offered here.
    #[must_use]
    pub fn petgraph(&self) -> &DiGraph<Node, ()> {
        &self.flow
    }

    fn index(&self, node: Node) -> Option<NodeIndex> {
        let index = match node {
            Node::Operation(id) if id.0 < self.operations => id.0 as usize,
            Node::Operation(_) => return None,
            Node::Tensor(id) => self.operations as usize + id.0 as usize,
        };
        (index < self.flow.node_count()).then(|| NodeIndex::new(index))
    }

    /// Everything that `node` was computed from, itself excluded.
    #[must_use]
    pub fn ancestors(&self, node: Node) -> BTreeSet<Node> {
        let Some(start) = self.index(node) else {
            return BTreeSet::new();
        };
        let reversed = Reversed(&self.flow);
        Dfs::new(reversed, start).iter(reversed).filter(|i| *i != start).map(|i| self.flow[i]).collect()
    }

    /// Everything that was computed from `node`, itself excluded.
    #[must_use]
    pub fn descendants(&self, node: Node) -> BTreeSet<Node> {
        let Some(start) = self.index(node) else {
            return BTreeSet::new();
        };
        Dfs::new(&self.flow, start).iter(&self.flow).filter(|i| *i != start).map(|i| self.flow[i]).collect()
    }

    /// True when `to` was computed from `from`.
    #[must_use]
    pub fn reaches(&self, from: Node, to: Node) -> bool {
        match (self.index(from), self.index(to)) {
            (Some(from), Some(to)) => petgraph::algo::has_path_connecting(&self.flow, from, to, None),
            _ => false,
        }
    }

    /// All vertices so that each stands after what it was computed from; `None` if the graph has a cycle.
    #[must_use]
    pub fn topological_order(&self) -> Option<Vec<Node>> {
        let order = petgraph::algo::toposort(&self.flow, None).ok()?;
        Some(order.into_iter().map(|i| self.flow[i]).collect())
    }

    /// Tensors that no operation takes: what the model returned, and what it computed for nothing.
    #[must_use]
    pub fn unused(&self) -> Vec<TensorId> {
        self.flow
            .externals(Direction::Outgoing)
            .filter_map(|i| match self.flow[i] {
                Node::Tensor(id) => Some(id),
                Node::Operation(_) => None,
            })
            .collect()
    }
}
