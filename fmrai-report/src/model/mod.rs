//! The model of a run: what was found in its graph, and the graph.

mod blocks;
mod graph;
mod layout;
mod model_explorer;
mod picture;

pub use graph::{Edges, GraphData, OperationColumns, TensorColumns};
pub use model_explorer::to_model_explorer;
pub use picture::to_svg;

use fmrai_core::graph::Graph;
use fmrai_core::structure::{Coverage, Structure};
use serde::{Deserialize, Serialize};

/// What is shown of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What the finders have found.
    pub structure: Structure,
    /// How much of the graph was understood.
    pub coverage: Coverage,
    /// Weights: numbers of the tensors that are parameters, over all of them.
    pub parameters: u64,
    /// The graph.
    pub graph: GraphData,
}

impl Model {
    /// What is shown of this graph. `structure` is what was found in it.
    #[must_use]
    pub fn of(graph: &dyn Graph, structure: &Structure) -> Self {
        let (_, coverage) = Structure::with_coverage(graph);
        Self {
            structure: structure.clone(),
            parameters: graph::parameters(graph),
            graph: GraphData::of(graph, structure, &coverage),
            coverage,
        }
    }
}
