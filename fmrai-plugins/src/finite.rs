//! Numbers of stored states that have to be finite.

use fmrai_core::analyzer::{State, StateError};

/// The finite numbers of a state's tensor.
pub(crate) fn finite(state: &State, name: &str, shape: &[usize]) -> Result<Vec<f64>, StateError> {
    let numbers: Vec<f64> = state.get(name, shape)?;
    if numbers.iter().all(|x| x.is_finite()) {
        return Ok(numbers);
    }
    Err(StateError::Part {
        part: name.to_owned(),
        found: "not finite".to_owned(),
        needed: "finite numbers".to_owned(),
    })
}
