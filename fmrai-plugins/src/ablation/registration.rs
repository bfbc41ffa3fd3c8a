//! How the analysis is made of its config, and found by its name.

use std::collections::BTreeSet;

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::config::{AblationConfig, Neurons};
use super::experiment::Ablation;

/// Most draws of other texts.
const MOST_DRAWS: usize = 1000;

impl ExperimentConfig for AblationConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        let wrong =
            |field, found: String, valid: &str| Err(ConfigError { field, found, valid: valid.to_owned() });
        for (at, site) in self.sites.iter().enumerate() {
            if self.sites[..at].contains(site) {
                return wrong("sites", format!("a list with {site} twice"), "a list of different sites");
            }
        }
        let mut seen = BTreeSet::new();
        for (layer, neuron) in self.neurons.iter().flat_map(Neurons::places) {
            if !seen.insert((layer, neuron)) {
                let found = format!("a list with neuron {neuron} of layer {layer} twice");
                return wrong("neurons", found, "a list of different neurons");
            }
        }
        for (name, heads) in &self.groups {
            let twice = (0..heads.len()).find(|at| heads[..*at].contains(&heads[*at]));
            if let Some([layer, head]) = twice.map(|at| heads[at]) {
                let found = format!("a group {name:?} with head {head} of layer {layer} twice");
                return wrong("groups", found, "groups of different heads");
            }
        }
        if self.sites.is_empty() && seen.is_empty() && self.groups.is_empty() {
            let found = "empty, without neurons or groups".to_owned();
            return wrong("sites", found, "a list of different sites, at least one");
        }
        if !(1..=MOST_DRAWS).contains(&self.draws) {
            return wrong("draws", self.draws.to_string(), "1 to 1000");
        }
        Ok(Box::new(Ablation::new(self.clone())))
    }
}

fmrai_core::register_experiment!(
    AblationConfig,
    name: "ablation",
    summary: "what the model loses without a head, a neuron, a feed-forward block or a whole layer: zero, mean and resample ablation (Michel et al. 2019, Olsson et al. 2022)",
);
