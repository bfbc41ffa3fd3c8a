//! Numbers that are looked up in tables of the model, checked before the model sees them.

use std::ops::RangeInclusive;

use fmrai_core::tensor::DType;

use crate::ffi::tensor::Tensor;

use crate::model::InputSpec;
use crate::text::Tokenizer;

/// The valid numbers of the input called `name`, where they are known.
pub(super) fn valid<'a>(inputs: &'a [InputSpec], name: &str) -> Option<&'a RangeInclusive<i64>> {
    inputs.iter().find(|spec| spec.name == name)?.values.as_ref()
}

/// A number that the model has no row for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) value: i64,
    /// Its place, axis by axis.
    pub(crate) at: Vec<i64>,
}

/// The first element outside of `valid`; `None` if there is none. Read without an operation.
pub(crate) fn outside(tensor: &Tensor, valid: &RangeInclusive<i64>) -> Option<Outside> {
    let values: Vec<i64> = match tensor.dtype() {
        DType::Int64 => tensor.to_vec().ok()?,
        DType::Int32 => tensor.to_vec::<i32>().ok()?.into_iter().map(i64::from).collect(),
        _ => return None,
    };
    let (position, value) = values.into_iter().enumerate().find(|(_, value)| !valid.contains(value))?;
    let mut rest = i64::try_from(position).unwrap_or(0);
    let mut at: Vec<i64> = Vec::new();
    for size in tensor.size().into_iter().rev() {
        at.push(rest % size.max(1));
        rest /= size.max(1);
    }
    at.reverse();
    Some(Outside { value, at })
}

/// What is wrong with the tokens of a text for a model with these inputs: the first one that it does not know. `None` where
/// nothing is wrong, or it is not known which tokens it knows.
#[must_use]
pub fn unknown_token(tokenizer: &Tokenizer, tokens: &[u32], inputs: &[InputSpec]) -> Option<String> {
    let valid = valid(inputs, "input_ids")?;
    let token = tokens.iter().find(|token| !valid.contains(&i64::from(**token)))?;
    let text = tokenizer.token(*token).unwrap_or_default();
    let (first, last) = (valid.start(), valid.end());
    Some(format!(
        "the token {text:?} has id {token}, the model has tokens {first} to {last}: either its embedding was not made \
         larger when the token was added, or the tokenizer is that of another model"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_outside_is_found_with_its_place() {
        let numbers = Tensor::from_slice(&[0i64, 3, 4, -1, 9, 2]).unwrap().reshape(&[2, 3]).unwrap();
        let found = |valid| outside(&numbers, &valid);
        assert_eq!(found(-1..=9), None);
        assert_eq!(found(0..=9), Some(Outside { value: -1, at: vec![1, 0] }));
        assert_eq!(found(-1..=3), Some(Outside { value: 4, at: vec![0, 2] }));
        assert_eq!(
            outside(&numbers.to_dtype(DType::Int32).unwrap(), &(-1..=8)),
            Some(Outside { value: 9, at: vec![1, 1] })
        );
        assert_eq!(outside(&numbers.to_dtype(DType::Float32).unwrap(), &(0..=0)), None);
        assert_eq!(outside(&Tensor::scalar(7i64).unwrap(), &(0..=6)), Some(Outside { value: 7, at: vec![] }));
    }
}
