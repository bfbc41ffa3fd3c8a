//! Coefficients above and below 0 apart.

/// Which of a neuron's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Positive,
    Negative,
}

impl Sign {
    pub(super) const BOTH: [Self; 2] = [Self::Positive, Self::Negative];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }

    /// 1 or -1.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::Positive => 1.0,
            Self::Negative => -1.0,
        }
    }
}
