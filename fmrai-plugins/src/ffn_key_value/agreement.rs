//! How value distributions agree with what follows their keys' triggers.

use std::collections::BTreeMap;

use super::values::Distributions;

/// Bins of the largest probability, of equal width over [0, 1].
pub(super) const BINS: usize = 10;

/// Values that are looked at as the most predictive ones.
pub(super) const MOST_PREDICTIVE: usize = 100;

/// The agreement of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerAgreement {
    /// Neurons whose strongest trigger has a next token.
    pub(super) targets: usize,
    /// Of these, those whose most probable token is that one.
    pub(super) agreeing: usize,
    /// Chance by the frequency of tokens.
    pub(super) unigram_chance: f64,
    /// Minimum, quartiles and maximum of the target's rank; absent without targets.
    pub(super) ranks: Option<[f64; 5]>,
}

impl LayerAgreement {
    /// `targets` has for each neuron of the layer the token after its strongest trigger, `next_tokens` how often each
    /// token follows a position.
    pub(super) fn of(
        values: &Distributions,
        targets: &[Option<u32>],
        next_tokens: &BTreeMap<u32, u64>,
    ) -> Self {
        let all = next_tokens.values().map(|&n| n as f64).sum::<f64>();
        let (mut ranks, mut agreeing, mut by_frequency) = (Vec::new(), 0, 0.0);
        for (i, target) in targets.iter().enumerate() {
            let (Some(target), Some((top, _)), Some(&rank)) = (target, values.top(i), values.ranks.get(i))
            else {
                continue;
            };
            if rank == 0 {
                continue;
            }
            agreeing += usize::from(top == *target);
            by_frequency += next_tokens.get(&top).copied().unwrap_or(0) as f64 / all;
            ranks.push(f64::from(rank));
        }
        let count = ranks.len();
        Self {
            targets: count,
            agreeing,
            unigram_chance: by_frequency / count as f64,
            ranks: five_numbers(ranks),
        }
    }

    /// Share of targets that agree; NaN without targets.
    pub(super) fn rate(&self) -> f64 {
        self.agreeing as f64 / self.targets as f64
    }
}

/// Minimum, quartiles (between the two nearest numbers in proportion) and maximum; `None` of nothing.
pub(super) fn five_numbers(mut numbers: Vec<f64>) -> Option<[f64; 5]> {
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    Some([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| {
        let at = share * last as f64;
        let below = at.floor() as usize;
        let (low, high) = (numbers[below], numbers[(below + 1).min(last)]);
        low + (at - at.floor()) * (high - low)
    }))
}

/// Values with a target whose largest probability lies in a bin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Bin {
    pub(super) values: usize,
    pub(super) agreeing: usize,
}

/// Agreement by the largest probability, over the values of all layers that have a target: bin `i` of [`BINS`] holds
/// those from `i / BINS` to less than `(i + 1) / BINS`, the last one also 1.
pub(super) fn bins(layers: &[(&Distributions, &[Option<u32>])]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for (values, targets) in layers {
        for (i, target) in targets.iter().enumerate() {
            let (Some(target), Some((top, p)), Some(1..)) = (target, values.top(i), values.ranks.get(i))
            else {
                continue;
            };
            let bin = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
            bin.values += 1;
            bin.agreeing += usize::from(top == *target);
        }
    }
    bins
}

/// One of the values with the largest probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Predictive {
    pub(super) layer: usize,
    /// Neuron within the layer.
    pub(super) neuron: usize,
    pub(super) token: u32,
    pub(super) probability: f64,
}

/// The [`MOST_PREDICTIVE`] values of all layers, by largest probability; of equal ones those of lower layers and
/// neurons.
pub(super) fn most_predictive(layers: &[&Distributions]) -> Vec<Predictive> {
    let mut all = Vec::new();
    for (layer, values) in layers.iter().enumerate() {
        let count = values.ranks.len();
        all.extend((0..count).filter_map(|neuron| {
            let (token, probability) = values.top(neuron)?;
            Some(Predictive { layer, neuron, token, probability })
        }));
    }
    // Stable, so that equal ones stay in the order of layers and neurons.
    all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    all.truncate(MOST_PREDICTIVE);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_nearest_numbers() {
        assert_eq!(five_numbers(vec![4.0, 1.0, 3.0, 2.0]), Some([1.0, 1.75, 2.5, 3.25, 4.0]));
        assert_eq!(five_numbers(vec![7.0]), Some([7.0; 5]));
        assert_eq!(five_numbers(Vec::new()), None);
    }

    /// Two values: one sure of token 3, one of token 0; both targets are 3.
    #[test]
    fn agreement_chance_and_bins_by_hand() {
        let values = Distributions {
            listed: 1,
            tokens: vec![3, 0],
            probabilities: vec![1.0, 0.25],
            ranks: vec![1, 2],
            target_probabilities: vec![1.0, 0.2],
        };
        let next = BTreeMap::from([(3, 6), (0, 2)]);
        let targets = [Some(3), Some(3)];
        let layer = LayerAgreement::of(&values, &targets, &next);
        assert_eq!((layer.targets, layer.agreeing, layer.rate()), (2, 1, 0.5));
        assert_eq!(layer.unigram_chance, 0.5 * (6.0 / 8.0 + 2.0 / 8.0));
        assert_eq!(layer.ranks, Some([1.0, 1.25, 1.5, 1.75, 2.0]));
        let bins = bins(&[(&values, &targets)]);
        assert_eq!((bins[9], bins[2]), (Bin { values: 1, agreeing: 1 }, Bin { values: 1, agreeing: 0 }));
        let strongest = most_predictive(&[&values]);
        assert_eq!((strongest[0].token, strongest[1].token), (3, 0));
    }
}
