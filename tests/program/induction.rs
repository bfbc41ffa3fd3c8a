//! Two layers that are trained on repeated words have induction heads, and without them nothing is left of in-context learning: the experiment of
//! `docs/experiments/induction.md`, from the training to the numbers.

#[path = "../../fmrai-models/examples/train_induction/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod train_induction;

use std::path::Path;

use serde_json::Value;
use train_induction::{Options, run};

use crate::common::{ROOT, assert_exit, column, fmrai, json_file};

/// Words of the model, of which the next one is any where nothing tells it.
const WORDS: f64 = 64.0;

/// Runs a plan of the examples in a folder that stands for `runs`.
fn runs(plan: &str, folder: &Path) {
    let text = std::fs::read_to_string(Path::new(ROOT).join("examples").join(plan)).unwrap();
    let file = folder.join(plan);
    std::fs::write(&file, text.replace("../runs/induction", ".")).unwrap();
    assert_exit(&fmrai(&["run", file.to_str().unwrap()]), 0);
}

#[test]
fn without_induction_heads_there_is_no_in_context_learning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(&Options { out: folder.to_owned(), steps: 450, seed: 2 }, &mut |_| ()).unwrap();
    runs("induction.json", folder);
    runs("induction-first.json", folder);

    let heads = folder.join("study/heads/tables/heads.csv");
    let (layers, matching) = (column(&heads, "layer"), column(&heads, "prefix_matching"));
    let strong: Vec<f64> =
        layers.iter().zip(&matching).filter(|(_, score)| **score > 0.4).map(|(layer, _)| *layer).collect();
    assert!(strong.len() >= 2 && strong.iter().all(|layer| *layer > 0.5), "{matching:?}");

    let summary = |run: &str| json_file(&folder.join(run).join("ablate/summary.json"));
    let loss = |run: &str| summary(run)["summary"]["answer_loss"].as_f64().unwrap();
    let added =
        |run: &str| column(&folder.join(run).join("ablate/tables/loss_added_group.csv"), "metric_added");
    let chance = WORDS.ln();
    // Groups are sorted by name: induction, previous token, three of induction.
    let [induction, previous, _] = added("study")[..] else { panic!("{:?}", added("study")) };
    assert!(loss("study") < 0.5, "a repeated word is known: {}", loss("study"));
    assert!((loss("study") + induction - chance).abs() < 0.5, "{} and {induction} more", loss("study"));
    assert!(previous > 1.0, "{previous}");
    // In the first repetition there is nothing to lose.
    assert!((loss("first") - chance).abs() < 0.2, "{}", loss("first"));
    assert!(added("first")[0].abs() < 0.2, "{:?}", added("first"));
    // Those that were found in one run were taken in the other.
    let groups = |run: &str| -> Value { summary(run)["config"]["groups"]["induction"].clone() };
    assert_eq!(groups("study"), groups("first"));
    assert_eq!(groups("study").as_array().map(Vec::len), Some(4));
}

#[test]
fn wrong_arguments_are_told() {
    let parsed = |text: &str| Options::parse(text.split_whitespace().map(str::to_owned));
    let told = |text: &str| parsed(text).unwrap_err().to_string();
    assert_eq!(parsed("out --seed 3").unwrap(), Options { out: "out".into(), steps: 600, seed: 3 });
    assert_eq!(told("out --steps"), "--steps needs a value");
    assert_eq!(told("out --steps many"), "--steps is \"many\", a whole number of 0 or more is needed");
    assert_eq!(told("out --rate 1"), "--rate is unknown, valid are --steps, --seed");
    assert_eq!(told("a b"), "an output folder is needed, found [\"a\", \"b\"]");
}
