//! Which tokens a token sees.

use tch::{Kind, TchError, Tensor};

use crate::model::hf_checkpoint::modules::lowest;

/// What is added to attention scores, `[batch, 1, query, key]` of `kind`: 0 where the query sees the key, the lowest
/// finite number elsewhere.
///
/// A query sees the keys up to its own place that are no padding, with a `window` only that many of the last of them,
/// itself included. `mask` `[batch, key]` of int64 is 1 for tokens and 0 for padding; the queries are the last
/// `queries` of the keys. It is finite so that a row without any token gets equal probabilities, not NaN.
pub(crate) fn additive(
    mask: &Tensor,
    queries: i64,
    window: Option<i64>,
    kind: Kind,
) -> Result<Tensor, TchError> {
    let keys = mask.size().last().copied().unwrap_or(0);
    let integers = (Kind::Int64, mask.device());
    let query = Tensor::f_arange_start(keys - queries, keys, integers)?.f_unsqueeze(1)?;
    let distance = query.f_sub(&Tensor::f_arange_start(0, keys, integers)?)?;
    let mut seen = distance.f_ge(0)?;
    if let Some(window) = window {
        seen = seen.f_logical_and(&distance.f_lt(window)?)?;
    }
    let tokens = mask.f_to_kind(Kind::Bool)?.f_unsqueeze(1)?.f_unsqueeze(1)?;
    seen.f_logical_and(&tokens)?.f_logical_not()?.f_to_kind(kind)?.f_mul_scalar(lowest(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(mask: &[i64], queries: i64, window: Option<i64>) -> Vec<Vec<bool>> {
        let mask = Tensor::from_slice(mask).unsqueeze(0);
        let added = additive(&mask, queries, window, Kind::Float).unwrap();
        let keys = mask.size()[1];
        assert_eq!(added.size(), [1, 1, queries, keys]);
        let row = |q: i64| (0..keys).map(|k| added.double_value(&[0, 0, q, k]) == 0.0).collect();
        (0..queries).map(row).collect()
    }

    #[test]
    fn a_query_sees_the_tokens_up_to_its_own() {
        let (t, f) = (true, false);
        assert_eq!(seen(&[1, 1, 1], 3, None), [[t, f, f], [t, t, f], [t, t, t]]);
        assert_eq!(seen(&[1, 1, 0], 3, None), [[t, f, f], [t, t, f], [t, t, f]]);
        assert_eq!(seen(&[1, 1, 1], 3, Some(2)), [[t, f, f], [t, t, f], [f, t, t]]);
        assert_eq!(seen(&[1, 1, 1, 1], 1, Some(3)), [[f, t, t, t]]);
    }
}
