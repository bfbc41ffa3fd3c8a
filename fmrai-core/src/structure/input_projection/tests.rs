//! Projections of blocks built by hand.

use crate::graph::TensorId;
use crate::graph::testing::Builder;
use crate::structure::Structure;

use super::{HeadProjection, InputProjections, input_projections};

const B: i64 = 2;
const T: i64 = 5;
const H: i64 = 4;
const D: i64 = 6;
const E: i64 = H * D;

fn tokens(b: &mut Builder) -> TensorId {
    let ids = b.ids("input_ids", &[B, T]);
    b.embedding(ids, E)
}

/// Heads split off: `[batch, head, token, channel]`.
fn split(b: &mut Builder, x: TensorId, heads: i64) -> TensorId {
    let x = b.view(x, &[B, T, heads, D]);
    b.transpose(x, 1, 2)
}

/// `x · cos + rotated(x) · sin`, over the last axis.
fn rotate(b: &mut Builder, x: TensorId, sine_first: bool) -> TensorId {
    let width = *b.shape(x).last().unwrap();
    let angles = b.constant(&[T, width]);
    let [cos, sin] = ["aten::cos", "aten::sin"].map(|name| b.unary(name, angles));
    let halves = b.chunk(x, 2, -1);
    let minus = b.unary("aten::neg", halves[1]);
    let turned = b.cat(&[minus, halves[0]], -1);
    let [straight, turned] = [b.mul(x, cos), b.mul(turned, sin)];
    if sine_first { b.add(turned, straight) } else { b.add(straight, turned) }
}

/// What was found of the only block, which reads the tokens.
fn found(build: impl FnOnce(&mut Builder, TensorId) -> [TensorId; 3]) -> InputProjections {
    let mut b = Builder::new();
    let x = tokens(&mut b);
    let [q, k, v] = build(&mut b, x);
    let [context, _] = b.sdpa(q, k, v, b.shape(k)[1] != H);
    let y = b.transpose(context, 1, 2);
    let y = b.view(y, &[B, T, E]);
    let y = b.linear(y, E);
    b.add(x, y);
    let graph = b.build();
    let structure = Structure::of(&graph);
    let mut found = input_projections(&graph, &structure);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// The first channels of all heads.
fn firsts(found: &Option<HeadProjection>) -> Vec<usize> {
    let found = found.as_ref().unwrap();
    for channels in &found.channels {
        assert_eq!(channels.len(), D as usize);
        assert!(channels.windows(2).all(|pair| pair[1] == pair[0] + 1), "{channels:?}");
    }
    found.channels.iter().map(|channels| channels[0]).collect()
}

#[test]
fn maps_of_their_own_with_rotation_and_shared_keys() {
    for sine_first in [false, true] {
        let found = found(|b, x| {
            let [q, k, v] = [H, 2, 2].map(|heads| {
                let y = b.linear(x, heads * D);
                split(b, y, heads)
            });
            let [q, k] = [b.norm(q), b.norm(k)];
            let [q, k] = [rotate(b, q, sine_first), rotate(b, k, sine_first)];
            [q, k, v]
        });
        assert_eq!(firsts(&found.query), [0, 6, 12, 18]);
        assert_eq!(firsts(&found.key), [0, 0, 6, 6]);
        assert_eq!(firsts(&found.value), [0, 0, 6, 6]);
        assert_eq!(found.value.as_ref().map(|v| (v.axis, v.size)), Some((0, E as usize)));
    }
}

#[test]
fn a_joint_map_is_split_behind_its_bias() {
    let found = found(|b, x| {
        let y = b.linear(x, 3 * E);
        let bias = b.parameter("bias", &[3 * E]);
        let y = b.add(y, bias);
        let parts = b.chunk(y, 3, -1);
        [0, 1, 2].map(|part| split(b, parts[part], H))
    });
    assert_eq!(firsts(&found.query), [0, 6, 12, 18]);
    assert_eq!(firsts(&found.key), [24, 30, 36, 42]);
    assert_eq!(firsts(&found.value), [48, 54, 60, 66]);
    assert_eq!(found.query.map(|q| q.weight), found.value.map(|v| v.weight));
}

#[test]
fn heads_of_a_joint_map_may_take_turns_and_be_rotated_in_part() {
    let found = found(|b, x| {
        let y = b.linear(x, 3 * E);
        let y = b.view(y, &[B, T, H, 3 * D]);
        let y = b.transpose(y, 1, 2);
        let [q, k, v] = [0, 1, 2].map(|part| b.slice(y, -1, part * D, (part + 1) * D));
        let partly = |b: &mut Builder, x| {
            let [turned, left] = [b.slice(x, -1, 0, 4), b.slice(x, -1, 4, D)];
            let turned = rotate(b, turned, false);
            b.cat(&[turned, left], -1)
        };
        [partly(b, q), partly(b, k), v]
    });
    assert_eq!(firsts(&found.query), [0, 18, 36, 54]);
    assert_eq!(firsts(&found.key), [6, 24, 42, 60]);
    assert_eq!(firsts(&found.value), [12, 30, 48, 66]);
}

#[test]
fn shared_keys_may_be_repeated_before_the_product() {
    let found = found(|b, x| {
        let [q, k, v] = [H, 2, 2].map(|heads| {
            let y = b.linear(x, heads * D);
            split(b, y, heads)
        });
        let [k, v] = [k, v].map(|x| {
            let x = b.unsqueeze(x, 2);
            let x = b.expand(x, &[B, 2, 2, T, D]);
            b.view(x, &[B, H, T, D])
        });
        [q, k, v]
    });
    assert_eq!(firsts(&found.key), [0, 0, 6, 6]);
}

#[test]
fn rotations_of_complex_numbers_keep_their_channels() {
    let found = found(|b, x| {
        let [q, k, v] = [(); 3].map(|()| {
            let y = b.linear(x, E);
            split(b, y, H)
        });
        let [q, k] = [q, k].map(|x| {
            let pairs = b.view(x, &[B, H, T, D / 2, 2]);
            let complex = b.op("aten::view_as_complex", &[("self", pairs.into())], &[B, H, T, D / 2]);
            let angles = b.constant(&[T, D / 2]);
            let turned = b.mul(complex, angles);
            let real = b.op("aten::view_as_real", &[("self", turned.into())], &[B, H, T, D / 2, 2]);
            b.view(real, &[B, H, T, D])
        });
        [q, k, v]
    });
    assert_eq!(firsts(&found.query), [0, 6, 12, 18]);
}

#[test]
fn a_weight_that_keeps_heads_apart_is_not_understood() {
    let found = found(|b, x| {
        let weight = b.parameter("weight", &[H, E, D]);
        let q = b.einsum("bte,hed->bhtd", x, weight, &[B, H, T, D]);
        let k = b.linear(x, E);
        let v = b.linear(x, E);
        [q, split(b, k, H), split(b, v, H)]
    });
    assert!(found.query.is_none());
    assert!(found.key.is_some() && found.value.is_some());
    assert_ne!(found, InputProjections::default());
}
