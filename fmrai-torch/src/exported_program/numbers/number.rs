//! Numbers as Python has them.

/// A number of a program.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::exported_program) enum Number {
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Number {
    /// Truth values as integers.
    pub(super) fn widened(self) -> Self {
        match self {
            Self::Bool(truth) => Self::Int(i64::from(truth)),
            other => other,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Python does the same")]
    pub(in crate::exported_program) fn real(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
            Self::Bool(truth) => f64::from(u8::from(truth)),
        }
    }

    /// The integer that a real number is; `None` if it is none of 64 bits.
    pub(in crate::exported_program) fn whole(self) -> Option<Self> {
        let real = self.real();
        if real.fract() == 0.0 { integer(real).ok() } else { None }
    }

    pub(in crate::exported_program) fn truth(self) -> bool {
        match self {
            Self::Int(value) => value != 0,
            Self::Float(value) => value != 0.0,
            Self::Bool(truth) => truth,
        }
    }
}

/// An integer of a real number that is one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn integer(value: f64) -> Result<Number, String> {
    // 2^63 is the first number that does not fit.
    let limit = 9_223_372_036_854_775_808.0;
    if value >= -limit && value < limit {
        Ok(Number::Int(value as i64))
    } else {
        Err(format!("{value} is no integer of 64 bits"))
    }
}
