//! Forms of feed-forward blocks and their functions.

use super::*;
use crate::graph::Graph;

#[test]
fn plain_block_with_dropout_and_cast() {
    let mut ids = Vec::new();
    let (found, _) = structure(|b, x| {
        let input = b.norm(x);
        let pre = b.linear(input, N);
        let a = gelu(b, pre);
        let a = b.dropout(a);
        let a = b.cast(a);
        let output = b.linear(a, E);
        let y = b.dropout(output);
        let sum = b.add(y, x);
        ids = vec![input, pre, a, output, sum];
    });
    let block = only(&found);
    assert_eq!([block.input, block.pre_activation, block.activation, block.output], ids[..4]);
    assert_eq!((block.kind, block.function), (FeedForwardKind::Plain, ActivationFunction::Gelu));
    assert_eq!((block.neurons, block.keys.axis, block.values.axis, block.linear), (20, 0, 1, None));
    assert_eq!(block.operations.len(), 5);
    assert_eq!(found.residual[0].after, ids[4]);
    assert_eq!(found.residual[0].writers, [Writer::FeedForward(0)]);
}

#[test]
fn conv1d_weights_have_neurons_on_the_other_axis() {
    let (found, _) = structure(|b, x| {
        let input = b.norm(x);
        let dense = |b: &mut Builder, x: TensorId, from: i64, to: i64| {
            let flat = b.view(x, &[B * T, from]);
            let (bias, weight) = (b.parameter("bias", &[to]), b.parameter("weight", &[from, to]));
            let arguments = [("self", bias.into()), ("mat1", flat.into()), ("mat2", weight.into())];
            let y = b.op("aten::addmm", &arguments, &[B * T, to]);
            b.view(y, &[B, T, to])
        };
        let pre = dense(b, input, E, N);
        // gelu_new, written out
        let cube =
            b.op("aten::pow.Tensor_Scalar", &[("self", pre.into()), ("exponent", 3.0.into())], &[B, T, N]);
        let cube = b.scale(cube, 0.044_715);
        let inner = b.add(pre, cube);
        let inner = b.scale(inner, (2.0 / std::f64::consts::PI).sqrt());
        let tanh = b.unary("aten::tanh", inner);
        let one = b.scalar("aten::add.Tensor", tanh, 1.0);
        let half = b.scale(pre, 0.5);
        let a = b.mul(half, one);
        let y = dense(b, a, N, E);
        b.add(x, y);
    });
    let block = only(&found);
    assert_eq!((block.keys.axis, block.values.axis), (1, 0));
    assert_eq!((block.function, block.neurons), (ActivationFunction::GeluTanh, 20));
}

#[test]
fn gate_and_keys_in_one_weight() {
    for gate_first in [true, false] {
        let (found, _) = structure(|b, x| {
            let input = b.norm(x);
            let both = b.linear(input, 2 * N);
            let parts = b.chunk(both, 2, -1);
            let (gate, up) = if gate_first { (parts[0], parts[1]) } else { (parts[1], parts[0]) };
            let sigmoid = b.unary("aten::sigmoid", gate);
            let silu = b.mul(gate, sigmoid);
            let a = b.mul(up, silu);
            let y = b.linear(a, E);
            b.add(x, y);
        });
        let block = only(&found);
        let gate = block.gate.unwrap();
        assert_eq!((block.kind, block.function), (FeedForwardKind::Gated, ActivationFunction::Silu));
        let (first, second) = if gate_first { (gate, block.keys) } else { (block.keys, gate) };
        assert_eq!((first.weight, first.start, second.start), (second.weight, 0, 20));
        assert_eq!(block.neurons, 20);
    }
}

#[test]
fn separate_gate_is_the_one_with_the_function() {
    let mut wanted = Vec::new();
    let (found, graph) = structure(|b, x| {
        let input = b.norm(x);
        let up = b.linear(input, N);
        let gate = b.linear(input, N);
        let a = gelu(b, gate);
        let a = b.mul(a, up);
        let y = b.linear(a, E);
        b.add(x, y);
        wanted = vec![gate, up, a];
    });
    let block = only(&found);
    assert_eq!([block.pre_activation, block.linear.unwrap(), block.activation], wanted[..]);
    let weight = |id: TensorId| graph.producer(id).unwrap().tensor("weight");
    assert_eq!(Some(block.keys.weight), weight(wanted[1]));
    assert_eq!(Some(block.gate.unwrap().weight), weight(wanted[0]));
}

/// What is put between the two linear maps.
type Function<'a> = &'a dyn Fn(&mut Builder, TensorId) -> TensorId;

#[test]
fn functions_are_told_by_their_values() {
    let quick = |b: &mut Builder, x| {
        let scaled = b.scale(x, 1.702);
        let s = b.unary("aten::sigmoid", scaled);
        b.mul(x, s)
    };
    let squared = |b: &mut Builder, x| {
        let y = b.unary("aten::relu", x);
        b.unary("aten::square", y)
    };
    let erf = |b: &mut Builder, x| {
        let y = b.scalar("aten::div.Tensor", x, std::f64::consts::SQRT_2);
        let y = b.unary("aten::erf", y);
        let y = b.scalar("aten::add.Tensor", y, 1.0);
        let half = b.scale(x, 0.5);
        b.mul(half, y)
    };
    let unknown = |b: &mut Builder, x| b.unary("aten::tanhshrink", x);
    let cases: [(Function<'_>, ActivationFunction); 4] = [
        (&quick, ActivationFunction::QuickGelu),
        (&squared, ActivationFunction::ReluSquared),
        (&erf, ActivationFunction::Gelu),
        (&unknown, ActivationFunction::Other),
    ];
    for (function, name) in cases {
        let (found, _) = structure(|b, x| {
            let y = b.linear(x, N);
            let y = function(b, y);
            let y = b.linear(y, E);
            let y = b.add(y, x);
            b.norm(y);
        });
        assert_eq!(only(&found).function, name);
    }
}

#[test]
fn names_of_functions_are_those_that_are_serialized() {
    for function in [ActivationFunction::GeluTanh, ActivationFunction::HardSwish, ActivationFunction::Relu6] {
        assert_eq!(serde_json::to_value(function).unwrap(), function.name());
    }
}
