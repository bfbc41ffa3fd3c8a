//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::config::{ActivationPatchingConfig, Corruption, Direction};
use super::experiment::ActivationPatching;
use crate::sites::check_choices;

impl ExperimentConfig for ActivationPatchingConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        check_choices(&self.sites)?;
        let wrong = |field, found: &dyn ToString, valid: &str| {
            Err(ConfigError { field, found: found.to_string(), valid: valid.to_owned() })
        };
        if self.window == 0 {
            return wrong("window", &0, "1 or more");
        }
        if let Corruption::Gaussian { sigma, samples, mark, .. } = &self.corruption {
            if !(sigma.is_finite() && *sigma > 0.0) {
                return wrong("corruption.sigma", sigma, "a number above 0");
            }
            if !(1..=1000).contains(samples) {
                return wrong("corruption.samples", samples, "1 to 1000");
            }
            if mark.is_empty() {
                return wrong("corruption.mark", &"empty", "the name of a mark in the data");
            }
            if self.direction == Direction::Noise {
                return wrong("direction", &"noise", "denoise where the corruption is noise");
            }
        }
        Ok(Box::new(ActivationPatching::new(self.clone())))
    }
}

fmrai_core::register_experiment!(
    ActivationPatchingConfig,
    name: "activation_patching",
    summary: "which activations carry an answer: runs with activations of another text, site by site (Meng et al. 2022, Wang et al. 2023)",
);
