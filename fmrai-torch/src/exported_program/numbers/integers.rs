//! Arithmetic of integers.

use super::function::Function;
use super::number::Number;
use super::reals;

/// A function of two integers, exact or an error.
pub(super) fn arithmetic(function: Function, a: i64, b: i64) -> Result<Number, String> {
    let overflow = || format!("{function:?} of {a} and {b} is beyond 64 bits");
    let zero = || Err(format!("{function:?} of {a} by zero"));
    let whole = match function {
        Function::Add => a.checked_add(b),
        Function::Subtract => a.checked_sub(b),
        Function::Multiply => a.checked_mul(b),
        Function::FloorDivide | Function::Modulo | Function::Divide if b == 0 => return zero(),
        Function::Divide => return Ok(Number::Float(quotient(a, b))),
        // Rounds towards minus infinity, and the rest has the sign of the divisor.
        Function::FloorDivide => {
            let (quotient, rest) = (a.checked_div(b), a.checked_rem(b).unwrap_or(0));
            quotient.map(|q| if rest != 0 && (rest < 0) != (b < 0) { q - 1 } else { q })
        }
        Function::Modulo => {
            let rest = a.checked_rem(b).unwrap_or(0);
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Function::Power if b >= 0 => power(a, b),
        Function::Power => return reals::arithmetic(function, real(a), real(b)).map(Number::Float),
        Function::And => Some(a & b),
        Function::Or => Some(a | b),
        Function::Xor => Some(a ^ b),
        Function::ShiftLeft | Function::ShiftRight if b < 0 => {
            return Err(format!("{function:?} of {a} by {b}, which is negative"));
        }
        Function::ShiftLeft => shifted(a, b),
        Function::ShiftRight => Some(a >> b.min(63)),
        Function::Round => return rounded(a, b).ok_or_else(overflow).map(Number::Int),
        _ => return Err(format!("two integers are given to {function:?}")),
    };
    whole.map(Number::Int).ok_or_else(overflow)
}

/// The sum; what comes between may be beyond 64 bits.
pub(super) fn sum(terms: &[i64]) -> Result<Number, String> {
    let sum: i128 = terms.iter().copied().map(i128::from).sum();
    i64::try_from(sum).map(Number::Int).map_err(|_| format!("the sum {sum} is beyond 64 bits"))
}

#[expect(clippy::cast_precision_loss, reason = "Python does the same")]
fn real(value: i64) -> f64 {
    value as f64
}

fn power(base: i64, exponent: i64) -> Option<i64> {
    match (base, exponent) {
        (_, 0) | (1, _) => Some(1),
        (0, _) => Some(0),
        (-1, exponent) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

fn shifted(value: i64, by: i64) -> Option<i64> {
    if value == 0 {
        return Some(0);
    }
    let by = u32::try_from(by).ok().filter(|by| *by < 64)?;
    i64::try_from(i128::from(value) << by).ok()
}

/// The quotient, rounded once: integers beyond 2^53 are not rounded before they are divided.
#[expect(clippy::cast_precision_loss, reason = "the conversion is the one rounding")]
fn quotient(a: i64, b: i64) -> f64 {
    let (above, below) = (u128::from(a.unsigned_abs()), u128::from(b.unsigned_abs()));
    if above == 0 {
        return if b < 0 { -0.0 } else { 0.0 };
    }
    // At least 60 binary digits of the quotient, and whether anything is left, decide how it is rounded.
    let shift = (60 + below.ilog2()).saturating_sub(above.ilog2());
    let scaled = above << shift;
    let digits = scaled / below;
    let digits = if scaled.is_multiple_of(below) { digits } else { digits | 1 };
    let shift = i32::try_from(shift).unwrap_or(0);
    let size = digits as f64 * 2f64.powi(-shift);
    if (a < 0) == (b < 0) { size } else { -size }
}

/// Rounded to a power of ten where `digits` is negative, ties to even.
fn rounded(value: i64, digits: i64) -> Option<i64> {
    if digits >= 0 {
        return Some(value);
    }
    let Some(unit) = u32::try_from(-digits).ok().and_then(|n| 10i128.checked_pow(n)) else { return Some(0) };
    let (value, half) = (i128::from(value), unit / 2);
    let (down, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let up = rest > half || (rest == half && down % 2 != 0);
    i64::try_from((down + i128::from(up)) * unit).ok()
}
