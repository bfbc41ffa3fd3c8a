//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::config::{CircuitConfig, Method};
use super::experiment::CircuitSearch;
use crate::metric::Metric;

/// More steps of integrated gradients, and more fractions, than anybody needs.
const MOST: usize = 1000;

impl ExperimentConfig for CircuitConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        let wrong =
            |field, found: String, valid: &str| Err(ConfigError { field, found, valid: valid.to_owned() });
        if !(1..=MOST).contains(&self.steps) {
            return wrong("steps", self.steps.to_string(), "1 to 1000");
        }
        if let Some(target) = self.faithfulness.filter(|target| !(target.is_finite() && *target > 0.0)) {
            return wrong("faithfulness", target.to_string(), "a number above 0, or null");
        }
        let valid = "shares above 0 and up to 1, ascending, at least one";
        if self.fractions.is_empty() || self.fractions.len() > MOST {
            return wrong("fractions", format!("{} of them", self.fractions.len()), valid);
        }
        if let Some(fraction) =
            self.fractions.iter().find(|fraction| !(**fraction > 0.0 && **fraction <= 1.0))
        {
            return wrong("fractions", fraction.to_string(), valid);
        }
        if let Some(pair) = self.fractions.windows(2).find(|pair| pair[0] >= pair[1]) {
            return wrong("fractions", format!("{} before {}", pair[0], pair[1]), valid);
        }
        if !(self.tau.is_finite() && self.tau >= 0.0) {
            return wrong("tau", self.tau.to_string(), "a number, 0 or above");
        }
        if self.metric == Metric::Kl && self.method == Method::Eap {
            let found = "kl, whose gradient vanishes on the clean run".to_owned();
            return wrong("metric", found, "another metric, or the method `eap_ig`, `exact` or `acdc`");
        }
        Ok(Box::new(CircuitSearch::new(self.clone())))
    }
}

fmrai_core::register_experiment!(
    CircuitConfig,
    name: "circuit",
    summary: "which edges between heads, feed-forward blocks and logits carry an answer, and how far they suffice (Conmy et al. 2023, Syed et al. 2023, Hanna et al. 2024)",
);
