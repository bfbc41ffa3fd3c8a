//! Statistics of neurons and layers, computed of what was counted.

use super::analysis::FfnKeyValue;
use super::moments::{skewness, variance};
use super::sign::Sign;

/// A neuron's coefficients in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neuron {
    pub(super) layer: usize,
    pub(super) neuron: usize,
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) skewness: f64,
    pub(super) active_share: f64,
    /// Standard deviations between its mean and the mean over its layer's neurons.
    pub(super) z: f64,
    /// The largest coefficient above 0, and the smallest below; 0 where there is none.
    pub(super) largest: f64,
    pub(super) smallest: f64,
}

/// A layer in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layer {
    /// Share of its coefficients that are active.
    pub(super) active_share: f64,
    /// Its neurons with `z` above the threshold.
    pub(super) key_neurons: usize,
}

/// The statistics of a model.
#[derive(Debug)]
pub(super) struct Statistics {
    /// In the order of indices.
    pub(super) neurons: Vec<Neuron>,
    pub(super) layers: Vec<Layer>,
}

impl Statistics {
    pub(super) fn of(analysis: &FfnKeyValue) -> Self {
        let FfnKeyValue { layout, memories, config, .. } = analysis;
        let mut neurons: Vec<Neuron> = Vec::with_capacity(layout.neurons());
        for (shard, i) in memories.neurons() {
            let n = memories.positions.get(shard.layer).copied().unwrap_or(0);
            let m = &shard.moments;
            let extreme = |sign: Sign| {
                let first = shard.strongest(sign, i);
                first.map_or(0.0, |t| sign.factor() * f64::from(t.size))
            };
            neurons.push(Neuron {
                layer: shard.layer,
                neuron: shard.start + i,
                mean: if n > 0 { m.mean[i] } else { f64::NAN },
                variance: variance(m.m2[i], n),
                skewness: skewness(m.m2[i], m.m3[i], n),
                active_share: m.active[i] as f64 / n as f64,
                z: f64::NAN,
                largest: extreme(Sign::Positive),
                smallest: extreme(Sign::Negative),
            });
        }
        let mut layers = Vec::with_capacity(layout.blocks.len());
        for block in &layout.blocks {
            let of = &mut neurons[block.first..block.first + block.neurons];
            let count = of.len() as f64;
            let mean = of.iter().map(|n| n.mean).sum::<f64>() / count;
            let deviation = (of.iter().map(|n| (n.mean - mean).powi(2)).sum::<f64>() / count).sqrt();
            for neuron in of.iter_mut() {
                neuron.z = if deviation > 0.0 { (neuron.mean - mean) / deviation } else { 0.0 };
            }
            layers.push(Layer {
                active_share: of.iter().map(|n| n.active_share).sum::<f64>() / count,
                key_neurons: of.iter().filter(|n| n.z > config.key_sigma).count(),
            });
        }
        Self { neurons, layers }
    }
}
