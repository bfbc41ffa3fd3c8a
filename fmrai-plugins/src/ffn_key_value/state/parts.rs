//! Lists of different lengths that lie one after the other in a tensor, and what is said of broken ones.

use fmrai_core::analyzer::{State, StateError};

/// Part `i` of several that end at `ends`.
pub(super) fn part<'a, T>(all: &'a [T], ends: &[usize], i: usize) -> &'a [T] {
    let start = i.checked_sub(1).and_then(|i| ends.get(i)).copied().unwrap_or(0);
    all.get(start..ends.get(i).copied().unwrap_or(start)).unwrap_or_default()
}

/// Where lists of these lengths end if they stand one after the other.
pub(super) fn ends(lengths: Vec<u64>, part: &str) -> Result<Vec<usize>, StateError> {
    let mut end = 0_usize;
    let add = |n: u64| {
        end = usize::try_from(n).ok().and_then(|n| end.checked_add(n))?;
        Some(end)
    };
    let ends: Option<Vec<usize>> = lengths.into_iter().map(add).collect();
    ends.ok_or_else(|| broken(part, "too large", "lengths"))
}

/// The size of a tensor's first axis, where the state tells it; 0 without the tensor.
pub(super) fn rows(state: &State, name: &str) -> usize {
    state.tensors.get(name).and_then(|tensor| tensor.shape().first()).copied().unwrap_or(0)
}

pub(super) fn token(id: u64) -> Result<u32, StateError> {
    u32::try_from(id).map_err(|_| broken("tokens", "too large", "token ids"))
}

pub(super) fn broken(part: &str, found: &str, needed: &str) -> StateError {
    StateError::Part { part: part.to_owned(), found: found.to_owned(), needed: needed.to_owned() }
}
