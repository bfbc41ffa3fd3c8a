//! Reading the parts of stored states.

use fmrai_core::analyzer::{State, StateError};
use fmrai_core::tensor::TensorError;

/// Checks that a state was made with the same smoothing.
pub(crate) fn check_smoothing_of(state: &State, needed: f64) -> Result<(), StateError> {
    let found = &state.document["smoothing"];
    if found.as_f64() == Some(needed) {
        return Ok(());
    }
    let found = if found.is_null() { "absent".to_owned() } else { found.to_string() };
    Err(StateError::Part { part: "smoothing".to_owned(), found, needed: needed.to_string() })
}

/// Finite numbers of a state's tensor.
pub(crate) fn read_f64(state: &State, name: &str, shape: &[usize]) -> Result<Vec<f64>, StateError> {
    let numbers = state.tensor(name, shape)?.f64().map_err(|e| part(name, &e, "float64"))?;
    if numbers.iter().all(|x| x.is_finite()) {
        return Ok(numbers.to_vec());
    }
    Err(StateError::Part {
        part: name.to_owned(),
        found: "not finite".to_owned(),
        needed: "finite numbers".to_owned(),
    })
}

/// Counts of a state's tensor, none negative.
pub(crate) fn read_counts(state: &State, name: &str, length: usize) -> Result<Vec<u64>, StateError> {
    read_counts_of(state, name, &[length])
}

/// The same of a tensor with more axes.
pub(crate) fn read_counts_of(state: &State, name: &str, shape: &[usize]) -> Result<Vec<u64>, StateError> {
    let numbers = state.tensor(name, shape)?.i64().map_err(|e| part(name, &e, "int64"))?;
    let counts: Result<Vec<u64>, _> = numbers.iter().map(|&c| u64::try_from(c)).collect();
    counts.map_err(|_| StateError::Part {
        part: name.to_owned(),
        found: "negative".to_owned(),
        needed: "counts".to_owned(),
    })
}

fn part(name: &str, error: &TensorError, needed: &str) -> StateError {
    StateError::Part { part: name.to_owned(), found: error.to_string(), needed: needed.to_owned() }
}
