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
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let size = other.size.total_cmp(&self.size);
        size.then(self.text.cmp(&other.text)).then(self.position.cmp(&other.position))
    }
}

/// For each of some neurons its strongest triggers. Their order is total and texts are distinct, so what is kept depends
/// on what was offered alone, not on the order in which it was.
///
/// While data come in, a list has no order: a new trigger takes the place of the weakest one, which is then looked for
/// among the sizes alone. They lie close together, so that costs a few cache lines.
#[derive(Debug, Clone)]
pub(super) struct Triggers {
    most: usize,
    /// `[neuron, most]`, the first `lengths[neuron]` of each in use.
    sizes: Vec<f32>,
    texts: Vec<u64>,
    positions: Vec<u32>,
    lengths: Vec<u32>,
    /// Where the weakest trigger of a full list stands.
    weakest: Vec<u32>,
    /// The least size that can still enter: that of the weakest trigger of a full list.
    thresholds: Vec<f32>,
}

/// The smallest positive number.
const ANY: f32 = f32::from_bits(1);

impl Triggers {
    /// Empty lists of at most `most` triggers.
    pub(super) fn new(neurons: usize, most: usize) -> Self {
        let cells = neurons * most;
        Self {
            most,
            sizes: vec![0.0; cells],
            texts: vec![0; cells],
            positions: vec![0; cells],
            lengths: vec![0; neurons],
            weakest: vec![0; neurons],
            thresholds: vec![ANY; neurons],
        }
    }

    /// What a size has to reach, per neuron, to be worth offering.
    pub(super) fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// How many triggers a neuron has.
    pub(super) fn count(&self, neuron: usize) -> usize {
        self.lengths.get(neuron).map_or(0, |&n| n as usize)
    }

    /// How many triggers it has room for, in use or not.
    pub(super) fn cells(&self) -> usize {
        self.sizes.len()
    }

    fn at(&self, cell: usize) -> Option<Trigger> {
        let (size, text) = (*self.sizes.get(cell)?, *self.texts.get(cell)?);
        Some(Trigger { size, text, position: *self.positions.get(cell)? })
    }

    /// The triggers of a neuron, in no order.
    pub(super) fn unordered(&self, neuron: usize) -> impl Iterator<Item = Trigger> + '_ {
        let first = neuron * self.most;
        (first..first + self.count(neuron)).filter_map(|cell| self.at(cell))
    }

    /// The triggers of a neuron, strongest first.
    pub(super) fn of(&self, neuron: usize) -> Vec<Trigger> {
        let mut all: Vec<Trigger> = self.unordered(neuron).collect();
        all.sort_unstable_by(Trigger::order);
        all
    }

    /// The strongest trigger of a neuron.
    pub(super) fn strongest(&self, neuron: usize) -> Option<Trigger> {
        self.unordered(neuron).min_by(Trigger::order)
    }

    /// Takes a trigger in if it is among the strongest; sizes of 0 and below never are.
    pub(super) fn offer(&mut self, neuron: usize, trigger: Trigger) {
        let first = neuron * self.most;
        let (Some(length), Some(weakest)) = (self.lengths.get_mut(neuron), self.weakest.get_mut(neuron))
        else {
            return;
        };
        let used = *length as usize;
        let full = used == self.most;
        let cell = first + if full { *weakest as usize } else { used };
        let (Some(size), Some(text), Some(position)) =
            (self.sizes.get_mut(cell), self.texts.get_mut(cell), self.positions.get_mut(cell))
        else {
            return;
        };
        let there = Trigger { size: *size, text: *text, position: *position };
        let positive = trigger.size > 0.0;
        if !positive || full && trigger.order(&there) != Ordering::Less {
            return;
        }
        (*size, *text, *position) = (trigger.size, trigger.text, trigger.position);
        if !full {
            *length += 1;
        }
        if used + 1 < self.most {
            return;
        }
        let cells = first..first + self.most;
        let (sizes, texts) = (&self.sizes[cells.clone()], &self.texts[cells]);
        let last = last_of(sizes, texts);
        *weakest = last as u32;
        self.thresholds[neuron] = sizes[last];
    }
}

/// Where the smallest size stands; of equal ones that of the largest text.
fn last_of(sizes: &[f32], texts: &[u64]) -> usize {
    // Positive numbers have the order of their bits, of which the least is found without branches.
    let bits = |size: &f32| size.to_bits() as i32;
    let least = sizes.iter().map(bits).fold(i32::MAX, i32::min);
    let mut equal = sizes.iter().zip(texts).enumerate().filter(|(_, (size, _))| bits(size) == least);
    let first = equal.next().map_or((0, 0), |(i, (_, text))| (i, *text));
    equal.fold(first, |last, (i, (_, text))| if *text > last.1 { (i, *text) } else { last }).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        /// Few sizes, so that many are equal.
        #[test]
        fn the_strongest_are_kept_in_any_order(
            sizes in proptest::collection::vec(-1_i8..4, 0..40),
            most in 1_usize..6,
            turn in 0_usize..40,
        ) {
            let mut all: Vec<Trigger> = (0..)
                .zip(&sizes)
                .map(|(text, &size)| Trigger { size: f32::from(size), text, position: text as u32 % 3 })
                .collect();
            let mut kept = Triggers::new(2, most);
            let turn = turn.min(all.len());
            all.rotate_left(turn);
            for trigger in &all {
                kept.offer(1, *trigger);
            }
            all.retain(|t| t.size > 0.0);
            all.sort_by(Trigger::order);
            all.truncate(most);
            prop_assert_eq!(kept.strongest(1), all.first().copied());
            let least = if all.len() == most { all[most - 1].size } else { ANY };
            prop_assert_eq!(kept.thresholds(), [ANY, least]);
            prop_assert_eq!(kept.of(1), all);
            prop_assert_eq!(kept.count(0), 0);
        }
    }
}
