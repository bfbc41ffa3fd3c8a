//! Streams, norms, and the two ends of a model.

use super::*;

/// Where each addition comes from, by the kinds of its writers.
fn writers(found: &Structure) -> Vec<String> {
    let name = |w: &Writer| match w {
        Writer::Attention(i) => format!("a{i}"),
        Writer::FeedForward(i) => format!("f{i}"),
        Writer::Other => "other".to_owned(),
    };
    found.residual.iter().map(|r| r.writers.iter().map(name).collect::<Vec<_>>().join("+")).collect()
}

fn mlp(b: &mut Builder, x: TensorId) -> TensorId {
    let y = b.linear(x, N);
    let y = gelu(b, y);
    b.linear(y, E)
}

#[test]
fn before_after_and_in_parallel() {
    let (pre, graph) = structure(|b, mut x| {
        for _ in 0..2 {
            let y = b.norm(x);
            let y = attention(b, y);
            x = b.add(x, y);
            x = layer(b, x);
        }
        b.norm(x);
    });
    assert_eq!(writers(&pre), ["a0", "f0", "a1", "f1"]);
    assert!(pre.residual.windows(2).all(|w| w[0].after == w[1].before && w[0].stream == w[1].stream));
    assert_eq!(Structure::with_coverage(&graph).1.left_over, std::collections::BTreeMap::new());
    let (post, _) = structure(|b, mut x| {
        for _ in 0..2 {
            let y = attention(b, x);
            let y = b.add(y, x);
            x = b.norm(y);
            let y = mlp(b, x);
            let y = b.add(y, x);
            x = b.norm(y);
        }
    });
    assert_eq!(writers(&post), ["a0", "f0", "a1", "f1"]);
    let norm = |id| post.norms.iter().find(|n| n.input == id).map(|n| n.output);
    assert_eq!(norm(post.residual[0].after), Some(post.residual[1].before));
    let (neox, _) = structure(|b, x| {
        let (y, z) = (b.norm(x), b.norm(x));
        let (y, z) = (attention(b, y), mlp(b, z));
        let both = b.add(z, y);
        b.add(both, x);
    });
    assert_eq!(writers(&neox), ["a0+f0"]);
    let (cohere, _) = structure(|b, x| {
        let y = b.norm(x);
        let (a, m) = (attention(b, y), mlp(b, y));
        let x = b.add(x, a);
        b.add(x, m);
    });
    assert_eq!(writers(&cohere), ["a0", "f0"]);
}

#[test]
fn norms_of_what_is_written() {
    let (found, _) = structure(|b, x| {
        let y = b.norm(x);
        let y = mlp(b, y);
        let y = b.norm(y);
        b.add(x, y);
    });
    assert_eq!(writers(&found), ["f0"]);
}

#[test]
fn written_out_norm() {
    let mut wanted = Vec::new();
    let (found, _) = structure(|b, x| {
        let cast = b.cast(x);
        let squares =
            b.op("aten::pow.Tensor_Scalar", &[("self", cast.into()), ("exponent", 2.0.into())], &[B, T, E]);
        let mean =
            b.op("aten::mean.dim", &[("self", squares.into()), ("dim", Value::Ints(vec![-1]))], &[B, T, 1]);
        let sum = b.scalar("aten::add.Tensor", mean, 1e-6);
        let root = b.unary("aten::rsqrt", sum);
        let y = b.mul(cast, root);
        let back = b.cast(y);
        let weight = b.parameter("weight", &[E]);
        let output = b.mul(weight, back);
        let y = mlp(b, output);
        b.add(x, y);
        wanted = vec![x, output, weight];
    });
    let [norm] = found.norms.as_slice() else { panic!("{:?}", found.norms) };
    assert_eq!((norm.kind, norm.eps), (NormKind::Rms, Some(1e-6)));
    assert_eq!([norm.input, norm.output, norm.weight.unwrap()], wanted[..]);
    assert_eq!(norm.operations.len(), 8);
    assert_eq!(found.residual[0].before, wanted[0]);
}

#[test]
fn both_ends() {
    let mut b = Builder::new();
    let ids = b.ids("input_ids", &[B, T]);
    let table = b.parameter("table", &[100, E]);
    let x = b.op("aten::embedding", &[("weight", table.into()), ("indices", ids.into())], &[B, T, E]);
    let range = b.op("aten::arange", &[("end", Value::Size(T))], &[T]);
    let positions = b.embedding(range, E);
    let segments = b.ids("token_type_ids", &[B, T]);
    let types = b.parameter("types", &[2, E]);
    let z = b.op("aten::embedding", &[("weight", types.into()), ("indices", segments.into())], &[B, T, E]);
    let x = b.add(x, z);
    let x = b.add(x, positions);
    let x = layer(&mut b, x);
    let x = b.norm(x);
    let arguments = [("input", x.into()), ("weight", table.into()), ("bias", Value::None)];
    let logits = b.op("aten::linear", &arguments, &[B, T, 100]);
    let first = b.slice(x, 1, 0, 1);
    let classes = b.linear(first, 3);
    let found = Structure::of(&b.build());
    let kinds: Vec<_> = found.embeddings.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [EmbeddingKind::Token, EmbeddingKind::Position, EmbeddingKind::TokenType]);
    let ends: Vec<_> = found.unembedding.iter().map(|u| (u.role(), u.output, u.size, u.tied)).collect();
    assert_eq!(ends, [("unembedding", logits, 100, true), ("head", classes, 3, false)]);
    assert_eq!(
        found.residual[0].before,
        found.components().iter().find(|b| b.role == "addition").unwrap().parts[0].1
    );
    let roles: Vec<_> = found.components().iter().map(|b| b.role).collect();
    let wanted =
        ["ffn", "norm", "norm", "embedding", "embedding", "embedding", "unembedding", "head", "addition"];
    assert_eq!(roles, wanted);
}

#[test]
fn deep_models_and_json() {
    let (found, graph) = structure(|b, mut x| {
        for _ in 0..4000 {
            x = layer(b, x);
        }
    });
    assert_eq!((found.feed_forward.len(), found.residual.len(), found.norms.len()), (4000, 4000, 4000));
    assert_eq!(found.residual.last().unwrap().stream, 0);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Structure>(&text).unwrap(), found);
    let (_, coverage) = Structure::with_coverage(&graph);
    assert_eq!(coverage.understood(), coverage.operations);
}
