//! What an activation is replaced with, as edits.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Axis, Change, Edit, Site, Variant};
use fmrai_core::tensor::TensorValue;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::means::TokenMeans;
use super::targets::{Part, Target, Targets};
use crate::token_values::TokenValues;

/// What activations are replaced with, in a batch.
pub(super) enum Replacement<'a> {
    Zero,
    Mean(&'a TokenMeans),
    /// The values of each site of the rows of the variant, and the row that each one takes.
    Other {
        values: &'a [TokenValues],
        samples: &'a [&'a Sample],
        from: &'a [usize],
    },
}

/// A variant of these rows in which a target is replaced.
pub(super) fn variant(
    targets: &Targets,
    target: &Target,
    rows: &[usize],
    replacement: &Replacement<'_>,
    keep_patterns: bool,
) -> Result<Variant, AnalyzerError> {
    let mut variant = Variant::clean(rows);
    for part in &target.parts {
        for edit in edits(targets, part, replacement)? {
            variant = variant.with(edit);
        }
    }
    let later =
        targets.patterns.iter().filter(|(layer, _)| target.first_layer.is_some_and(|first| *layer > first));
    for (_, pattern) in later.filter(|_| keep_patterns) {
        variant = variant.with(Edit::new(pattern.clone(), Change::Clean(rows.to_vec())));
    }
    Ok(variant)
}

fn edits(targets: &Targets, part: &Part, replacement: &Replacement<'_>) -> Result<Vec<Edit>, AnalyzerError> {
    let site = &targets.sites[part.site];
    let edit = |change| {
        let edit = Edit::new(site.clone(), change);
        match &part.places {
            Some((axis, places)) => edit.at(*axis, places.clone()),
            None => edit,
        }
    };
    match replacement {
        Replacement::Zero => Ok(vec![edit(Change::Zero)]),
        Replacement::Mean(means) => {
            let mean = means.mean(part.site);
            let heads = site.layout.axis(Axis::Head).map_or(1, |_| heads_of(site, &mean));
            let channels = mean.len() / heads.max(1);
            let of =
                |head: usize, _: usize| mean.get(head * channels..(head + 1) * channels).unwrap_or_default();
            Ok(vec![edit(Change::Set(value(site, part, heads, 1, &of)?))])
        }
        Replacement::Other { values, samples, from } => {
            let values = &values[part.site];
            let mut edits = Vec::new();
            for (row, other) in from.iter().enumerate() {
                let (own, theirs) = (&samples[row].span, &samples[*other].span);
                let tokens = own.len().min(theirs.len());
                let heads = values.heads();
                let of = |head: usize, token: usize| values.at(*other, head, theirs.start + token);
                let value = value(site, part, heads, tokens, &of)?;
                let positions: Vec<usize> = (own.start..own.start + tokens).collect();
                edits.push(edit(Change::Set(value)).at(Axis::Position, positions).of_rows([row]));
            }
            Ok(edits)
        }
    }
}

fn heads_of(site: &Site, mean: &[f64]) -> usize {
    use fmrai_core::experiment::Size;
    let heads = site.layout.0.iter().find_map(|(axis, size)| match (axis, size) {
        (Axis::Head, Size::Known(heads)) => Some(*heads),
        _ => None,
    });
    heads.filter(|heads| mean.len().is_multiple_of(*heads)).unwrap_or(1)
}

/// The value of a part, `[1, head, token, channel]` or `[1, token, channel]`; `of` has the channels of a head and token.
fn value<'v>(
    site: &Site,
    part: &Part,
    heads: usize,
    tokens: usize,
    of: &dyn Fn(usize, usize) -> &'v [f64],
) -> Result<TensorValue, AnalyzerError> {
    let chosen_heads: Vec<usize> = match &part.places {
        Some((Axis::Head, places)) => places.clone(),
        _ => (0..heads).collect(),
    };
    let mut elements: Vec<f64> = Vec::new();
    for head in &chosen_heads {
        for token in 0..tokens {
            let channels = of(*head, token);
            match &part.places {
                Some((Axis::Channel, places)) => {
                    elements.extend(places.iter().filter_map(|place| channels.get(*place)));
                }
                _ => elements.extend(channels),
            }
        }
    }
    let channels = elements.len() / (chosen_heads.len() * tokens).max(1);
    let shape = if site.layout.axis(Axis::Head).is_some() {
        vec![1, chosen_heads.len(), tokens, channels]
    } else {
        vec![1, tokens, channels]
    };
    Ok(TensorValue::new(shape, elements.into())?)
}

/// For each of so many texts another one: a random cycle through all of them, each of which is as likely (Sattolo 1986). At least two
/// texts are needed, or the text is its own.
pub(super) fn others(count: usize, random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
    let mut others: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // The remainder favours small numbers by less than one part in 2^40 for any batch.
        let at = (random.next_u64() % last as u64) as usize;
        others.swap(last, at);
    }
    others
}

/// The random numbers of a batch: of the seed and its first text alone.
pub(super) fn random(seed: u64, first: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed ^ first.rotate_left(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_its_own_other() {
        for count in 2..9 {
            for seed in 0..50 {
                let found = others(count, &mut random(seed, 3));
                assert!(found.iter().enumerate().all(|(at, other)| at != *other), "{found:?}");
                let mut all = found.clone();
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
                assert_eq!(found, others(count, &mut random(seed, 3)));
            }
        }
        let different = |seed| others(6, &mut random(seed, 0));
        assert!((1..20).any(|seed| different(seed) != different(0)));
    }
}
