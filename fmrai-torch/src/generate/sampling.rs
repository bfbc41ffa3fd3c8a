//! The next token, given its logits.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::config::{GenerateConfig, GenerateError};

/// Takes the likeliest token, or draws one.
pub(super) struct Sampler {
    temperature: f64,
    top_k: usize,
    top_p: f64,
    random: Xoshiro256PlusPlus,
}

impl Sampler {
    pub(super) fn new(config: &GenerateConfig) -> Result<Self, GenerateError> {
        let wrong = |field, found: String, needed| Err(GenerateError::Config { field, found, needed });
        if !(config.temperature.is_finite() && config.temperature >= 0.0) {
            let needed = "a number that is not negative";
            return wrong("temperature", config.temperature.to_string(), needed);
        }
        if config.top_k == Some(0) {
            return wrong("top_k", "0".to_owned(), "at least 1");
        }
        if let Some(top_p) = config.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return wrong("top_p", top_p.to_string(), "a number above 0 and up to 1");
        }
        Ok(Self {
            temperature: config.temperature,
            top_k: config.top_k.unwrap_or(usize::MAX),
            top_p: config.top_p.unwrap_or(1.0),
            random: Xoshiro256PlusPlus::seed_from_u64(config.seed),
        })
    }

    /// The next token; `None` if a logit is NaN, or none is above minus infinity. Of equal logits, the lower token is
    /// the likelier one.
    pub(super) fn next(&mut self, logits: &[f32]) -> Option<u32> {
        if logits.iter().any(|logit| logit.is_nan()) {
            return None;
        }
        let mut tokens: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
        let likelier = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let &(best, highest) = tokens.iter().min_by(|a, b| likelier(a, b))?;
        if highest == f32::NEG_INFINITY {
            return None;
        }
        if self.temperature == 0.0 || highest == f32::INFINITY {
            return Some(best);
        }
        tokens.sort_unstable_by(likelier);
        tokens.truncate(self.top_k);
        let weight = |logit: f32| ((f64::from(logit) - f64::from(highest)) / self.temperature).exp();
        let weights: Vec<f64> = tokens.iter().map(|(_, logit)| weight(*logit)).collect();
        let enough = self.top_p * weights.iter().sum::<f64>();
        let mut total = 0.0;
        let mut kept = 0;
        for weight in &weights {
            total += weight;
            kept += 1;
            if total >= enough {
                break;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what a float64 holds")]
        let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = uniform * total;
        for ((token, _), weight) in tokens.iter().zip(&weights).take(kept) {
            left -= weight;
            if left < 0.0 {
                return Some(*token);
            }
        }
        tokens.get(kept.saturating_sub(1)).map(|(token, _)| *token) // rounding
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(temperature: f64, top_k: Option<usize>, top_p: Option<f64>) -> Sampler {
        let config = GenerateConfig { temperature, top_k, top_p, seed: 7, ..GenerateConfig::default() };
        Sampler::new(&config).unwrap()
    }

    #[test]
    fn the_likeliest_token_is_the_first_of_the_highest() {
        assert_eq!(sampler(0.0, None, None).next(&[0.5, 2.0, 2.0, -1.0]), Some(1));
        assert_eq!(sampler(1.0, None, None).next(&[0.5, f32::INFINITY]), Some(1));
        for wrong in [&[1.0, f32::NAN][..], &[f32::NEG_INFINITY], &[]] {
            assert_eq!(sampler(0.0, None, None).next(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        // Probabilities 0.5, 0.3, 0.2.
        let logits = [0.5f32.ln(), 0.2f32.ln(), 0.3f32.ln()];
        let shares = |mut sampler: Sampler| {
            let mut counts = [0.0; 3];
            for _ in 0..20_000 {
                counts[sampler.next(&logits).unwrap() as usize] += 1.0 / 20_000.0;
            }
            counts
        };
        let close = |found: [f64; 3], expected: [f64; 3]| {
            for (found, expected) in found.iter().zip(expected) {
                // Three standard errors.
                assert!((found - expected).abs() < 0.011, "{found} instead of {expected}");
            }
        };
        close(shares(sampler(1.0, None, None)), [0.5, 0.2, 0.3]);
        close(shares(sampler(1.0, Some(2), None)), [0.625, 0.0, 0.375]);
        close(shares(sampler(1.0, None, Some(0.7))), [0.625, 0.0, 0.375]);
        close(shares(sampler(1.0, None, Some(0.1))), [1.0, 0.0, 0.0]);
        // At temperature 1/2 probabilities are squared.
        close(shares(sampler(0.5, None, None)), [0.25 / 0.38, 0.04 / 0.38, 0.09 / 0.38]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let message = |config: GenerateConfig| Sampler::new(&config).err().unwrap().to_string();
        let base = GenerateConfig::default;
        let cases = [
            (
                GenerateConfig { temperature: -1.0, ..base() },
                "`temperature` is -1, a number that is not negative is needed",
            ),
            (GenerateConfig { top_k: Some(0), ..base() }, "`top_k` is 0, at least 1 is needed"),
            (
                GenerateConfig { top_p: Some(1.5), ..base() },
                "`top_p` is 1.5, a number above 0 and up to 1 is needed",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(message(config), expected);
        }
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn what_is_drawn_is_among_the_likeliest(
            logits in prop::collection::vec(-5.0f32..5.0, 1..40),
            top_k in 1usize..5,
            top_p in 0.01f64..1.0,
            seed in any::<u64>(),
        ) {
            let (top_k, top_p) = (Some(top_k), Some(top_p));
            let config = GenerateConfig { temperature: 0.8, top_k, top_p, seed, ..GenerateConfig::default() };
            let draw = || {
                let mut sampler = Sampler::new(&config).unwrap();
                [sampler.next(&logits).unwrap(), sampler.next(&logits).unwrap()]
            };
            let drawn = draw();
            prop_assert_eq!(drawn, draw());
            for token in drawn {
                let higher = logits.iter().filter(|x| **x > logits[token as usize]).count();
                prop_assert!(higher < top_k.unwrap());
            }
        }
    }
}
