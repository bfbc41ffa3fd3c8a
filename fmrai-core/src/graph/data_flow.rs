//! A graph as petgraph sees one: its algorithms run on it, and nothing is built for them.

use std::collections::{BTreeSet, HashSet};

use petgraph::Direction;
use petgraph::visit::{
    Dfs, GraphBase, GraphRef, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, Reversed, Visitable,
    Walker,
};

use super::{Graph, Operation, OperationId, TensorId};

/// A vertex of the data flow: operations and tensors alternate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// An operation.
    Operation(OperationId),
    /// A tensor.
    Tensor(TensorId),
}

/// The bipartite graph tensor -> operation -> tensor. An in-place operation makes a new tensor, so it is acyclic.
///
/// It is a view that costs nothing to make. It has the traits of [`petgraph::visit`], so the algorithms of petgraph that
/// need vertices and their neighbours take it as it is, e.g. `petgraph::algo::toposort(DataFlow::of(graph), None)`. Ids
/// that point nowhere are left out.
#[derive(Clone, Copy)]
pub struct DataFlow<'g>(&'g dyn Graph);

impl<'g> DataFlow<'g> {
    /// The data flow of a graph.
    #[must_use]
    pub fn of(graph: &'g dyn Graph) -> Self {
        Self(graph)
    }

    /// Everything that `node` was computed from, itself excluded. Empty for an unknown id.
    #[must_use]
    pub fn ancestors(self, node: Node) -> BTreeSet<Node> {
        let reversed = Reversed(self);
        Dfs::new(reversed, node).iter(reversed).filter(|found| *found != node).collect()
    }

    /// Everything that was computed from `node`, itself excluded. Empty for an unknown id.
    #[must_use]
    pub fn descendants(self, node: Node) -> BTreeSet<Node> {
        Dfs::new(self, node).iter(self).filter(|found| *found != node).collect()
    }

    fn known(self, node: Node) -> Option<Node> {
        match node {
            Node::Operation(id) => self.0.operation(id).is_some(),
            Node::Tensor(id) => self.0.tensor(id).is_some(),
        }
        .then_some(node)
    }
}

/// The vertices beside one, from a graph.
type Neighbors<'g> = Box<dyn Iterator<Item = Node> + 'g>;

impl GraphBase for DataFlow<'_> {
    type EdgeId = (Node, Node);
    type NodeId = Node;
}

impl GraphRef for DataFlow<'_> {}

impl<'g> IntoNeighborsDirected for DataFlow<'g> {
    type NeighborsDirected = Neighbors<'g>;

    fn neighbors_directed(self, node: Node, direction: Direction) -> Neighbors<'g> {
        let known = move |node| self.known(node);
        match (node, direction) {
            (Node::Operation(id), Direction::Outgoing) => {
                let outputs = self.0.operation(id).map_or(&[][..], |o| &o.outputs);
                Box::new(outputs.iter().copied().map(Node::Tensor).filter_map(known))
            }
            (Node::Operation(id), Direction::Incoming) => {
                let inputs = self.0.operation(id).into_iter().flat_map(Operation::inputs);
                Box::new(inputs.map(Node::Tensor).filter_map(known))
            }
            (Node::Tensor(id), Direction::Outgoing) => {
                Box::new(self.0.users(id).iter().copied().map(Node::Operation).filter_map(known))
            }
            (Node::Tensor(id), Direction::Incoming) => {
                Box::new(self.0.producer(id).map(|o| Node::Operation(o.id)).into_iter())
            }
        }
    }
}

impl<'g> IntoNeighbors for DataFlow<'g> {
    type Neighbors = Neighbors<'g>;

    fn neighbors(self, node: Node) -> Neighbors<'g> {
        self.neighbors_directed(node, Direction::Outgoing)
    }
}

impl<'g> IntoNodeIdentifiers for DataFlow<'g> {
    type NodeIdentifiers = Neighbors<'g>;

    fn node_identifiers(self) -> Neighbors<'g> {
        let operations = self.0.operations().iter().map(|o| Node::Operation(o.id));
        Box::new(operations.chain(self.0.tensors().iter().map(|t| Node::Tensor(t.id))))
    }
}

impl Visitable for DataFlow<'_> {
    type Map = HashSet<Node>;

    fn visit_map(&self) -> Self::Map {
        HashSet::new()
    }

    fn reset_map(&self, map: &mut Self::Map) {
        map.clear();
    }
}
