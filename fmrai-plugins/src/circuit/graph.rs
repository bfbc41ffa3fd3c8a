//! The graph of a model's nodes and edges.

/// What a layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayerShape {
    pub(super) heads: usize,
    /// Keys and values that can be set apart: as many as heads, or as key and value heads where the model shares these without repeating them.
    pub(super) keys: usize,
    pub(super) values: usize,
    pub(super) ffn: bool,
    /// True where the feed-forward block reads the stream before the attention.
    pub(super) parallel: bool,
}

/// What gives something to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Input,
    Head(usize, usize),
    Ffn(usize),
}

/// What reads the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Query(usize, usize),
    Key(usize, usize),
    Value(usize, usize),
    Ffn(usize),
    Logits,
}

/// What reads the stream, with what can reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) end: End,
    pub(super) name: String,
    /// The nodes that it is an input of: none for the logits, several for keys that heads share.
    pub(super) nodes: Vec<usize>,
    /// All nodes below this one come before it.
    pub(super) sources: usize,
}

/// Nodes, destinations and the edges between them: by node, then by destination, both in the order of the pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) destinations: Vec<Destination>,
    /// `(node, destination)`.
    pub(super) edges: Vec<(usize, usize)>,
    /// For each destination the edges into it, by node.
    into: Vec<Vec<usize>>,
}

impl Graph {
    pub(super) fn new(layers: &[LayerShape]) -> Self {
        let mut nodes = vec![Node::Input];
        let mut destinations = Vec::new();
        for (layer, shape) in layers.iter().enumerate() {
            let before = nodes.len();
            nodes.extend((0..shape.heads).map(|head| Node::Head(layer, head)));
            for head in 0..shape.heads {
                for (kind, count) in [('q', shape.heads), ('k', shape.keys), ('v', shape.values)] {
                    // Of heads that share something, the first one stands for all.
                    let of = |head: usize| head * count / shape.heads.max(1);
                    let place = of(head);
                    if head > 0 && of(head - 1) == place {
                        continue;
                    }
                    let end = match kind {
                        'q' => End::Query(layer, place),
                        'k' => End::Key(layer, place),
                        _ => End::Value(layer, place),
                    };
                    let shared = if count == shape.heads { 'h' } else { 'g' };
                    let name = format!("a{layer}.{shared}{place}<{kind}>");
                    let readers = (0..shape.heads).filter(|head| of(*head) == place);
                    let readers = readers.map(|head| before + head).collect();
                    destinations.push(Destination { end, name, nodes: readers, sources: before });
                }
            }
            if shape.ffn {
                let sources = if shape.parallel { before } else { nodes.len() };
                let (end, name) = (End::Ffn(layer), format!("m{layer}"));
                destinations.push(Destination { end, name, nodes: vec![nodes.len()], sources });
                nodes.push(Node::Ffn(layer));
            }
        }
        let name = "logits".to_owned();
        destinations.push(Destination { end: End::Logits, name, nodes: Vec::new(), sources: nodes.len() });
        let mut edges = Vec::new();
        let mut into = vec![Vec::new(); destinations.len()];
        for node in 0..nodes.len() {
            for (at, destination) in destinations.iter().enumerate() {
                if node < destination.sources {
                    into[at].push(edges.len());
                    edges.push((node, at));
                }
            }
        }
        Self { nodes, destinations, edges, into }
    }

    /// The edges into a destination, by node.
    pub(super) fn edges_into(&self, destination: usize) -> &[usize] {
        &self.into[destination]
    }

    /// `input`, `a0.h1`, `m0`.
    pub(super) fn name(&self, node: usize) -> String {
        match self.nodes[node] {
            Node::Input => "input".to_owned(),
            Node::Head(layer, head) => format!("a{layer}.h{head}"),
            Node::Ffn(layer) => format!("m{layer}"),
        }
    }

    /// `a0.h1->a2.h3<q>`.
    #[cfg(test)]
    pub(super) fn edge_name(&self, edge: usize) -> String {
        let (node, destination) = self.edges[edge];
        format!("{}->{}", self.name(node), self.destinations[destination].name)
    }

    /// Which nodes have edges both into and out of them. The input needs none into it.
    pub(super) fn alive(&self, circuit: &[bool]) -> Vec<bool> {
        let (mut fed, mut read) = (vec![false; self.nodes.len()], vec![false; self.nodes.len()]);
        fed[0] = true;
        for ((node, destination), _) in self.edges.iter().zip(circuit).filter(|(_, there)| **there) {
            read[*node] = true;
            self.destinations[*destination].nodes.iter().for_each(|node| fed[*node] = true);
        }
        fed.iter().zip(&read).map(|(fed, read)| *fed && *read).collect()
    }

    /// Takes out the edges from and to nodes that have none into or none out of them, until all are connected.
    pub(super) fn prune(&self, circuit: &mut [bool]) {
        loop {
            let alive = self.alive(circuit);
            let mut changed = false;
            for ((node, destination), there) in self.edges.iter().zip(circuit.iter_mut()) {
                let nodes = &self.destinations[*destination].nodes;
                let leads = nodes.is_empty() || nodes.iter().any(|node| alive[*node]);
                if *there && !(alive[*node] && leads) {
                    *there = false;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(heads: usize, parallel: bool) -> LayerShape {
        LayerShape { heads, keys: heads, values: heads, ffn: true, parallel }
    }

    fn count(layers: usize, heads: usize, parallel: bool) -> usize {
        Graph::new(&vec![shape(heads, parallel); layers]).edges.len()
    }

    #[test]
    fn there_are_as_many_edges_as_in_the_paper() {
        assert_eq!(count(12, 12, false), 32491);
        assert_eq!(count(24, 16, false), 231_877);
        assert_eq!(count(12, 12, true), 32347);
        assert_eq!(count(1, 1, false), 8);
        assert_eq!(count(2, 1, false), 23);
    }

    #[test]
    fn edges_have_the_names_and_the_order_of_the_authors() {
        let graph = Graph::new(&[shape(1, false)]);
        let names: Vec<String> = (0..graph.edges.len()).map(|edge| graph.edge_name(edge)).collect();
        let heads = ["input->a0.h0<q>", "input->a0.h0<k>", "input->a0.h0<v>", "input->m0", "input->logits"];
        assert_eq!(names[..5], heads);
        assert_eq!(names[5..], ["a0.h0->m0", "a0.h0->logits", "m0->logits"]);
    }

    #[test]
    fn shared_keys_are_one_destination() {
        let graph = Graph::new(&[LayerShape { heads: 4, keys: 2, values: 2, ffn: false, parallel: false }]);
        let names: Vec<&str> = graph.destinations.iter().map(|d| d.name.as_str()).collect();
        let first = ["a0.h0<q>", "a0.g0<k>", "a0.g0<v>", "a0.h1<q>", "a0.h2<q>", "a0.g1<k>", "a0.g1<v>"];
        assert_eq!(names[..7], first);
        assert_eq!(graph.destinations[5].nodes, [3, 4]);
    }

    #[test]
    fn what_leads_nowhere_is_taken_out() {
        let graph = Graph::new(&[shape(1, false); 2]);
        let mut circuit = vec![false; graph.edges.len()];
        let edge = |name: &str| (0..graph.edges.len()).find(|edge| graph.edge_name(*edge) == name).unwrap();
        for name in ["input->a0.h0<v>", "a0.h0->m1", "m1->logits", "m0->logits", "input->a1.h0<q>"] {
            circuit[edge(name)] = true;
        }
        graph.prune(&mut circuit);
        let left: Vec<String> =
            (0..circuit.len()).filter(|edge| circuit[*edge]).map(|edge| graph.edge_name(edge)).collect();
        assert_eq!(left, ["input->a0.h0<v>", "a0.h0->m1", "m1->logits"]);
        let mut whole = vec![true; graph.edges.len()];
        graph.prune(&mut whole);
        assert!(whole.iter().all(|there| *there));
    }
}
