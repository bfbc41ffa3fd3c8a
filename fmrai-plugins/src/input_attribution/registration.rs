//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::analysis::InputAttribution;
use super::config::{InputAttributionConfig, Which};
use super::start::Baseline;
use crate::metric::Metric;

/// Most nodes of a quadrature, and most texts that are kept.
const MOST: usize = 1 << 14;

impl ExperimentConfig for InputAttributionConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        let wrong = |field, found: &dyn ToString, valid: &str| {
            Err(ConfigError { field, found: found.to_string(), valid: valid.to_owned() })
        };
        let twice = (1..self.methods.len()).any(|at| self.methods[..at].contains(&self.methods[at]));
        if self.methods.is_empty() || twice {
            return wrong("methods", &"empty, or names one twice", "at least one, each once");
        }
        let Some(baseline) = Baseline::of(&self.baseline) else {
            return wrong("baseline", &self.baseline, "zero, mean, or token:ID with the id of a token");
        };
        if !(1..=MOST).contains(&self.n_steps) {
            return wrong("n_steps", &self.n_steps, "1 to 16384");
        }
        if !(self.n_steps..=MOST).contains(&self.max_steps) {
            return wrong("max_steps", &self.max_steps, "n_steps to 16384");
        }
        if !(self.bound.is_finite() && self.bound > 0.0) {
            return wrong("bound", &self.bound, "a number above 0");
        }
        if self.texts > MOST {
            return wrong("texts", &self.texts, "0 to 16384");
        }
        if self.metric == Metric::Kl && self.of == Which::Clean {
            return wrong(
                "metric",
                &"kl",
                "another one for clean texts, whose divergence from themselves is 0",
            );
        }
        Ok(Box::new(InputAttribution::new(self.clone(), baseline)))
    }
}

fmrai_core::register_experiment!(
    InputAttributionConfig,
    name: "input_attribution",
    summary: "which tokens an answer comes from: saliency, input × gradient, integrated gradients, attention rollout (Sundararajan et al. 2017, Abnar and Zuidema 2020)",
);
