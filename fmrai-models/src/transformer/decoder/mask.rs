//! Which tokens a token sees.

use tch::{Kind, TchError, Tensor};

use crate::transformer::modules::lowest;

/// What is added to attention scores, `[batch, 1, query, key]` of `kind`: 0 where the query sees the key, the lowest
/// finite number elsewhere.
///
/// A query sees the keys up to its own place that are no padding, with a `window` only that many of the last of them,
/// itself included. `mask` `[batch, key]` of int64 is 1 for tokens and 0 for padding; the queries are the last
/// `queries` of the keys.
///
/// A query that would see nothing, as one of padding with padding alone in its window or before it, sees itself. Were all its keys lowered, the
/// sums would overflow to -infinity in float16 and its probabilities be NaN, which 0 times NaN carries on to the tokens of
/// the next layer. No token is such a query, so what tokens get is what they get alone.
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
    let seen = seen.f_logical_and(&tokens)?;
    let nothing = seen.f_any_dim(-1, true)?.f_logical_not()?;
    let seen = seen.f_logical_or(&nothing.f_logical_and(&distance.f_eq(0)?)?)?;
    seen.f_logical_not()?.f_to_kind(kind)?.f_mul_scalar(lowest(kind))
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

    #[test]
    fn a_query_of_padding_with_nothing_else_in_sight_sees_itself() {
        let (t, f) = (true, false);
        assert_eq!(seen(&[1, 0, 0], 3, Some(2)), [[t, f, f], [t, f, f], [f, f, t]]);
        assert_eq!(seen(&[0, 0, 1], 3, None), [[t, f, f], [f, t, f], [f, f, t]]);
        assert_eq!(seen(&[0, 0], 2, None), [[t, f], [f, t]]);
    }

    #[test]
    fn no_row_of_sums_is_without_a_finite_one() {
        let mask = Tensor::from_slice2(&[&[1i64, 0, 0, 0], &[0, 0, 0, 1], &[0, 0, 0, 0]]);
        for kind in [Kind::Half, Kind::BFloat16, Kind::Float, Kind::Double] {
            let added = additive(&mask, 4, Some(2), kind).unwrap();
            let scores = Tensor::full([3, 1, 4, 4], -100.0, (kind, tch::Device::Cpu));
            let largest = (scores + added).amax([-1], false);
            assert!(bool::try_from(largest.isfinite().all()).unwrap(), "{kind:?}");
        }
    }
}
