//! Laws of recorded graphs and their files.

use std::collections::BTreeMap;

use petgraph::algo::{has_path_connecting, toposort};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::tensor::DType;

use super::testing::Builder;
use super::{
    DataFlow, Graph, GraphError, Node, Operation, OperationId, Origin, RecordedGraph, TensorId, TensorNode,
    Value, fingerprint, from_json, to_json,
};

type Parts = (Vec<Operation>, Vec<TensorNode>);

/// Where an error is expected, what it says, and what is broken.
type Damage<'a> = (&'a str, &'a str, &'a dyn Fn(&mut Parts));

/// Three operations: #0 input, #1 parameter, #2 = #0 · #1, #3 = #2 + 1 in place, #4 = cat(#0, #3).
fn small() -> RecordedGraph {
    let mut b = Builder::new();
    b.module("block");
    let x = b.input("x", &[2, 3]);
    let y = b.linear(x, 3);
    let y = b.scalar("aten::add_.Tensor", y, 1.0);
    b.cat(&[x, y], 1);
    b.build()
}

fn parts(graph: &RecordedGraph) -> Parts {
    (graph.operations().to_vec(), graph.tensors().to_vec())
}

#[test]
fn users_and_producers() {
    let graph = small();
    assert_eq!(graph.users(TensorId(0)), [OperationId(0), OperationId(2)]);
    assert_eq!(graph.users(TensorId(4)), []);
    assert_eq!(graph.users(TensorId(5)), []);
    assert_eq!(graph.producer(TensorId(3)).unwrap().id, OperationId(1));
    assert!(graph.producer(TensorId(0)).is_none() && graph.producer(TensorId(9)).is_none());
    assert_eq!(graph.tensor(TensorId(3)).unwrap().version_of, Some(TensorId(2)));
}

#[test]
fn a_tensor_taken_twice_has_one_user() {
    let mut b = Builder::new();
    let x = b.input("x", &[2]);
    b.mul(x, x);
    assert_eq!(b.build().users(x), [OperationId(0)]);
}

#[test]
fn broken_ids_are_refused() {
    let made = |operation, output| Origin::Operation { operation: OperationId(operation), output };
    let cases: &[Damage<'_>] = &[
        ("tensor 1", "its id is not its position", &|(_, t)| t[1].id = TensorId(7)),
        ("tensor 3", "is a version of a later tensor", &|(_, t)| t[3].version_of = Some(TensorId(3))),
        ("tensor 2", "is a version of a later tensor", &|(_, t)| t[2].version_of = Some(TensorId(u32::MAX))),
        ("tensor 2", "the operation it names does not make it", &|(_, t)| t[2].origin = made(9, 0)),
        ("tensor 2", "the operation it names does not make it", &|(_, t)| t[2].origin = made(0, 1)),
        ("tensor 0", "the operation it names does not make it", &|(_, t)| t[0].origin = made(0, 0)),
        ("operation 1 (aten::add_.Tensor)", "its id is not its position", &|(o, _)| o[1].id = OperationId(5)),
        ("operation 2 (aten::cat)", "takes the unknown tensor #9", &|(o, _)| {
            o[2].arguments[0].value = Value::Tensors(vec![None, Some(TensorId(9))]);
        }),
        ("operation 0 (aten::linear)", "takes #4 before it is made", &|(o, _)| {
            o[0].arguments[0].value = Value::Tensor(TensorId(4));
        }),
        ("operation 0 (aten::linear)", "takes #2 before it is made", &|(o, _)| {
            o[0].arguments[0].value = Value::Tensor(TensorId(2));
        }),
        ("operation 0 (aten::linear)", "output #0 does not come from it", &|(o, _)| {
            o[0].outputs.push(TensorId(0));
        }),
        ("operation 2 (aten::cat)", "output #44 does not come from it", &|(o, _)| {
            o[2].outputs.push(TensorId(44));
        }),
        ("operation 1 (aten::add_.Tensor)", "output #3 does not come from it", &|(o, _)| {
            o[1].outputs.push(TensorId(3));
        }),
    ];
    for (where_, why, damage) in cases {
        let mut broken = parts(&small());
        damage(&mut broken);
        match RecordedGraph::new(broken.0, broken.1) {
            Err(GraphError::Broken { place, what }) => {
                assert_eq!((place.as_str(), what.as_str()), (*where_, *why));
            }
            other => panic!("{where_}, {why}: {other:?}"),
        }
    }
    let (operations, tensors) = parts(&small());
    assert!(RecordedGraph::new(operations, tensors).is_ok());
    assert!(RecordedGraph::new(Vec::new(), Vec::new()).is_ok());
}

#[test]
fn other_formats_are_refused() {
    let text = to_json(&small()).unwrap().replace("\"format\":1", "\"format\":2");
    assert!(matches!(from_json(&text), Err(GraphError::Format { found: 2, supported: 1 })));
}

#[test]
fn fingerprint_leaves_out_sizes_and_nothing_else() {
    let build = |batch: i64, bound: Value, name: &str, operation: &str, factor: f64, swap: bool| {
        let mut b = Builder::new();
        let x = b.input("x", &[batch, 3]);
        let weight = b.parameter(name, &[3, 3]);
        let positions = b.op("aten::arange", &[("end", bound)], &[batch]);
        let y = b.view(x, &[batch, 3]);
        let y = b.matmul(y, weight);
        let z = b.unary(operation, y);
        let z = b.scale(z, factor);
        let (first, second) = if swap { (z, y) } else { (y, z) };
        b.binary("aten::sub.Tensor", first, second);
        b.unary("aten::neg", positions);
        fingerprint(&b.build())
    };
    let base = || build(2, Value::Int(2), "w", "aten::relu", 0.5, false);
    assert_eq!(base(), base());
    assert_eq!(base(), build(9, Value::Int(9), "w", "aten::relu", 0.5, false), "sizes");
    assert_eq!(base(), build(2, Value::Float(7.0), "w", "aten::relu", 0.5, false), "bounds");
    let different = [
        ("operation", build(2, Value::Int(2), "w", "aten::gelu", 0.5, false)),
        ("overload", build(2, Value::Int(2), "w", "aten::relu.out", 0.5, false)),
        ("edge", build(2, Value::Int(2), "w", "aten::relu", 0.5, true)),
        ("constant", build(2, Value::Int(2), "w", "aten::relu", 0.25, false)),
        ("parameter name", build(2, Value::Int(2), "v", "aten::relu", 0.5, false)),
    ];
    for (what, other) in &different {
        assert_ne!(&base(), other, "{what}");
    }
    assert_eq!(base().0.len(), 64);
}

#[test]
fn ancestors_and_descendants() {
    let graph = small();
    let flow = DataFlow::of(&graph);
    let (t, o) = (|i| Node::Tensor(TensorId(i)), |i| Node::Operation(OperationId(i)));
    assert_eq!(flow.ancestors(t(3)).into_iter().collect::<Vec<_>>(), [o(0), o(1), t(0), t(1), t(2)]);
    assert_eq!(flow.ancestors(t(0)).len(), 0);
    assert_eq!(flow.descendants(t(2)).into_iter().collect::<Vec<_>>(), [o(1), o(2), t(3), t(4)]);
    let reaches = |from, to| has_path_connecting(flow, from, to, None);
    assert!(reaches(t(1), t(4)) && !reaches(t(4), t(1)));
    for unknown in [t(5), t(u32::MAX), o(3), o(u32::MAX)] {
        assert!(flow.ancestors(unknown).is_empty() && flow.descendants(unknown).is_empty());
        assert!(!reaches(unknown, t(4)) && !reaches(t(0), unknown));
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::NAN), Just(-0.0)]
}

/// Any argument that takes no tensor.
fn plain() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        proptest::collection::vec(any::<bool>(), 0..3).prop_map(Value::Bools),
        any::<i64>().prop_map(Value::Int),
        proptest::collection::vec(any::<i64>(), 0..3).prop_map(Value::Ints),
        any::<i64>().prop_map(Value::Size),
        proptest::collection::vec(any::<i64>(), 0..3).prop_map(Value::Sizes),
        number().prop_map(Value::Float),
        proptest::collection::vec(number(), 0..3).prop_map(Value::Floats),
        any::<String>().prop_map(Value::Text),
        any::<String>().prop_map(Value::Other),
    ]
}

type Step = (String, Vec<Index>, Vec<Value>, usize);

/// Any graph: each operation takes earlier tensors and other arguments, and makes up to two tensors.
fn graphs() -> impl Strategy<Value = RecordedGraph> {
    let operand = proptest::collection::vec(any::<Index>(), 0..4);
    let step = ("[a-z_]{1,8}", operand, proptest::collection::vec(plain(), 0..3), 0_usize..3);
    (proptest::option::of(any::<String>()), proptest::collection::vec(step, 0..12)).prop_map(assemble)
}

fn assemble((name, steps): (Option<String>, Vec<Step>)) -> RecordedGraph {
    let mut b = Builder::new();
    b.parameter(name.as_deref().unwrap_or("w"), &[2, 3]);
    b.constant(&[]);
    let mut known = vec![b.input("x", &[1, 2])];
    for (name, operands, values, outputs) in steps {
        b.module(&name);
        let list = operands.iter().map(|i| Some(*i.get(&known))).chain([None]).collect();
        let first = operands.first().map_or(Value::None, |i| (*i.get(&known)).into());
        let mut arguments = vec![("self", first), ("tensors", Value::Tensors(list))];
        arguments.extend(values.into_iter().map(|v| ("value", v)));
        known.extend(b.record(&format!("x::{name}"), &arguments, &vec![vec![2, 1]; outputs]));
    }
    b.build()
}

/// Equality in which NaN equals itself.
fn text(graph: &RecordedGraph) -> String {
    format!("{:?} {:?}", graph.operations(), graph.tensors())
}

proptest! {
    #![proptest_config(crate::property_config!(256))]

    #[test]
    fn json_round_trip(graph in graphs()) {
        let json = to_json(&graph).unwrap();
        let again = from_json(&json).unwrap();
        prop_assert_eq!(text(&again), text(&graph));
        prop_assert_eq!(fingerprint(&again), fingerprint(&graph));
        prop_assert_eq!(to_json(&again).unwrap(), json);
    }

    #[test]
    fn damaged_files_are_errors_or_graphs(graph in graphs(), at: Index, byte: u8, cut: Index) {
        let mut bytes = to_json(&graph).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for end in [bytes.len(), cut.index(bytes.len())] {
            if let Ok(read) = from_json(&String::from_utf8_lossy(&bytes[..end])) {
                prop_assert!(toposort(DataFlow::of(&read), None).is_ok());
            }
        }
    }

    #[test]
    fn damaged_ids_are_errors_or_graphs(graph in graphs(), n in any::<u32>(), at: Index) {
        // Every number of the file is a candidate, not only those a random byte happens to hit.
        let json = to_json(&graph).unwrap();
        let numbers: Vec<(usize, &str)> =
            json.match_indices(|c: char| c.is_ascii_digit()).filter(|(i, _)| *i > 100).collect();
        if !numbers.is_empty() {
            let (i, digit) = *at.get(&numbers);
            let damaged = format!("{}{}{}", &json[..i], n % 20, &json[i + digit.len()..]);
            if let Ok(read) = from_json(&damaged) {
                prop_assert!(toposort(DataFlow::of(&read), None).is_ok());
            }
        }
    }

    #[test]
    fn any_text_is_an_error_or_a_graph(garbage in any::<String>()) {
        prop_assert!(from_json(&garbage).is_err());
    }

    #[test]
    fn topological_order_respects_every_edge(graph in graphs()) {
        let order = toposort(DataFlow::of(&graph), None).unwrap();
        let place: BTreeMap<Node, usize> = order.iter().enumerate().map(|(i, n)| (*n, i)).collect();
        prop_assert_eq!(place.len(), graph.operations().len() + graph.tensors().len());
        for operation in graph.operations() {
            let here = place[&Node::Operation(operation.id)];
            prop_assert!(operation.inputs().all(|id| place[&Node::Tensor(id)] < here));
            prop_assert!(operation.outputs.iter().all(|id| place[&Node::Tensor(*id)] > here));
        }
    }

    #[test]
    fn ancestors_mirror_descendants(graph in graphs(), a: Index, b: Index) {
        let flow = DataFlow::of(&graph);
        let order = toposort(flow, None).unwrap();
        let (a, b) = (*a.get(&order), *b.get(&order));
        prop_assert_eq!(flow.ancestors(b).contains(&a), flow.descendants(a).contains(&b));
        prop_assert_eq!(has_path_connecting(flow, a, b, None), a == b || flow.descendants(a).contains(&b));
    }
}

#[test]
fn non_finite_constants_have_a_form_in_the_file() {
    let mut b = Builder::new();
    let x = b.input("x", &[1]);
    let floats = Value::Floats(vec![f64::NEG_INFINITY, 1.5]);
    b.op(
        "aten::f",
        &[("self", x.into()), ("a", f64::INFINITY.into()), ("b", floats), ("c", f64::NAN.into())],
        &[1],
    );
    let json = to_json(&b.build()).unwrap();
    for expected in [r#"{"float":"inf"}"#, r#"{"floats":["-inf",1.5]}"#, r#"{"float":null}"#] {
        assert!(json.contains(expected), "{json}");
    }
    // NaN had a text too.
    let old = json.replace(r#"{"float":null}"#, r#"{"float":"NaN"}"#);
    assert_ne!(old, json);
    for json in [json, old] {
        let read = from_json(&json).unwrap();
        assert_eq!(read.tensor(x).unwrap().dtype, DType::Float32);
        let constant = |name| read.operations()[0].argument(name).and_then(Value::as_float);
        assert_eq!((constant("a"), constant("c").map(f64::is_nan)), (Some(f64::INFINITY), Some(true)));
    }
}
