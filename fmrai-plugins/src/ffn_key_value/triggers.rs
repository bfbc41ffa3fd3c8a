//! The strongest coefficients of each neuron, one per text.

use std::cmp::Ordering;

/// A trigger example: where a neuron's coefficient was high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trigger {
    /// Size of the coefficient, more than 0; the sign is that of the list.
    pub(super) size: f32,
    /// Id of the text.
    pub(super) text: u64,
    /// Position in the text, from 0.
    pub(super) position: u32,
}

impl Trigger {
    /// Larger coefficients first; of equal ones the smaller text, then the smaller position.
    fn order(&self, other: &Self) -> Ordering {
        let size = other.size.total_cmp(&self.size);
        size.then(self.text.cmp(&other.text)).then(self.position.cmp(&other.position))
    }
}

/// For each of some neurons its strongest triggers, ordered. The order is total and texts are distinct, so the lists
/// depend on what was offered alone, not on the order in which it was.
#[derive(Debug, Clone)]
pub(super) struct Triggers {
    most: usize,
    /// `[neuron, most]`, the first `lengths[neuron]` of each in use.
    entries: Vec<Trigger>,
    lengths: Vec<u32>,
    /// The least size that can still enter: that of the last entry of a full list.
    thresholds: Vec<f32>,
}

const NOTHING: Trigger = Trigger { size: 0.0, text: 0, position: 0 };

/// The smallest positive number.
const ANY: f32 = f32::from_bits(1);

impl Triggers {
    /// Empty lists of at most `most` triggers.
    pub(super) fn new(neurons: usize, most: usize) -> Self {
        Self {
            most,
            entries: vec![NOTHING; neurons * most],
            lengths: vec![0; neurons],
            thresholds: vec![ANY; neurons],
        }
    }

    /// What a size has to reach, per neuron, to be worth offering.
    pub(super) fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// The triggers of a neuron, strongest first.
    pub(super) fn of(&self, neuron: usize) -> &[Trigger] {
        let length = self.lengths.get(neuron).map_or(0, |&n| n as usize);
        self.entries.get(neuron * self.most..neuron * self.most + length).unwrap_or_default()
    }

    /// Takes a trigger in if it is among the strongest; sizes of 0 and below never are. True if it was taken.
    pub(super) fn offer(&mut self, neuron: usize, trigger: Trigger) -> bool {
        let (Some(length), Some(threshold)) = (self.lengths.get_mut(neuron), self.thresholds.get_mut(neuron))
        else {
            return false;
        };
        let start = neuron * self.most;
        let Some(list) = self.entries.get_mut(start..start + self.most) else { return false };
        let used = *length as usize;
        let at = list[..used].partition_point(|e| e.order(&trigger) == Ordering::Less);
        if at == self.most || trigger.size < ANY {
            return false;
        }
        let end = (used + 1).min(self.most);
        list.copy_within(at..end - 1, at + 1);
        list[at] = trigger;
        if used < self.most {
            *length += 1;
        }
        if end == self.most {
            *threshold = list[end - 1].size;
        }
        true
    }
}
