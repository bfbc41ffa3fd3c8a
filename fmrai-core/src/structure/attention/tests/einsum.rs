//! Blocks written as Einstein sums.

use super::*;

fn block(first: &str, second: &str, token_major: bool) {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let [q, k, v] = [(); 3].map(|()| {
        let y = b.linear(x, E);
        let y = b.view(y, &[B, T, H, D]);
        if token_major { y } else { b.transpose(y, 1, 2) }
    });
    let product = b.einsum(first, q, k, &[B, H, T, T]);
    let scores = b.scale(product, 0.35);
    let probabilities = b.softmax(scores, -1);
    let shape = if token_major { [B, T, H, D] } else { [B, H, T, D] };
    let context = b.einsum(second, probabilities, v, &shape);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check(first);
}

#[test]
fn equations() {
    block("bhqd,bhkd->bhqk", "bhqk,bhkd->bhqd", false);
    block("b h q d, b h k d -> b h q k", "b h q k, b h k d -> b h q d", false);
    block("...qd,...kd->...qk", "...qk,...kd->...qd", false);
    block("bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd", true);
}

#[test]
fn operands_in_any_order() {
    let mut c = Case::new();
    let x = tokens(&mut c.b, "input_ids", T);
    let b = &mut c.b;
    let [q, k, v] = [(); 3].map(|()| project(b, x, H));
    let scores = b.einsum("bhkd,bhqd->bhqk", k, q, &[B, H, T, T]);
    let probabilities = b.softmax(scores, -1);
    let context = b.einsum("bhkd,bhqk->bhqd", v, probabilities, &[B, H, T, D]);
    c.eager(&SELF, [q, k, v], [scores, probabilities, context]);
    c.check("keys first");
}

#[test]
fn sums_over_queries_are_not_attention() {
    let mut b = Builder::new();
    let x = tokens(&mut b, "input_ids", T);
    let [q, k, v] = [(); 3].map(|()| project(&mut b, x, H));
    let scores = b.einsum("bhqd,bhkd->bhqk", q, k, &[B, H, T, T]);
    let probabilities = b.softmax(scores, -1);
    b.einsum("bhqk,bhqd->bhkd", probabilities, v, &[B, H, T, D]);
    check("summed over queries", b, &[]);
}

#[test]
fn malformed_equations_are_left_alone() {
    for equation in ["", "->", ",", "bhqd", "bhqd,bhkd->", "a,b,c->abc", "...,...->...", "é,é->é"] {
        let mut b = Builder::new();
        let x = tokens(&mut b, "input_ids", T);
        let scores = b.einsum(equation, x, x, &[B, T, T]);
        let probabilities = b.softmax(scores, -1);
        b.matmul(probabilities, x);
        check(equation, b, &[]);
    }
}
