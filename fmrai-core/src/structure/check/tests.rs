//! Claims that a pass confirms, contradicts or leaves open.

use std::collections::BTreeMap;

use super::*;
use crate::graph::RecordedGraph;
use crate::graph::testing::Builder;
use crate::tensor::{TensorError, TensorValue, TensorView};

struct Kept(BTreeMap<TensorId, TensorValue>);

impl Activations for Kept {
    fn tensor(&self, id: TensorId) -> Option<Result<TensorView<'_>, TensorError>> {
        self.0.get(&id).map(|value| Ok(value.view()))
    }
}

/// One head over two tokens of two channels, added to its input.
fn block() -> (RecordedGraph, Structure) {
    let mut b = Builder::new();
    let ids = b.ids("input_ids", &[1, 2]);
    let x = b.embedding(ids, 2);
    let [q, k, v] = [(); 3].map(|()| b.linear(x, 2));
    let k = b.transpose(k, 1, 2);
    let scores = b.matmul(q, k);
    let p = b.softmax(scores, -1);
    let context = b.matmul(p, v);
    let y = b.linear(context, 2);
    b.add(x, y);
    let graph = b.build();
    let structure = Structure::of(&graph);
    assert_eq!((structure.attention.len(), structure.residual.len()), (1, 1));
    (graph, structure)
}

fn pass(structure: &Structure, context: [f32; 4], after: [f32; 4]) -> Kept {
    let block = &structure.attention[0];
    let write = &structure.residual[0];
    let value = |data: [f32; 4]| TensorValue::new([1, 2, 2], data.to_vec().into()).unwrap();
    Kept(BTreeMap::from([
        (block.probabilities, value([1.0, 0.0, 0.25, 0.75])),
        (block.value, value([1.0, 2.0, 5.0, -2.0])),
        (block.context, value(context)),
        (write.before, value([1.0; 4])),
        (write.written, value([0.5, -0.5, 2.0, 3.0])),
        (write.after, value(after)),
    ]))
}

const CONTEXT: [f32; 4] = [1.0, 2.0, 4.0, -1.0];
const AFTER: [f32; 4] = [1.5, 0.5, 3.0, 4.0];

#[test]
fn what_holds_stays() {
    let (graph, mut structure) = block();
    let before = structure.clone();
    let kept = pass(&structure, CONTEXT, AFTER);
    let checked = structure.check(&graph, &kept);
    assert_eq!(checked, Checked { hold: 2, ..Checked::default() });
    assert_eq!(structure, before);
    let all = needed(&graph, &structure, u64::MAX);
    assert!(kept.0.keys().all(|id| all.contains(*id)));
    assert_eq!(needed(&graph, &structure, 0).tensors().len(), 0);
}

#[test]
fn a_context_that_is_something_else_is_not_claimed() {
    let (graph, mut structure) = block();
    let kept = pass(&structure, [1.0, 2.0, 4.0, 1.0], AFTER);
    let checked = structure.check(&graph, &kept);
    let [doubt] = checked.doubts.as_slice() else { panic!("{checked:?}") };
    assert!(doubt.to_string().starts_with("attention[0] is not claimed: its context is 1.0000"), "{doubt}");
    assert_eq!(structure.attention, []);
    assert_eq!(structure.residual[0].writers, [crate::structure::Writer::Other]);
}

#[test]
fn a_sum_that_is_none_is_not_claimed() {
    let (graph, mut structure) = block();
    let kept = pass(&structure, CONTEXT, [1.5, 0.5, 3.0, -4.0]);
    let checked = structure.check(&graph, &kept);
    assert_eq!(checked.doubts.len(), 1);
    assert_eq!(checked.doubts[0].component, "addition[0]");
    assert_eq!(structure.residual, []);
}

#[test]
fn what_was_not_kept_stays_open() {
    let (graph, mut structure) = block();
    let checked = structure.check(&graph, &Kept(BTreeMap::new()));
    assert_eq!(checked, Checked { open: 2, ..Checked::default() });
}
