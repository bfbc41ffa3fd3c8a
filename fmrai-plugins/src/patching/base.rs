//! What is run with something patched into it.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::experiment::{Axis, Change, Edit, Site, Variant};
use fmrai_core::tensor::TensorValue;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::pairs::PairRows;

/// What the mark of noise is for.
const NOISY: &str = "since its tokens are made noisy";

/// Noise on the token embeddings of a marked part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noise {
    /// The token embeddings.
    pub(crate) site: Site,
    pub(crate) channels: usize,
    /// Standard deviation of the noise.
    pub(crate) sigma: f64,
    pub(crate) samples: usize,
    pub(crate) mark: String,
    pub(crate) seed: u64,
}

/// The noise of a pair `[sample, token, channel]`, and the padded positions that it is added to.
type Drawn = (TensorValue, Vec<usize>);

/// The rows of a batch that are run, and those that activations are taken from.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// What is run of each pair: rows of the batch.
    runs: Vec<usize>,
    /// What activations are taken from.
    source: Vec<usize>,
    /// The noise of each pair `[sample, token, channel]`, at these padded positions.
    noise: Option<(Noise, Vec<Drawn>)>,
}

/// A variant with the pair that each of its rows belongs to.
pub(crate) struct Owned {
    pub(crate) variant: Variant,
    pub(crate) pairs: Vec<usize>,
    /// The rows that activations are taken from, one for each row of the variant.
    pub(crate) source: Vec<usize>,
}

impl Base {
    /// The corrupted texts, with activations of the clean ones; or the other way round.
    pub(crate) fn of_data(pairs: &[PairRows<'_>], denoise: bool) -> Self {
        let clean = || pairs.iter().map(|pair| pair.clean).collect();
        let corrupted = || pairs.iter().map(|pair| pair.corrupted).collect();
        let (runs, source) = if denoise { (corrupted(), clean()) } else { (clean(), corrupted()) };
        Self { runs, source, noise: None }
    }

    /// The clean texts with noise, with activations of the same texts without it.
    pub(crate) fn of_noise(pairs: &[PairRows<'_>], noise: &Noise) -> Result<Self, AnalyzerError> {
        let clean: Vec<usize> = pairs.iter().map(|pair| pair.clean).collect();
        let mut all = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let sample = pair.samples[0];
            let mark = pair.mark(&noise.mark, NOISY)?;
            // Of the text alone, whatever batch it is in.
            let mut random = Xoshiro256PlusPlus::seed_from_u64(noise.seed ^ sample.id.rotate_left(32));
            let count = noise.samples * mark.len() * noise.channels;
            let draw = |_| {
                let drawn: f64 = StandardNormal.sample(&mut random);
                (drawn * noise.sigma) as f32
            };
            let values: Vec<f32> = (0..count).map(draw).collect();
            let value = TensorValue::new([noise.samples, mark.len(), noise.channels], values.into())?;
            all.push((value, mark.clone().map(|at| sample.span.start + at).collect()));
        }
        Ok(Self { runs: clean.clone(), source: clean, noise: Some((noise.clone(), all)) })
    }

    /// What is run of these pairs, with nothing patched.
    pub(crate) fn variant(&self, pairs: &[usize]) -> Owned {
        let each = self.noise.as_ref().map_or(1, |(noise, _)| noise.samples);
        let repeated = |of: &[usize]| -> Vec<usize> {
            pairs.iter().flat_map(|pair| std::iter::repeat_n(of[*pair], each)).collect()
        };
        let mut variant = Variant::clean(repeated(&self.runs));
        if let Some((noise, all)) = &self.noise {
            for (at, pair) in pairs.iter().enumerate() {
                let (value, positions) = &all[*pair];
                let rows: Vec<usize> = (at * each..(at + 1) * each).collect();
                let edit = Edit::new(noise.site.clone(), Change::Add(value.clone(), 1.0));
                variant = variant.with(edit.at(Axis::Position, positions.clone()).of_rows(rows));
            }
        }
        let owners = pairs.iter().flat_map(|pair| std::iter::repeat_n(*pair, each)).collect();
        Owned { variant, pairs: owners, source: repeated(&self.source) }
    }
}

/// The mean over the rows of each pair.
pub(crate) fn by_pair(owned: &[usize], values: &[f64], pairs: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); pairs];
    for (pair, value) in owned.iter().zip(values) {
        sums[*pair].0 += value;
        sums[*pair].1 += 1.0;
    }
    sums.into_iter().map(|(sum, count)| sum / count).collect()
}
