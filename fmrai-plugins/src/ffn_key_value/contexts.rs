//! The coefficients of the tokens around the strongest triggers.

use std::cmp::Ordering;

use super::triggers::Trigger;

/// Positions before a trigger that are kept.
pub(super) const BEFORE: usize = 23;

/// Positions that are kept of a text: those before the trigger, its own, and those after it.
pub(super) const WINDOW: usize = 32;

/// A neuron's coefficients at the positions around a trigger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    values: [f32; WINDOW],
    length: u32,
}

impl Window {
    /// Of no positions.
    pub(super) const EMPTY: Self = Self { values: [0.0; WINDOW], length: 0 };

    /// The first [`WINDOW`] of some coefficients.
    pub(super) fn of(coefficients: impl IntoIterator<Item = f32>) -> Self {
        let mut window = Self::EMPTY;
        for (place, x) in window.values.iter_mut().zip(coefficients) {
            *place = x;
            window.length += 1;
        }
        window
    }

    /// True if the trigger stands in it, or nothing does.
    pub(super) fn fits(&self, trigger: &Trigger) -> bool {
        self.length == 0 || trigger.position - first(trigger) < self.length
    }

    /// Entry `i` is that of position `first + i` of the text.
    pub(super) fn known(&self) -> &[f32] {
        self.values.get(..self.length as usize).unwrap_or_default()
    }
}

/// The first position of the window around a trigger.
pub(super) fn first(trigger: &Trigger) -> u32 {
    trigger.position.saturating_sub(BEFORE as u32)
}

/// For each of some neurons the windows around its strongest triggers: those that come first in its list.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    most: usize,
    /// `[neuron, most]`, strongest first, the first `lengths[neuron]` of each in use.
    entries: Vec<(Trigger, Window)>,
    lengths: Vec<u32>,
}

const _: () = assert!(size_of::<(Trigger, Window)>() == 152, "the documentation says so");

const NOTHING: (Trigger, Window) = (Trigger { size: 0.0, text: 0, position: 0 }, Window::EMPTY);

impl Contexts {
    /// Bytes of the entries, in use or not.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.entries.as_slice())
    }

    /// Of no triggers; at most `most` for each neuron.
    pub(super) fn new(neurons: usize, most: usize) -> Self {
        Self { most, entries: vec![NOTHING; neurons * most], lengths: vec![0; neurons] }
    }

    /// The triggers that have a window, strongest first.
    pub(super) fn of(&self, neuron: usize) -> &[(Trigger, Window)] {
        let length = self.lengths.get(neuron).map_or(0, |&n| n as usize);
        self.entries.get(neuron * self.most..neuron * self.most + length).unwrap_or_default()
    }

    /// Takes a trigger in if it is among the strongest; only then its window is made.
    pub(super) fn offer(&mut self, neuron: usize, trigger: Trigger, window: impl FnOnce() -> Window) {
        let at = self.of(neuron).partition_point(|(t, _)| t.order(&trigger) == Ordering::Less);
        let (Some(length), first) = (self.lengths.get_mut(neuron), neuron * self.most) else { return };
        let used = *length as usize;
        let end = (used + 1).min(self.most);
        let Some(list) = self.entries.get_mut(first..first + end) else { return };
        if at >= end {
            return;
        }
        list.copy_within(at..end - 1, at + 1);
        list[at] = (trigger, window());
        *length = end as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_trigger_or_nothing() {
        let at = |position| Trigger { size: 1.0, text: 0, position };
        let window = |length| Window::of(std::iter::repeat_n(0.5, length));
        assert!(window(3).fits(&at(2)) && !window(3).fits(&at(3)));
        assert!(window(24).fits(&at(100)) && !window(23).fits(&at(100)), "the 23 before it and itself");
        assert!(window(0).fits(&at(5)));
        assert_eq!(window(99).known().len(), WINDOW);
    }
}
