//! The graph of a run.

use super::{Graph, GraphError, GraphOutput, Operation, OperationId, Origin, TensorId, TensorNode};

/// A checked graph: every id in it points at what it says, and operations stand in topological order.
#[derive(Debug, Clone)]
pub struct RecordedGraph {
    operations: Vec<Operation>,
    tensors: Vec<TensorNode>,
    users: Vec<Vec<OperationId>>,
    outputs: Vec<GraphOutput>,
}

impl RecordedGraph {
    /// A graph of these operations and tensors, each at the position that its id names.
    ///
    /// # Errors
    /// [`GraphError::Broken`] names the first operation or tensor whose ids do not fit.
    pub fn new(operations: Vec<Operation>, tensors: Vec<TensorNode>) -> Result<Self, GraphError> {
        check(&operations, &tensors)?;
        let mut users = vec![Vec::new(); tensors.len()];
        for operation in &operations {
            for id in operation.inputs() {
                let list: &mut Vec<OperationId> = &mut users[id.0 as usize];
                if list.last() != Some(&operation.id) {
                    list.push(operation.id);
                }
            }
        }
        Ok(Self { operations, tensors, users, outputs: Vec::new() })
    }

    /// The same, which knows what the model gives back.
    ///
    /// # Errors
    /// [`GraphError::Broken`] names the first output that is no tensor of the graph.
    pub fn with_outputs(self, outputs: Vec<GraphOutput>) -> Result<Self, GraphError> {
        let unknown = outputs.iter().find(|output| self.tensor(output.tensor).is_none());
        if let Some(GraphOutput { name, tensor, .. }) = unknown {
            let what = format!("is the unknown tensor {tensor}");
            return Err(GraphError::Broken { place: format!("output {name}"), what });
        }
        Ok(Self { outputs, ..self })
    }
}

fn check(operations: &[Operation], tensors: &[TensorNode]) -> Result<(), GraphError> {
    let broken = |place: String, what: &str| Err(GraphError::Broken { place, what: what.to_owned() });
    for (i, tensor) in tensors.iter().enumerate() {
        let place = || format!("tensor {i}");
        if tensor.id.0 as usize != i {
            return broken(place(), "its id is not its position");
        }
        if tensor.version_of.is_some_and(|old| old.0 as usize >= i) {
            return broken(place(), "is a version of a later tensor");
        }
        if let Origin::Operation { operation, output } = tensor.origin {
            let made = operations.get(operation.0 as usize).and_then(|o| o.outputs.get(output as usize));
            if made != Some(&tensor.id) {
                return broken(place(), "the operation it names does not make it");
            }
        }
    }
    for (i, operation) in operations.iter().enumerate() {
        let place = || format!("operation {i} ({})", operation.name);
        if operation.id.0 as usize != i {
            return broken(place(), "its id is not its position");
        }
        for id in operation.inputs() {
            let Some(tensor) = tensors.get(id.0 as usize) else {
                return broken(place(), &format!("takes the unknown tensor {id}"));
            };
            if matches!(tensor.origin, Origin::Operation { operation, .. } if operation.0 as usize >= i) {
                return broken(place(), &format!("takes {id} before it is made"));
            }
        }
        for (output, id) in operation.outputs.iter().enumerate() {
            let expected = Origin::Operation { operation: operation.id, output: output as u32 };
            if tensors.get(id.0 as usize).map(|t| t.origin) != Some(expected) {
                return broken(place(), &format!("output {id} does not come from it"));
            }
        }
    }
    Ok(())
}

impl Graph for RecordedGraph {
    fn operations(&self) -> &[Operation] {
        &self.operations
    }

    fn tensors(&self) -> &[TensorNode] {
        &self.tensors
    }

    fn users(&self, tensor: TensorId) -> &[OperationId] {
        self.users.get(tensor.0 as usize).map_or(&[], Vec::as_slice)
    }

    fn outputs(&self) -> &[GraphOutput] {
        &self.outputs
    }
}
