//! What a program may compute from numbers, by its name there.

/// What a program may compute from numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::exported_program) enum Function {
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
pub(in crate::exported_program) enum RealFunction {
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
    pub(in crate::exported_program) fn of_target(target: &str) -> Option<Self> {
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
}
