//! The triggers of all neurons.

use std::cmp::Ordering;

use fmrai_core::analyzer::{State, StateError};

use super::parts::{broken, ends, part};
use super::windows;
use crate::ffn_key_value::contexts::Window;
use crate::ffn_key_value::memories::Memories;
use crate::ffn_key_value::shard::Lists;
use crate::ffn_key_value::sign::Sign;
use crate::ffn_key_value::triggers::Trigger;

/// Puts the triggers of a sign, and what stands around them, into a state.
pub(super) fn write(memories: &Memories, sign: Sign, state: &mut State) -> Result<(), StateError> {
    let lists: Vec<_> = memories.neurons().map(|(shard, n)| shard.triggers(sign, n)).collect();
    let entries: Vec<Trigger> = lists.iter().flatten().copied().collect();
    let (name, count) = (sign.name(), entries.len());
    let lengths: Vec<u64> = lists.iter().map(|l| l.len() as u64).collect();
    state.put(&format!("{name}.lengths"), [lengths.len()], lengths)?;
    state.put(&format!("{name}.sizes"), [count], entries.iter().map(|e| e.size).collect())?;
    state.put(&format!("{name}.texts"), [count], entries.iter().map(|e| e.text).collect())?;
    let positions = entries.iter().map(|e| i64::from(e.position)).collect();
    state.put(&format!("{name}.positions"), [count], positions)?;
    windows::write(memories, sign, state)
}

/// Triggers of all neurons, one list after the other, and the windows of the first `contexts` of each.
pub(super) struct StoredLists {
    ends: Vec<usize>,
    entries: Vec<Trigger>,
    window_ends: Vec<usize>,
    windows: Vec<Window>,
}

impl StoredLists {
    /// Offers the triggers of neuron `from` to a neuron's lists.
    pub(super) fn offer(&self, from: usize, lists: &mut Lists, neuron: usize) {
        let triggers = part(&self.entries, &self.ends, from);
        for trigger in triggers {
            lists.triggers.offer(neuron, *trigger);
        }
        for (trigger, window) in triggers.iter().zip(part(&self.windows, &self.window_ends, from)) {
            lists.contexts.offer(neuron, *trigger, || *window);
        }
    }

    pub(super) fn read(
        state: &State,
        sign: Sign,
        neurons: usize,
        contexts: usize,
    ) -> Result<Self, StateError> {
        let name = sign.name();
        let lengths: Vec<u64> = state.get(&format!("{name}.lengths"), &[neurons])?;
        let with_window = lengths.iter().map(|&n| n.min(contexts as u64)).collect();
        let window_ends = ends(with_window, name)?;
        let ends = ends(lengths, name)?;
        let count = ends.last().copied().unwrap_or(0);
        let sizes_name = format!("{name}.sizes");
        let sizes: Vec<f32> = state.get(&sizes_name, &[count])?;
        let texts: Vec<u64> = state.get(&format!("{name}.texts"), &[count])?;
        let positions: Vec<u64> = state.get(&format!("{name}.positions"), &[count])?;
        if !sizes.iter().all(|s| *s > 0.0 && s.is_finite()) {
            return Err(broken(&sizes_name, "not positive float32", "positive float32"));
        }
        let mut entries = Vec::with_capacity(count);
        for ((&size, &text), &position) in sizes.iter().zip(&texts).zip(&positions) {
            let position =
                u32::try_from(position).map_err(|_| broken(name, "a position too large", "positions"))?;
            entries.push(Trigger { size, text, position });
        }
        let windows = windows::read(state, sign, window_ends.last().copied().unwrap_or(0))?;
        let lists = Self { ends, entries, window_ends, windows };
        for neuron in 0..neurons {
            let triggers = part(&lists.entries, &lists.ends, neuron);
            if !triggers.is_sorted_by(|a, b| a.order(b) == Ordering::Less) {
                return Err(broken(name, "a list out of order", "triggers, the strongest first"));
            }
            let mut texts: Vec<u64> = triggers.iter().map(|t| t.text).collect();
            texts.sort_unstable();
            if !texts.is_sorted_by(|a, b| a < b) {
                return Err(broken(name, "two triggers of one text", "one trigger of each text"));
            }
            let windows = part(&lists.windows, &lists.window_ends, neuron);
            if !triggers.iter().zip(windows).all(|(trigger, window)| window.fits(trigger)) {
                return Err(broken(name, "a window that ends before its trigger", "windows with it"));
            }
        }
        Ok(lists)
    }
}
