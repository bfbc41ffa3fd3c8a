//! Every built-in analyzer, with its defaults, under every law of the contract.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use fmrai_core::analyzer::{Method, Registry};
use fmrai_core::testing::{Recorded, check_contract};
use fmrai_plugins as _;

/// What reads a model's weights, which recordings do not have: tried on models in `tests/program/readings`.
const OF_MODELS: [&str; 2] = ["direct_logit_attribution", "logit_lens"];

#[test]
fn the_contract_of_analyzers_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fmrai-host/templates/recorded");
    let recorded = Recorded::open(folder).unwrap();
    let registry = Registry::linked().unwrap();
    assert!(registry.iter().count() >= 2);
    let broken: Vec<String> = registry
        .iter()
        .filter(|entry| !entry.drives_model && !OF_MODELS.contains(&entry.about.name))
        .filter_map(|entry| {
            let make = || match (entry.example)().method() {
                Ok(Method::Analyzer(analyzer)) => Ok(analyzer),
                Ok(Method::Experiment(_)) => Err("it drives the model".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            check_contract(&make, &recorded).err().map(|what| format!("{}:\n{what}", entry.about.name))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
