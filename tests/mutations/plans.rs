//! Changed plans are read, checked and refused in words.

use std::path::Path;

use fmrai_host::plan::{Catalogue, read};
use serde_json::json;

use super::common::{ROOT, reference};
use super::mutate::{bytes, json as changed};
use super::trial::{assert_in_words, cases};

fn plans() -> Vec<String> {
    let examples = ["minilm.json", "memories.json", "minilm-memories.json"];
    let mut plans: Vec<String> = examples
        .iter()
        .map(|name| std::fs::read_to_string(Path::new(ROOT).join("examples").join(name)).unwrap())
        .collect();
    plans.push(
        json!({
            "format": 1,
            "model": { "type": "exported_program", "path": reference("bert").join("model.pt2") },
            "data": { "type": "csv", "path": "a.csv", "column": "text", "batch_size": 2, "max_tokens": 8 },
            "analyses": [
                { "type": "attention_patterns", "name": "a" },
                { "type": "attention_clustering", "clusters": 3, "seed": 4 },
                { "type": "ffn_key_value", "triggers": 4, "contexts": 2 }
            ],
            "capture": { "select": ["attention[*].probabilities", "#3"] },
            "plugins": [{ "path": "none.so", "sha256": "00" }],
            "parity": "every",
            "checkpoint_seconds": 1,
            "output": "out"
        })
        .to_string(),
    );
    plans.push(json!({ "format": 1, "activations": "stored", "analyses": [{ "type": "attention_patterns" }], "output": "out" }).to_string());
    plans
}

#[test]
fn changed_plans_are_checked() {
    let plans = plans();
    let catalogue = Catalogue::linked().unwrap();
    cases("plans", 300, move |random, folder| {
        let plan = random.one_of(&plans).clone();
        let plan = if random.once_in(8) { bytes(random, plan.as_bytes()) } else { changed(random, &plan) };
        let file = folder.join("plan.json");
        std::fs::write(&file, plan).unwrap();
        if let Err(error) = read(&file, &catalogue) {
            assert_in_words(&error.to_string());
        }
    });
}
