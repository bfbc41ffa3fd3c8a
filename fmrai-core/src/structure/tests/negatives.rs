//! What looks like a feed-forward block and is none.

use super::*;

fn nothing(name: &str, build: impl FnOnce(&mut Builder, TensorId)) {
    let (found, _) = structure(build);
    assert_eq!(found.feed_forward, [], "{name}");
}

#[test]
fn results_that_do_not_return_to_the_stream() {
    nothing("prediction head", |b, x| {
        let y = b.linear(x, E);
        let y = gelu(b, y);
        let y = b.norm(y);
        b.linear(y, 100);
    });
    nothing("pooler and classifier", |b, x| {
        let first = b.slice(x, 1, 0, 1);
        let y = b.linear(first, E);
        let y = b.unary("aten::tanh", y);
        b.linear(y, 2);
    });
    nothing("squeeze and excite", |b, x| {
        let mean = b.op("aten::mean.dim", &[("self", x.into())], &[B, 1, E]);
        let y = b.linear(mean, 3);
        let y = b.unary("aten::relu", y);
        let y = b.linear(y, E);
        let gate = b.unary("aten::sigmoid", y);
        b.mul(x, gate);
    });
}

#[test]
fn other_blocks_of_the_stream() {
    nothing("attention", |b, x| {
        let y = b.norm(x);
        let y = attention(b, y);
        b.add(x, y);
    });
    nothing("gated mixer", |b, x| {
        let y = b.norm(x);
        let both = b.linear(y, 2 * N);
        let parts = b.chunk(both, 2, -1);
        let mixed = b.op("aten::cumsum", &[("self", parts[0].into()), ("dim", Value::Int(1))], &[B, T, N]);
        let gate = b.unary("aten::silu", parts[1]);
        let y = b.mul(mixed, gate);
        let y = b.linear(y, E);
        b.add(x, y);
    });
    nothing("low rank, without a function", |b, x| {
        let y = b.linear(x, 3);
        let y = b.linear(y, E);
        b.add(x, y);
    });
    nothing("convolutions with batch norm", |b, x| {
        let convolution = |b: &mut Builder, x: TensorId| {
            let weight = b.parameter("weight", &[T, T, 3]);
            let y = b.op("aten::conv1d", &[("input", x.into()), ("weight", weight.into())], &[B, T, E]);
            b.op("aten::batch_norm", &[("input", y.into())], &[B, T, E])
        };
        let y = convolution(b, x);
        let y = b.unary("aten::relu", y);
        let y = convolution(b, y);
        b.add(y, x);
    });
}

#[test]
fn sums_that_are_no_stream() {
    let (found, _) = structure(|b, x| {
        let (a, c) = (b.linear(x, E), b.linear(x, E));
        let y = b.add(a, c);
        let position = b.parameter("position", &[T, E]);
        let y = b.add(y, position);
        let shifted = b.scale(y, 2.0);
        b.add(y, shifted);
    });
    assert_eq!(found.residual, []);
}
