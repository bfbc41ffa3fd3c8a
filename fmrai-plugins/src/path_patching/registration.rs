//! How the analysis is made of its config, and found by its name.

use fmrai_core::analyzer::ConfigError;
use fmrai_core::experiment::{Experiment, ExperimentConfig};

use super::config::{Input, PathPatchingConfig, Receiver};
use super::experiment::PathPatching;

impl ExperimentConfig for PathPatchingConfig {
    fn build(&self) -> Result<Box<dyn Experiment>, ConfigError> {
        let wrong =
            |field, found: String, valid: &str| Err(ConfigError { field, found, valid: valid.to_owned() });
        let twice = (1..self.senders.len()).find(|at| self.senders[..*at].contains(&self.senders[*at]));
        if self.senders.is_empty() || twice.is_some() {
            let found = twice.map_or("empty".to_owned(), |at| format!("{} twice", self.senders[at].name()));
            return wrong("senders", found, "some of head, ffn and embedding, each once");
        }
        let receivers = &self.receivers;
        if let Some(at) = (1..receivers.len()).find(|at| receivers[..*at].contains(&receivers[*at])) {
            return wrong("receivers", format!("{} twice", receivers[at]), "different receivers");
        }
        let logits = receivers.iter().filter(|receiver| receiver.input().is_none()).count();
        if receivers.is_empty() || (logits > 0 && receivers.len() > 1) {
            let found = if receivers.is_empty() { "empty" } else { "logits together with inputs" };
            return wrong(
                "receivers",
                found.to_owned(),
                "logits alone, or inputs of heads and feed-forward blocks",
            );
        }
        let inputs = receivers.iter().filter_map(Receiver::input);
        if let Some(input) =
            inputs.into_iter().find(|input| (input.input == Input::Ffn) == input.head.is_some())
        {
            let found = match input.head {
                Some(head) => format!("the input ffn of head {head}"),
                None => format!("the input {} without a head", input.input.name()),
            };
            return wrong("receivers", found, "query, key and value with a head, ffn without one");
        }
        Ok(Box::new(PathPatching::new(self.clone())))
    }
}

fmrai_core::register_experiment!(
    PathPatchingConfig,
    name: "path_patching",
    summary: "what each head, feed-forward block and the embeddings give to the logits or to an input of a head directly (Wang et al. 2023, Goldowsky-Dill et al. 2023)",
);
