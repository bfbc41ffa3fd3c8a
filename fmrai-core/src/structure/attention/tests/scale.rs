//! Large graphs and broken ones.

use crate::graph::{Graph, Operation, OperationId, Origin, TensorNode, Value};
use crate::tensor::DType;

use super::*;

#[test]
fn finds_every_layer_of_a_deep_model() {
    let layers = 600;
    let mut b = Builder::new();
    let mut x = tokens(&mut b, "input_ids", T);
    for _ in 0..layers {
        let [q, k, v] = [(); 3].map(|()| project(&mut b, x, H));
        let scores = scaled_product(&mut b, q, k);
        let probabilities = b.softmax(scores, -1);
        let context = b.matmul(probabilities, v);
        let y = close(&mut b, x, context);
        x = feed_forward(&mut b, y);
    }
    let graph = b.build();
    assert!(graph.operations().len() > 10_000);
    let found = find_attention(&graph);
    assert_eq!(found.len(), layers);
    assert!(found.iter().enumerate().all(|(i, a)| a.layer == i && a.kind == AttentionKind::SelfAttention));
}

/// A graph that nobody has checked, as another implementation of the trait might be.
struct Unchecked {
    operations: Vec<Operation>,
    tensors: Vec<TensorNode>,
    users: Vec<OperationId>,
}

impl Graph for Unchecked {
    fn operations(&self) -> &[Operation] {
        &self.operations
    }
    fn tensors(&self) -> &[TensorNode] {
        &self.tensors
    }
    fn users(&self, _: TensorId) -> &[OperationId] {
        &self.users
    }
}

#[test]
fn survives_ids_that_point_nowhere_and_absurd_shapes() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let [q, k, v] = [(); 3].map(|()| project(b, x, H));
    let scores = scaled_product(b, q, k);
    let probabilities = b.softmax(scores, -1);
    b.matmul(probabilities, v);
    b.sdpa(q, k, v, true);
    let graph = c.b.build();
    let sizes: [&[i64]; 6] = [&[], &[0], &[i64::MAX; 4], &[i64::MIN, -1, i64::MAX], &[0; 5], &[-1; 3]];
    for (i, shape) in sizes.into_iter().cycle().take(60).enumerate() {
        let (mut operations, mut tensors) = (graph.operations().to_vec(), graph.tensors().to_vec());
        let n = tensors.len();
        for (j, tensor) in tensors.iter_mut().enumerate() {
            if (i + j).is_multiple_of(1 + i % 4) {
                shape.clone_into(&mut tensor.shape);
            }
        }
        let n_operations = operations.len();
        let operation = &mut operations[i % n_operations];
        match i % 3 {
            0 => operation.outputs = vec![TensorId(u32::MAX)],
            1 => operation.outputs.clear(),
            _ => operation.arguments.iter_mut().for_each(|a| a.value = Value::Tensor(TensorId(n as u32 + 7))),
        }
        let users = vec![OperationId(0), OperationId(i as u32), OperationId(u32::MAX)];
        let _ = find_attention(&Unchecked { operations, tensors, users });
    }
}

#[test]
fn a_cycle_ends() {
    let origin = |operation| Origin::Operation { operation: OperationId(operation), output: 0 };
    let tensor = |id, operation| TensorNode {
        id: TensorId(id),
        name: None,
        dtype: DType::Float32,
        shape: vec![1, 1, 4, 4],
        origin: origin(operation),
        version_of: None,
        on_request: false,
    };
    let mut b = Builder::new();
    let x = b.input("x", &[1, 1, 4, 4]);
    let y = b.unary("aten::view", x);
    b.sdpa(y, y, y, false);
    let graph = b.build();
    let mut tensors = graph.tensors().to_vec();
    tensors[x.0 as usize] = tensor(x.0, 0);
    let operations = graph.operations().to_vec();
    assert_eq!(find_attention(&Unchecked { operations, tensors, users: vec![] }).len(), 1);
}
