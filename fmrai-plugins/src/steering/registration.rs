//! How the analysis is made of its config, and found by its name.

use std::path::Path;

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::config::{Positions, SteeringConfig};
use super::experiment::Steering;

/// Most strengths of one plan.
const MOST_STRENGTHS: usize = 1000;

impl ExperimentConfig for SteeringConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        self.build_in(Path::new(""))
    }

    fn build_in(&self, base: &Path) -> Result<Box<dyn Experiment>, ConfigError> {
        let wrong =
            |field, found: String, valid: &str| Err(ConfigError { field, found, valid: valid.to_owned() });
        let strengths = &self.strengths;
        let valid = "a list of different finite numbers, 1 to 1000 of them";
        if !(1..=MOST_STRENGTHS).contains(&strengths.len()) {
            return wrong("strengths", format!("a list of {}", strengths.len()), valid);
        }
        for (at, strength) in strengths.iter().enumerate() {
            if !strength.is_finite() || strengths[..at].contains(strength) {
                return wrong("strengths", format!("a list with {strength}, infinite or twice"), valid);
            }
        }
        if self.positions == Positions::Mark(String::new()) {
            return wrong("positions", "empty".to_owned(), "`last`, `all` or the name of a mark");
        }
        Ok(Box::new(Steering::new(self.clone(), base)))
    }
}

fmrai_core::register_experiment!(
    SteeringConfig,
    name: "steering",
    summary: "directions of the stream that tell two kinds of texts apart, and what adding them or taking them out does (Rimsky et al. 2024, Arditi et al. 2024)",
);
