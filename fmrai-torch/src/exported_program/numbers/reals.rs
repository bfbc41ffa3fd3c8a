//! Arithmetic of real numbers.

use super::function::{Function, RealFunction};

/// A function of two real numbers.
pub(super) fn arithmetic(function: Function, a: f64, b: f64) -> Result<f64, String> {
    if b == 0.0 && matches!(function, Function::Divide | Function::FloorDivide | Function::Modulo) {
        return Err(format!("{function:?} of {a} by zero"));
    }
    Ok(match function {
        Function::Add => a + b,
        Function::Subtract => a - b,
        Function::Multiply => a * b,
        Function::Divide => a / b,
        Function::FloorDivide => divided(a, b).0,
        Function::Modulo => divided(a, b).1,
        Function::Power => return power(a, b),
        _ => return Err(format!("two real numbers are given to {function:?}")),
    })
}

/// `a // b` and `a % b`, as CPython's `float_divmod` has them: the quotient is made of the exact rest, since `(a / b).floor()`
/// is one too many where `a / b` is rounded up to a whole number.
fn divided(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    let whole = if quotient == 0.0 {
        0f64.copysign(a / b)
    } else {
        let floor = quotient.floor();
        if quotient - floor > 0.5 { floor + 1.0 } else { floor }
    };
    (whole, rest)
}

/// `a ** b`.
fn power(a: f64, b: f64) -> Result<f64, String> {
    if a == 0.0 && b < 0.0 {
        return Err(format!("{a} cannot be raised to the negative power {b}"));
    }
    if a.is_finite() && a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return Err(format!("{a} to the power of {b} is a complex number"));
    }
    in_range(&[a, b], a.powf(b), &format!("{a} to the power of {b}"))
}

/// `math.pow(a, b)`.
pub(super) fn math_pow(a: f64, b: f64) -> Result<f64, String> {
    // The one case in which an infinite exponent raises an exception for `**` too is that of zero.
    if a == 0.0 && b == f64::NEG_INFINITY { Ok(f64::INFINITY) } else { power(a, b) }
}

/// `round(a, digits)`: the decimal number of so many digits that is nearest, ties to even.
pub(super) fn round_to(a: f64, digits: i64) -> Result<f64, String> {
    if !a.is_finite() || a == 0.0 || digits > 323 {
        return Ok(a);
    }
    if digits < -308 {
        return Ok(0f64.copysign(a));
    }
    let wrong = || format!("{a} cannot be rounded to {digits} digits");
    if let Ok(digits) = usize::try_from(digits) {
        return format!("{a:.digits$}").parse().map_err(|_| wrong());
    }
    // To tens, hundreds, ...: on the digits of the whole part; what comes after them only breaks a tie.
    let whole = format!("{:.0}", a.trunc().abs());
    let dropped = usize::try_from(-digits).map_err(|_| wrong())?;
    let padded = format!("{whole:0>width$}", width = dropped + 1);
    let (kept, rest) = padded.split_at(padded.len() - dropped);
    let half = format!("5{}", "0".repeat(dropped - 1));
    let odd = kept.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let up = rest > half.as_str() || (rest == half && (a.fract() != 0.0 || odd));
    let zeros = "0".repeat(dropped);
    let kept = if up { plus_one(kept) } else { kept.to_owned() };
    let size: f64 = format!("{kept}{zeros}").parse().map_err(|_| wrong())?;
    in_range(&[a], size.copysign(a), &format!("{a} rounded to {digits} digits"))
}

/// The decimal number that follows.
fn plus_one(number: &str) -> String {
    let nines = number.len() - number.trim_end_matches('9').len();
    let (head, _) = number.split_at(number.len() - nines);
    let mut next = head.to_owned();
    match next.pop() {
        None => next.push('1'),
        Some(digit) => next.push(char::from_digit(digit.to_digit(10).unwrap_or(0) + 1, 10).unwrap_or('0')),
    }
    next + &"0".repeat(nines)
}

/// A function of `math`.
pub(super) fn of_one(function: RealFunction, a: f64) -> Result<f64, String> {
    let value = match function {
        RealFunction::Sqrt => a.sqrt(),
        RealFunction::Sin => a.sin(),
        RealFunction::Cos => a.cos(),
        RealFunction::Tan => a.tan(),
        RealFunction::Sinh => a.sinh(),
        RealFunction::Cosh => a.cosh(),
        RealFunction::Tanh => a.tanh(),
        RealFunction::Asin => a.asin(),
        RealFunction::Acos => a.acos(),
        RealFunction::Atan => a.atan(),
        RealFunction::Log2 => a.log2(),
    };
    in_range(&[a], value, &format!("{function:?} of {a}"))
}

/// The value, unless it is NaN or infinite and no operand is: Python raises an exception then.
fn in_range(operands: &[f64], value: f64, what: &str) -> Result<f64, String> {
    if value.is_nan() && !operands.iter().any(|x| x.is_nan()) {
        Err(format!("{what} is not defined"))
    } else if value.is_infinite() && operands.iter().all(|x| x.is_finite()) {
        Err(format!("{what} is beyond the largest number"))
    } else {
        Ok(value)
    }
}
