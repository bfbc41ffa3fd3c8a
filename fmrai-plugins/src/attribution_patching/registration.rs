//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::config::AttributionPatchingConfig;
use super::experiment::AttributionPatching;
use crate::activation_patching::Direction;
use crate::metric::Metric;
use crate::sites::check_choices;

/// More steps of integrated gradients than anybody needs.
const MOST_STEPS: usize = 10_000;

impl ExperimentConfig for AttributionPatchingConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        check_choices(&self.sites)?;
        if self.steps > MOST_STEPS {
            let found = self.steps.to_string();
            return Err(ConfigError { field: "steps", found, valid: format!("0 to {MOST_STEPS}") });
        }
        if self.metric == Metric::Kl && self.direction == Direction::Noise && self.steps == 0 {
            return Err(ConfigError {
                field: "metric",
                found: "kl, whose gradient vanishes on the clean run".to_owned(),
                valid: "another metric, `\"direction\": \"denoise\"`, or `steps` of 1 or more".to_owned(),
            });
        }
        Ok(Box::new(AttributionPatching::new(self.clone())))
    }
}

fmrai_core::register_experiment!(
    AttributionPatchingConfig,
    name: "attribution_patching",
    summary: "activation patching of all sites at once, estimated by gradients (Nanda 2023, Kramár et al. 2024)",
);
