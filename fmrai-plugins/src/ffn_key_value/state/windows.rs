//! The coefficients around triggers.

use fmrai_core::analyzer::{State, StateError};

use super::parts::{broken, ends, part};
use crate::ffn_key_value::contexts::{WINDOW, Window};
use crate::ffn_key_value::memories::Memories;
use crate::ffn_key_value::sign::Sign;

/// Puts the windows of all triggers of a sign that have one into a state.
pub(super) fn write(memories: &Memories, sign: Sign, state: &mut State) -> Result<(), StateError> {
    let windows = memories.neurons().flat_map(|(shard, n)| shard.contexts(sign, n));
    let windows: Vec<&[f32]> = windows.map(|(_, window)| window.known()).collect();
    let lengths: Vec<u64> = windows.iter().map(|w| w.len() as u64).collect();
    state.put(&format!("{}.window_lengths", sign.name()), [lengths.len()], lengths)?;
    let windows = windows.concat();
    state.put(&format!("{}.windows", sign.name()), [windows.len()], windows)
}

/// The windows of `count` triggers.
pub(super) fn read(state: &State, sign: Sign, count: usize) -> Result<Vec<Window>, StateError> {
    let name = format!("{}.windows", sign.name());
    let lengths: Vec<u64> = state.get(&format!("{}.window_lengths", sign.name()), &[count])?;
    if lengths.iter().any(|&n| n > WINDOW as u64) {
        return Err(broken(&name, "a longer one", "windows of at most 32 coefficients"));
    }
    let ends = ends(lengths, &name)?;
    let coefficients: Vec<f32> = state.get(&name, &[ends.last().copied().unwrap_or(0)])?;
    Ok((0..count).map(|i| Window::of(part(&coefficients, &ends, i).iter().copied())).collect())
}
