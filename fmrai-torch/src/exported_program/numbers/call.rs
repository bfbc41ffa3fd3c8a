//! The value of a function, as CPython computes it.

use std::cmp::Ordering;

use super::function::Function;
use super::number::{Number, integer};
use super::{integers, order, reals};

impl Function {
    /// Its value, as CPython computes it.
    ///
    /// # Errors
    /// For a wrong number of operands, and where Python raises an exception (division by zero, a root of a negative
    /// number, ...), gives a complex number or an integer beyond 64 bits.
    pub(in crate::exported_program) fn call(self, operands: &[Number]) -> Result<Number, String> {
        match *operands {
            _ if self == Self::Sum => {
                let whole = |number: &Number| match number.widened() {
                    Number::Int(value) => Some(value),
                    _ => None,
                };
                match operands.iter().map(whole).collect::<Option<Vec<i64>>>() {
                    Some(terms) => integers::sum(&terms),
                    None => {
                        operands.iter().try_fold(Number::Int(0), |sum, &next| Self::Add.call(&[sum, next]))
                    }
                }
            }
            [a] => self.unary(a),
            [a, b] => self.binary(a, b),
            [condition, a, b] if self == Self::Choose => Ok(if condition.truth() { a } else { b }),
            _ => Err(format!("{} numbers are given to {self:?}", operands.len())),
        }
    }

    fn unary(self, a: Number) -> Result<Number, String> {
        use Number::{Bool, Float, Int};
        let overflow = || format!("{self:?} of {a:?} is beyond 64 bits");
        Ok(match (self, a.widened()) {
            (Self::Negate, Int(a)) => Int(a.checked_neg().ok_or_else(overflow)?),
            (Self::Negate, a) => Float(-a.real()),
            (Self::Positive, a) => a,
            (Self::Absolute, Int(a)) => Int(a.checked_abs().ok_or_else(overflow)?),
            (Self::Absolute, a) => Float(a.real().abs()),
            (Self::Not, _) => Bool(!a.truth()),
            (Self::Truncate | Self::Floor | Self::Ceiling | Self::Round, Int(a)) => Int(a),
            (Self::Truncate, a) => integer(a.real().trunc())?,
            (Self::Floor, a) => integer(a.real().floor())?,
            (Self::Ceiling, a) => integer(a.real().ceil())?,
            (Self::Round, a) => integer(a.real().round_ties_even())?,
            (Self::ToFloat, a) => Float(a.real()),
            (Self::Real(function), a) => Float(reals::of_one(function, a.real())?),
            _ => return Err(format!("one number is given to {self:?}")),
        })
    }

    fn binary(self, a: Number, b: Number) -> Result<Number, String> {
        use Number::{Bool, Float, Int};
        if let (Bool(a), Bool(b)) = (a, b)
            && let Some(truth) = match self {
                Self::And => Some(a & b),
                Self::Or => Some(a | b),
                Self::Xor => Some(a ^ b),
                _ => None,
            }
        {
            return Ok(Bool(truth));
        }
        let order = || order::compare(a, b);
        let truth = match self {
            Self::Less => order() == Some(Ordering::Less),
            Self::LessEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::GreaterEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
            Self::Equal => order() == Some(Ordering::Equal),
            Self::NotEqual => order() != Some(Ordering::Equal),
            Self::Maximum | Self::Minimum => {
                // The first of equal ones, as `max` and `min`; among reals the result is real.
                let second = if self == Self::Maximum { Ordering::Less } else { Ordering::Greater };
                let chosen = if order() == Some(second) { b } else { a };
                let real = matches!(a, Float(_)) || matches!(b, Float(_));
                return Ok(if real { Float(chosen.real()) } else { chosen });
            }
            _ => {
                return match (self, a.widened(), b.widened()) {
                    (Self::RealPower, a, b) => reals::math_pow(a.real(), b.real()).map(Float),
                    (_, Int(a), Int(b)) => integers::arithmetic(self, a, b),
                    (Self::Round, Float(a), Int(digits)) => reals::round_to(a, digits).map(Float),
                    (_, a, b) => reals::arithmetic(self, a.real(), b.real()).map(Float),
                };
            }
        };
        Ok(Bool(truth))
    }
}
