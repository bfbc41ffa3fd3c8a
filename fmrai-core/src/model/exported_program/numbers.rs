//! Arithmetic of sizes, with the semantics of Python: every result is the one that CPython gives, to the bit.

mod integers;
mod order;
mod reals;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

/// A number of a program.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// What a program may compute from numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
    /// `math.pow`, which is real whatever its operands are.
    RealPower,
    Negate,
    Positive,
    Absolute,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    And,
    Or,
    Xor,
    Not,
    ShiftLeft,
    ShiftRight,
    Maximum,
    Minimum,
    Truncate,
    Floor,
    Ceiling,
    Round,
    ToFloat,
    Choose,
    Sum,
    /// A function of one real number.
    Real(RealFunction),
}

/// A function of one real number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RealFunction {
    Sqrt,
    Sin,
    Cos,
    Tan,
    Sinh,
    Cosh,
    Tanh,
    Asin,
    Acos,
    Atan,
    Log2,
}

impl Function {
    /// The function that a node's target names.
    pub(super) fn of_target(target: &str) -> Option<Self> {
        Some(match target {
            "_operator.add" => Self::Add,
            "_operator.sub" => Self::Subtract,
            "_operator.mul" => Self::Multiply,
            "_operator.truediv" => Self::Divide,
            "_operator.floordiv" => Self::FloorDivide,
            "_operator.mod" => Self::Modulo,
            "_operator.pow" => Self::Power,
            "math.pow" => Self::RealPower,
            "_operator.neg" => Self::Negate,
            "_operator.pos" => Self::Positive,
            "_operator.abs" => Self::Absolute,
            "_operator.lt" => Self::Less,
            "_operator.le" => Self::LessEqual,
            "_operator.gt" => Self::Greater,
            "_operator.ge" => Self::GreaterEqual,
            "_operator.eq" => Self::Equal,
            "_operator.ne" => Self::NotEqual,
            "_operator.and_" => Self::And,
            "_operator.or_" => Self::Or,
            "_operator.xor" => Self::Xor,
            "_operator.not_" | "torch.sym_not" => Self::Not,
            "_operator.lshift" => Self::ShiftLeft,
            "_operator.rshift" => Self::ShiftRight,
            "torch.sym_max" => Self::Maximum,
            "torch.sym_min" => Self::Minimum,
            "math.trunc" | "torch.sym_int" => Self::Truncate,
            "math.floor" => Self::Floor,
            "math.ceil" => Self::Ceiling,
            "builtins.round" | "round" => Self::Round,
            "torch.sym_float" => Self::ToFloat,
            "torch.sym_ite" => Self::Choose,
            "torch.sym_sum" => Self::Sum,
            other => {
                let name = other.strip_prefix("torch._sym_").or_else(|| other.strip_prefix("math."))?;
                Self::Real(match name {
                    "sqrt" => RealFunction::Sqrt,
                    "sin" => RealFunction::Sin,
                    "cos" => RealFunction::Cos,
                    "tan" => RealFunction::Tan,
                    "sinh" => RealFunction::Sinh,
                    "cosh" => RealFunction::Cosh,
                    "tanh" => RealFunction::Tanh,
                    "asin" => RealFunction::Asin,
                    "acos" => RealFunction::Acos,
                    "atan" => RealFunction::Atan,
                    "log2" => RealFunction::Log2,
                    _ => return None,
                })
            }
        })
    }

    /// Its value, as CPython computes it.
    ///
    /// # Errors
    /// For a wrong number of operands, and where Python raises an exception (division by zero, a root of a negative
    /// number, ...), gives a complex number or an integer beyond 64 bits.
    pub(super) fn call(self, operands: &[Number]) -> Result<Number, String> {
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
            (Self::Truncate, a) => reals::integer(a.real().trunc())?,
            (Self::Floor, a) => reals::integer(a.real().floor())?,
            (Self::Ceiling, a) => reals::integer(a.real().ceil())?,
            (Self::Round, a) => reals::integer(a.real().round_ties_even())?,
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

impl Number {
    /// Truth values as integers.
    fn widened(self) -> Self {
        match self {
            Self::Bool(truth) => Self::Int(i64::from(truth)),
            other => other,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Python does the same")]
    pub(super) fn real(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
            Self::Bool(truth) => f64::from(u8::from(truth)),
        }
    }

    /// The integer that a real number is; `None` if it is none of 64 bits.
    pub(super) fn whole(self) -> Option<Self> {
        let real = self.real();
        if real.fract() == 0.0 { reals::integer(real).ok() } else { None }
    }

    pub(super) fn truth(self) -> bool {
        match self {
            Self::Int(value) => value != 0,
            Self::Float(value) => value != 0.0,
            Self::Bool(truth) => truth,
        }
    }
}
