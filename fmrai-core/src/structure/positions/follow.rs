//! The axes of the inputs, followed through a graph.

use crate::graph::{Graph, Operation};
use crate::structure::operator::makes_anew;

use super::axes::Axes;
use super::labels::is_known;
use super::transfer;

/// The axes of every tensor, in one pass over the graph.
pub(super) fn follow(graph: &dyn Graph) -> Axes {
    let mut axes = Axes::of_inputs(graph);
    for operation in graph.operations() {
        step(&mut axes, graph, operation);
    }
    axes
}

fn step(axes: &mut Axes, graph: &dyn Graph, operation: &Operation) {
    if makes_anew(operation) {
        return;
    }
    let sources = axes.sources_of(operation.inputs());
    let known = operation.inputs().any(|id| axes.of_tensor(id).is_some());
    let made = if known { transfer::of(graph, operation, axes) } else { Vec::new() };
    for (i, output) in operation.outputs.iter().enumerate() {
        let shape = graph.tensor(*output).map_or(&[][..], |t| &t.shape);
        let fits = made.get(i).filter(|made| {
            let sizes = made.iter().map(|axis| axis.iter().fold(1_i64, |n, f| n.saturating_mul(f.size)));
            sizes.eq(shape.iter().copied()) && is_known(made)
        });
        axes.learn(*output, sources, fits);
    }
}
