//! Mixtures of experts.

use super::*;

#[test]
fn gathered_weights_beside_a_shared_expert() {
    let (found, graph) = structure(|b, x| {
        let input = b.norm(x);
        let logits = b.linear(input, 4);
        let p = b.softmax(logits, -1);
        let top = b.record(
            "aten::topk",
            &[("self", p.into()), ("k", Value::Int(1))],
            &[vec![B, T, 1], vec![B, T, 1]],
        );
        let chosen = b.view(top[1], &[B * T]);
        let gather = |b: &mut Builder, shape: [i64; 3]| {
            let experts = b.parameter("experts", &shape);
            let list = Value::Tensors(vec![Some(chosen)]);
            b.op(
                "aten::index.Tensor",
                &[("self", experts.into()), ("indices", list)],
                &[B * T, shape[1], shape[2]],
            )
        };
        let rows = b.view(input, &[B * T, E, 1]);
        let up = gather(b, [4, N, E]);
        let y = b.bmm(up, rows);
        let y = b.unary("aten::relu", y);
        let down = gather(b, [4, E, N]);
        let y = b.bmm(down, y);
        let y = b.view(y, &[B, T, E]);
        let routed = b.mul(y, top[0]);
        let shared = b.linear(input, N);
        let shared = gelu(b, shared);
        let shared = b.linear(shared, E);
        let both = b.add(routed, shared);
        b.add(x, both);
    });
    let roles: Vec<_> = found.feed_forward.iter().map(|f| (f.role(), f.layer, f.experts)).collect();
    let experts = Experts { count: 4, index: None };
    assert_eq!(roles, [("ffn", 0, Some(experts)), ("shared_expert", 0, None)]);
    let (keys, values) = (found.feed_forward[0].keys, found.feed_forward[0].values);
    assert_eq!((keys.expert_axis, keys.axis, values.axis), (Some(0), 1, 2));
    assert_eq!(Structure::with_coverage(&graph).1.left_over_operations, []);
}

#[test]
fn experts_one_after_another() {
    let (found, _) = structure(|b, x| {
        let input = b.norm(x);
        let flat = b.view(input, &[B * T, E]);
        let mut sum = b.op("aten::zeros_like", &[("self", flat.into())], &[B * T, E]);
        for _ in 0..3 {
            let rows = b.ids("rows", &[4]);
            let list = Value::Tensors(vec![Some(rows)]);
            let taken = b.op("aten::index.Tensor", &[("self", flat.into()), ("indices", list)], &[4, E]);
            let y = b.linear(taken, N);
            let y = b.unary("aten::silu", y);
            let y = b.linear(y, E);
            let arguments =
                [("self", sum.into()), ("dim", Value::Int(0)), ("index", rows.into()), ("source", y.into())];
            sum = b.op("aten::index_add_", &arguments, &[B * T, E]);
        }
        let y = b.view(sum, &[B, T, E]);
        b.add(x, y);
    });
    let experts: Vec<_> = found.feed_forward.iter().map(|f| (f.role(), f.layer, f.experts)).collect();
    let expert = |i| ("expert", i, Some(Experts { count: 3, index: Some(i) }));
    assert_eq!(experts, [expert(0), expert(1), expert(2)]);
    assert_eq!(found.residual.len(), 1);
}
