//! A graph in columns: a tenth of the size of its own JSON, since a text that many operations share is written once.

use std::collections::BTreeMap;

use fmrai_core::graph::{Argument, Graph, Operation, Origin, Value, fingerprint};
use fmrai_core::structure::{Coverage, Structure, is_view};
use serde::{Deserialize, Serialize};

use super::blocks;

/// Characters of the constants of an operation; what is longer is cut.
const CONSTANTS: usize = 400;

/// Every operation and tensor of a graph. Numbers in the columns `name`, `module`, `block`, `source`, `role`, `constants` and `dtype`
/// are places in `texts`, whose first is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphData {
    /// That of the graph.
    pub fingerprint: String,
    /// What columns name by its place.
    pub texts: Vec<String>,
    /// The operations, in execution order.
    pub operations: OperationColumns,
    /// The tensors, in order of first appearance.
    pub tensors: TensorColumns,
}

/// Tensors that an operation takes or makes.
pub type Edges = Vec<Vec<u32>>;

/// Columns of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationColumns {
    /// Its name, e.g. `aten::softmax.int`.
    pub name: Vec<u32>,
    /// The module that it ran in.
    pub module: Vec<u32>,
    /// Its place among the blocks that were found, e.g. `layer 3/attention`.
    pub block: Vec<u32>,
    /// Its line of source.
    pub source: Vec<u32>,
    /// What it is part of, e.g. `attention`; empty where that is not known.
    pub role: Vec<u32>,
    /// Its arguments that are no tensors, e.g. `dim=-1`.
    pub constants: Vec<u32>,
    /// The tensors that it takes.
    pub inputs: Edges,
    /// The tensors that it makes.
    pub outputs: Edges,
    /// Those that only arrange, cut, repeat, cast or copy one tensor, by their number.
    pub views: Vec<u32>,
}

/// Columns of tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorColumns {
    /// Name of an input or parameter.
    pub name: Vec<u32>,
    /// Element type.
    pub dtype: Vec<u32>,
    /// Sizes in the recorded batch.
    pub shape: Vec<Vec<i64>>,
    /// `input`, `parameter`, `constant` or `operation`.
    pub origin: Vec<u32>,
}

/// Texts, each written once.
#[derive(Default)]
struct Texts {
    known: BTreeMap<String, u32>,
    all: Vec<String>,
}

impl Texts {
    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.known.get(text) {
            return *place;
        }
        let place = u32::try_from(self.all.len()).unwrap_or_default();
        self.all.push(text.to_owned());
        self.known.insert(text.to_owned(), place);
        place
    }
}

impl GraphData {
    /// The columns of a graph.
    #[must_use]
    pub fn of(graph: &dyn Graph, structure: &Structure, coverage: &Coverage) -> Self {
        let mut texts = Texts::default();
        texts.place("");
        let blocks = blocks::paths(graph, structure, coverage);
        let mut operations = OperationColumns::default();
        for (operation, block) in graph.operations().iter().zip(&blocks) {
            let role = coverage.of.get(operation.id.0 as usize).copied().flatten();
            let role = role.map(|role| serde_json::json!(role));
            operations.name.push(texts.place(&operation.name));
            operations.module.push(texts.place(&operation.module));
            operations.block.push(texts.place(block));
            operations.source.push(texts.place(operation.source.as_deref().unwrap_or_default()));
            operations.role.push(texts.place(role.as_ref().and_then(|r| r.as_str()).unwrap_or_default()));
            operations.constants.push(texts.place(&constants(operation)));
            operations.inputs.push(operation.inputs().map(|id| id.0).collect());
            operations.outputs.push(operation.outputs.iter().map(|id| id.0).collect());
        }
        let views = graph.operations().iter().filter(|operation| is_view(operation));
        operations.views = views.map(|operation| operation.id.0).collect();
        let mut tensors = TensorColumns::default();
        for tensor in graph.tensors() {
            tensors.name.push(texts.place(tensor.name.as_deref().unwrap_or_default()));
            tensors.dtype.push(texts.place(&tensor.dtype.to_string()));
            tensors.shape.push(tensor.shape.clone());
            tensors.origin.push(texts.place(origin(tensor.origin)));
        }
        Self { fingerprint: fingerprint(graph).to_string(), texts: texts.all, operations, tensors }
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Input => "input",
        Origin::Parameter => "parameter",
        Origin::Constant => "constant",
        Origin::Operation { .. } => "operation",
    }
}

/// The arguments that are no tensors and say something.
pub(super) fn constants(operation: &Operation) -> String {
    let told =
        |argument: &&Argument| !matches!(argument.value, Value::None | Value::Tensor(_) | Value::Tensors(_));
    let told = operation.arguments.iter().filter(told);
    let text: Vec<String> = told.map(|a| format!("{}={}", a.name, a.value)).collect();
    let text = text.join(", ");
    match text.char_indices().nth(CONSTANTS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Elements of all parameters.
pub(super) fn parameters(graph: &dyn Graph) -> u64 {
    let of = graph.tensors().iter().filter(|tensor| tensor.origin == Origin::Parameter);
    of.map(|tensor| tensor.shape.iter().map(|n| u64::try_from(*n).unwrap_or(0)).product::<u64>()).sum()
}
