//! How much lower the loss is late in a text than early in it.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::Sample;
use fmrai_core::experiment::{Bench, Measure, Objective, Variant};
use fmrai_core::graph::TensorId;

use super::config::InContextLearning;
use crate::sites::Moments;

/// The losses of the texts that have both tokens, late minus early.
pub(super) fn of_data(
    samples: &[Sample],
    logits: TensorId,
    at: &InContextLearning,
    bench: &mut dyn Bench,
) -> Result<Moments, AnalyzerError> {
    let mut found = Moments::default();
    let long: Vec<usize> = (0..samples.len()).filter(|row| samples[*row].token_ids.len() > at.late).collect();
    if long.is_empty() {
        return Ok(found);
    }
    let loss = |token: usize| {
        let of = |sample: &Sample| {
            let next = sample.token_ids.get(token).filter(|_| sample.token_ids.len() > at.late);
            next.map(|id| (sample.span.start + token - 1, *id)).into_iter().collect()
        };
        Objective::of_logits(logits, Measure::NextToken(samples.iter().map(of).collect()))
    };
    let measured = bench.measure(&[Variant::clean(long)], &[loss(at.early), loss(at.late)])?;
    if let [variant] = measured.as_slice()
        && let [early, late] = variant.as_slice()
    {
        early.iter().zip(late).for_each(|(early, late)| found.add(late - early));
    }
    Ok(found)
}

/// Minus the log probability of a token, in nats, by logits `[token]`.
pub(super) fn loss(logits: &[f32], token: u32) -> Option<f64> {
    let own = f64::from(*logits.get(token as usize)?);
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|x| (f64::from(*x) - f64::from(most)).exp()).sum();
    Some(f64::from(most) + sum.ln() - own)
}

#[cfg(test)]
mod tests {
    use super::loss;

    #[test]
    fn the_loss_of_equal_logits_is_the_logarithm_of_their_number() {
        assert!((loss(&[3.0; 8], 5).unwrap() - 8_f64.ln()).abs() < 1e-12);
        assert!((loss(&[1000.0, 1000.0 - 2_f32.ln()], 0).unwrap() - 1.5_f64.ln()).abs() < 1e-4);
        assert_eq!(loss(&[0.0], 1), None);
    }
}
