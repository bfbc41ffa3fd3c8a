//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::analysis::HeadDetection;
use super::config::HeadDetectionConfig;

/// Most tokens of all rows together, and most draws.
const MOST: usize = 1 << 20;

impl ExperimentConfig for HeadDetectionConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        let wrong = |field, found: &dyn ToString, valid: &str| {
            Err(ConfigError { field, found: found.to_string(), valid: valid.to_owned() })
        };
        if self.scores.as_ref().is_some_and(Vec::is_empty) {
            return wrong("scores", &"empty", "at least one of them, or absent for all");
        }
        let repeats = &self.repeats;
        if repeats.length == 0 || repeats.length > MOST {
            return wrong("repeats.length", &repeats.length, "1 or more");
        }
        if repeats.times < 2 {
            return wrong("repeats.times", &repeats.times, "2 or more");
        }
        if repeats.rows == 0 {
            return wrong("repeats.rows", &0, "1 or more");
        }
        let all = repeats.length.checked_mul(repeats.times).and_then(|n| n.checked_mul(repeats.rows));
        if all.is_none_or(|all| all > MOST) {
            return wrong("repeats", &"more than a million tokens", "length · times · rows up to that");
        }
        if let Some(ids) = &repeats.ids {
            let length = ids.first().map_or(0, Vec::len);
            if length < 2 || ids.iter().any(|row| row.len() != length) {
                return wrong(
                    "repeats.ids",
                    &"no row, or rows of other lengths",
                    "rows of one length, 2 or more",
                );
            }
        }
        let learning = &self.in_context_learning;
        if learning.early == 0 || learning.late <= learning.early {
            let found = format!("{} and {}", learning.early, learning.late);
            return wrong("in_context_learning", &found, "early 1 or more, and late above it");
        }
        if self.baseline.draws > 1000 {
            return wrong("baseline.draws", &self.baseline.draws, "0 to 1000");
        }
        Ok(Box::new(HeadDetection::new(self.clone())))
    }
}

fmrai_core::register_experiment!(
    HeadDetectionConfig,
    name: "head_detection",
    summary: "previous-token, duplicate-token and induction heads, copying, composition of heads, in-context learning (Elhage et al. 2021, Olsson et al. 2022)",
);
