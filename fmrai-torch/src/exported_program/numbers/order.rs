//! Which of two numbers is larger, exactly: no integer is rounded to be compared.

use std::cmp::Ordering;

use super::number::Number;

/// 2^63, the first number that no integer of 64 bits reaches.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// The order of two numbers; `None` if one is NaN.
pub(super) fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a.widened(), b.widened()) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (Number::Int(a), b) => with_real(a, b.real()),
        (a, Number::Int(b)) => with_real(b, a.real()).map(Ordering::reverse),
        (a, b) => a.real().partial_cmp(&b.real()),
    }
}

fn with_real(whole: i64, real: f64) -> Option<Ordering> {
    if real.is_nan() {
        None
    } else if real >= BEYOND {
        Some(Ordering::Less)
    } else if real < -BEYOND {
        Some(Ordering::Greater)
    } else {
        let floor = real.floor();
        #[expect(clippy::cast_possible_truncation, reason = "a whole number from -2^63 to below 2^63")]
        let below = floor as i64;
        Some(whole.cmp(&below).then(if real > floor { Ordering::Less } else { Ordering::Equal }))
    }
}
