//! Additions of all spellings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::{Operation, TensorId, Value};
use crate::structure::facts::Facts;
use crate::structure::operator::stem;

/// How something is added to a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Addition {
    /// `before + written`.
    #[default]
    Sum,
    /// `before + a * written`, with a number or a tensor `a`: one operation scales and adds (`addcmul`, `alpha`).
    Scaled,
    /// `before - written`.
    Difference,
    /// `before + a * (written - before)`.
    Interpolation,
    /// The addition is a part of a matrix product, so what is added exists nowhere; `written` is the sum.
    InProduct,
}

impl Addition {
    /// True for a plain sum.
    #[must_use]
    pub fn is_sum(&self) -> bool {
        *self == Self::Sum
    }
}

/// One reading of an operation as an addition to a stream.
pub(super) struct Candidate {
    pub(super) stream: TensorId,
    pub(super) written: TensorId,
    pub(super) addition: Addition,
}

/// The readings of an operation, the likeliest first.
pub(super) fn candidates(facts: &Facts<'_>, operation: &Operation) -> Vec<Candidate> {
    let Some(&sum) = operation.outputs.first() else { return Vec::new() };
    let size = facts.elements(sum);
    let whole = |id: &TensorId| facts.is_activation(*id) && facts.elements(*id) == size;
    let tensor = |name: &str| operation.tensor(name).filter(whole);
    let scaled = operation.argument("alpha").and_then(Value::as_float).is_some_and(|alpha| alpha != 1.0);
    let one = |stream: Option<TensorId>, written: Option<TensorId>, addition: Addition| {
        let candidate = stream.zip(written).filter(|(a, b)| a != b);
        candidate.map(|(stream, written)| Candidate { stream, written, addition })
    };
    let (own, other) = (tensor("self"), tensor("other"));
    let all = match stem(operation) {
        "add" => {
            let of = if scaled { Addition::Scaled } else { Addition::Sum };
            // `other` is the one that is scaled.
            [one(own, other, of), one(other, own, of).filter(|_| !scaled)]
        }
        "sub" | "subtract" => [one(own, other, Addition::Difference), None],
        "rsub" => [one(other, own, Addition::Difference), None],
        "addcmul" => {
            let written = tensor("tensor1").or_else(|| tensor("tensor2"));
            [one(own, written, Addition::Scaled), None]
        }
        "lerp" => {
            let end = tensor("end");
            [one(own, end, Addition::Interpolation), one(end, own, Addition::Interpolation)]
        }
        "addmm" => [product(own, operation.tensor("mat1")), None],
        "baddbmm" => [product(own, operation.tensor("batch1")), None],
        _ => [None, None],
    };
    all.into_iter().flatten().collect()
}

fn product(stream: Option<TensorId>, factor: Option<TensorId>) -> Option<Candidate> {
    let (stream, written) = stream.zip(factor)?;
    Some(Candidate { stream, written, addition: Addition::InProduct })
}
