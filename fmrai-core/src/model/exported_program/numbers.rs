//! Arithmetic of sizes, with the semantics of Python.

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
            "_operator.pow" | "math.pow" => Self::Power,
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

    /// Its value.
    ///
    /// # Errors
    /// For a wrong number of operands, division by zero, and integers beyond 64 bits.
    pub(super) fn call(self, operands: &[Number]) -> Result<Number, String> {
        match *operands {
            _ if self == Self::Sum => {
                operands.iter().try_fold(Number::Int(0), |sum, &next| Self::Add.call(&[sum, next]))
            }
            [a] => self.unary(a),
            [a, b] => self.binary(a, b),
            [condition, a, b] if self == Self::Choose => Ok(if condition.truth() { a } else { b }),
            _ => Err(format!("{} numbers are given to {self:?}", operands.len())),
        }
    }

    fn unary(self, a: Number) -> Result<Number, String> {
        let overflow = || format!("{self:?} of {a:?} is beyond 64 bits");
        Ok(match (self, a.widened()) {
            (Self::Negate, Number::Int(a)) => Number::Int(a.checked_neg().ok_or_else(overflow)?),
            (Self::Negate, a) => Number::Float(-a.real()),
            (Self::Positive, a) => a,
            (Self::Absolute, Number::Int(a)) => Number::Int(a.checked_abs().ok_or_else(overflow)?),
            (Self::Absolute, a) => Number::Float(a.real().abs()),
            (Self::Not, _) => Number::Bool(!a.truth()),
            (Self::Truncate | Self::Floor | Self::Ceiling | Self::Round, Number::Int(a)) => Number::Int(a),
            (Self::Truncate, a) => integer(a.real().trunc())?,
            (Self::Floor, a) => integer(a.real().floor())?,
            (Self::Ceiling, a) => integer(a.real().ceil())?,
            (Self::Round, a) => integer(a.real().round_ties_even())?,
            (Self::ToFloat, a) => Number::Float(a.real()),
            (Self::Real(function), a) => Number::Float(real(function, a.real())),
            _ => return Err(format!("one number is given to {self:?}")),
        })
    }

    fn binary(self, a: Number, b: Number) -> Result<Number, String> {
        use Number::Bool;
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
        let order = || compare(a, b);
        let truth = match self {
            Self::Less => order() == Some(Ordering::Less),
            Self::LessEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::GreaterEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
            Self::Equal => order() == Some(Ordering::Equal),
            Self::NotEqual => order() != Some(Ordering::Equal),
            _ => return self.arithmetic(a.widened(), b.widened()),
        };
        Ok(Bool(truth))
    }

    fn arithmetic(self, a: Number, b: Number) -> Result<Number, String> {
        use Number::Int;
        let overflow = || format!("{self:?} of {a:?} and {b:?} is beyond 64 bits");
        let zero = || format!("{self:?} of {a:?} by zero");
        if let (Int(x), Int(y)) = (a, b) {
            let whole = match self {
                Self::Add => x.checked_add(y),
                Self::Subtract => x.checked_sub(y),
                Self::Multiply => x.checked_mul(y),
                Self::Maximum => Some(x.max(y)),
                Self::Minimum => Some(x.min(y)),
                Self::FloorDivide if y == 0 => return Err(zero()),
                Self::Modulo if y == 0 => return Err(zero()),
                // Rounds towards minus infinity, and the rest has the sign of the divisor.
                Self::FloorDivide => {
                    let (quotient, rest) = (x.checked_div(y), x.checked_rem(y).unwrap_or(0));
                    quotient.map(|q| if rest != 0 && (rest < 0) != (y < 0) { q - 1 } else { q })
                }
                Self::Modulo => {
                    let rest = x.checked_rem(y).unwrap_or(0);
                    Some(if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest })
                }
                Self::Power if y >= 0 => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
                Self::And => Some(x & y),
                Self::Or => Some(x | y),
                Self::Xor => Some(x ^ y),
                Self::ShiftLeft => {
                    u32::try_from(y).ok().and_then(|y| 1i64.checked_shl(y)).and_then(|y| x.checked_mul(y))
                }
                Self::ShiftRight if y >= 0 => Some(x >> y.min(63)),
                Self::Divide | Self::Power => return self.reals(a.real(), b.real()),
                _ => return Err(format!("two integers are given to {self:?}")),
            };
            return whole.map(Int).ok_or_else(overflow);
        }
        match (self, compare(a, b)) {
            (Self::Maximum, order) => Ok(if order == Some(Ordering::Less) { b } else { a }),
            (Self::Minimum, order) => Ok(if order == Some(Ordering::Greater) { b } else { a }),
            _ => self.reals(a.real(), b.real()),
        }
    }

    fn reals(self, a: f64, b: f64) -> Result<Number, String> {
        let divisor = || if b == 0.0 { Err(format!("{self:?} of {a} by zero")) } else { Ok(b) };
        Ok(Number::Float(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / divisor()?,
            Self::FloorDivide => (a / divisor()?).floor(),
            Self::Modulo => {
                let rest = a % divisor()?;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
            Self::Power => a.powf(b),
            _ => return Err(format!("two real numbers are given to {self:?}")),
        }))
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

    pub(super) fn truth(self) -> bool {
        match self {
            Self::Int(value) => value != 0,
            Self::Float(value) => value != 0.0,
            Self::Bool(truth) => truth,
        }
    }
}

fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a.widened(), b.widened()) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (a, b) => a.real().partial_cmp(&b.real()),
    }
}

/// An integer of a real number that is one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn integer(value: f64) -> Result<Number, String> {
    // 2^63 is the first number that does not fit.
    let limit = 9_223_372_036_854_775_808.0;
    if value >= -limit && value < limit {
        Ok(Number::Int(value as i64))
    } else {
        Err(format!("{value} is no integer of 64 bits"))
    }
}

fn real(function: RealFunction, a: f64) -> f64 {
    match function {
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
    }
}

#[cfg(test)]
mod tests {
    use super::Number::{Bool, Float, Int};
    use super::*;

    fn call(target: &str, operands: &[Number]) -> Result<Number, String> {
        Function::of_target(target).unwrap().call(operands)
    }

    #[test]
    fn division_is_that_of_python() {
        for (a, b, quotient, rest) in
            [(7, 2, 3, 1), (-7, 2, -4, 1), (7, -2, -4, -1), (-7, -2, 3, -1), (6, -3, -2, 0)]
        {
            assert_eq!(call("_operator.floordiv", &[Int(a), Int(b)]), Ok(Int(quotient)));
            assert_eq!(call("_operator.mod", &[Int(a), Int(b)]), Ok(Int(rest)));
        }
        assert_eq!(call("_operator.mod", &[Float(-7.5), Float(2.0)]), Ok(Float(0.5)));
        assert_eq!(call("_operator.floordiv", &[Float(-7.0), Int(2)]), Ok(Float(-4.0)));
        assert_eq!(call("_operator.truediv", &[Int(6), Int(3)]), Ok(Float(2.0)));
        assert!(call("_operator.floordiv", &[Int(1), Int(0)]).is_err());
        assert!(call("_operator.truediv", &[Int(1), Int(0)]).is_err());
        assert!(call("_operator.floordiv", &[Int(i64::MIN), Int(-1)]).is_err());
        assert_eq!(call("_operator.mod", &[Int(i64::MIN), Int(-1)]), Ok(Int(0)));
    }

    #[test]
    fn integers_do_not_wrap() {
        assert!(call("_operator.mul", &[Int(i64::MAX), Int(2)]).is_err());
        assert!(call("_operator.add", &[Int(i64::MAX), Int(1)]).is_err());
        assert!(call("_operator.neg", &[Int(i64::MIN)]).is_err());
        assert!(call("math.trunc", &[Float(1e300)]).is_err());
        assert!(call("_operator.lshift", &[Int(1), Int(64)]).is_err());
    }

    #[test]
    fn powers_of_negative_exponent_are_real() {
        assert_eq!(call("_operator.pow", &[Int(2), Int(10)]), Ok(Int(1024)));
        assert_eq!(call("_operator.pow", &[Int(2), Int(-1)]), Ok(Float(0.5)));
        assert_eq!(call("_operator.pow", &[Int(4), Float(0.5)]), Ok(Float(2.0)));
    }

    #[test]
    fn truths_are_integers_where_python_says_so() {
        assert_eq!(call("_operator.add", &[Bool(true), Int(2)]), Ok(Int(3)));
        assert_eq!(call("_operator.and_", &[Bool(true), Bool(false)]), Ok(Bool(false)));
        assert_eq!(call("torch.sym_not", &[Bool(true)]), Ok(Bool(false)));
        assert_eq!(call("torch.sym_ite", &[Bool(false), Int(1), Int(2)]), Ok(Int(2)));
        assert_eq!(call("_operator.lt", &[Int(1), Float(1.5)]), Ok(Bool(true)));
    }

    #[test]
    fn functions_of_numbers() {
        assert_eq!(call("torch.sym_max", &[Int(3), Int(5)]), Ok(Int(5)));
        assert_eq!(call("torch.sym_min", &[Int(3), Float(2.5)]), Ok(Float(2.5)));
        assert_eq!(call("torch._sym_sqrt", &[Int(9)]), Ok(Float(3.0)));
        assert_eq!(call("math.trunc", &[Float(-2.5)]), Ok(Int(-2)));
        assert_eq!(call("round", &[Float(2.5)]), Ok(Int(2)));
        assert_eq!(call("torch.sym_sum", &[Int(1), Int(2), Int(3)]), Ok(Int(6)));
        assert_eq!(Function::of_target("torch._sym_gamma"), None);
        assert!(call("_operator.add", &[Int(1)]).is_err());
    }
}
