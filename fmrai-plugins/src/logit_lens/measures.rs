//! What is told of a distribution over the vocabulary.

/// A distribution as its logits, with the sums that all measures need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logits<'a> {
    logits: &'a [f32],
    most: f64,
    /// `ln sum exp(logit - most)`.
    log_sum: f64,
    /// In nats.
    pub(super) entropy: f64,
}

impl<'a> Logits<'a> {
    /// Of at least one logit.
    pub(super) fn of(logits: &'a [f32]) -> Self {
        let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let (mut sum, mut weighed) = (0.0, 0.0);
        for &logit in logits {
            let away = f64::from(logit) - most;
            let e = away.exp();
            sum += e;
            weighed += e * away;
        }
        let log_sum = sum.ln();
        Self { logits, most, log_sum, entropy: log_sum - weighed / sum }
    }

    /// `ln` of the probability of a token.
    fn log(&self, logit: f32) -> f64 {
        f64::from(logit) - self.most - self.log_sum
    }

    /// Probability of a token, and how many have a larger one; `None` for a token that the vocabulary does not have.
    pub(super) fn target(&self, token: u32) -> Option<(f64, usize)> {
        let own = *self.logits.get(token as usize)?;
        Some((self.log(own).exp(), self.logits.iter().filter(|logit| **logit > own).count()))
    }

    /// All probabilities.
    pub(super) fn probabilities(&self) -> Vec<f64> {
        self.logits.iter().map(|logit| self.log(*logit).exp()).collect()
    }

    /// `KL(p ‖ self)` in nats, of another distribution with this entropy.
    pub(super) fn divergence_of(&self, p: &[f64], entropy: f64) -> f64 {
        let cross: f64 =
            p.iter().zip(self.logits).map(|(p, logit)| p * (f64::from(*logit) - self.most)).sum();
        (self.log_sum - cross - entropy).max(0.0)
    }

    /// The `count` most probable tokens with their probabilities; of equal ones those with lower ids.
    pub(super) fn top(&self, count: usize) -> Vec<(u32, f64)> {
        let mut order: Vec<u32> = (0..u32::try_from(self.logits.len()).unwrap_or(u32::MAX)).collect();
        let count = count.min(order.len());
        let logit = |id: &u32| self.logits.get(*id as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let larger = |a: &u32, b: &u32| logit(b).total_cmp(&logit(a)).then(a.cmp(b));
        if count < order.len() && count > 0 {
            order.select_nth_unstable_by(count - 1, larger);
        }
        order.truncate(count);
        order.sort_unstable_by(larger);
        order.iter().map(|id| (*id, self.log(logit(id)).exp())).collect()
    }

    /// The most probable token.
    pub(super) fn best(&self) -> usize {
        let most = self.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.logits.iter().position(|logit| *logit == most).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_three_tokens_by_hand() {
        // Shares 1, 2 and 1 of 4.
        let logits = [0.0, 2.0_f32.ln(), 0.0].map(|x| x + 50.0);
        let q = Logits::of(&logits);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(q.entropy, 0.5 * 4.0_f64.ln() + 0.5 * 2.0_f64.ln());
        let (p, rank) = q.target(2).unwrap();
        near(p, 0.25);
        assert_eq!((rank, q.target(1).unwrap().1, q.target(3)), (1, 0, None));
        near(q.divergence_of(&[0.5, 0.5, 0.0], 2.0_f64.ln()), 0.5 * 2.0_f64.ln());
        near(q.divergence_of(&q.probabilities(), q.entropy), 0.0);
        let top: Vec<u32> = q.top(2).iter().map(|(id, _)| *id).collect();
        assert_eq!((top, q.top(9).len(), q.best()), (vec![1, 0], 3, 1));
    }
}
