//! Parts of the data, run apart and put together.

use std::path::{Path, PathBuf};

use fmrai_core::tensor::{TensorData, from_safetensors};
use fmrai_core::tolerance::Tolerance;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{BATCHES, WHOLE, execute, place, plan};
use crate::error::{Error, Exit};
use crate::plan::{Catalogue, read};
use crate::run::{Options, Outcome, Part, Work, run};
use crate::testing::{assert_same, contents};

fn document() -> Value {
    let mut document = plan(&json!([
        { "type": "test_sums", "unit": "tokens" },
        { "type": "test_failing", "stage": "analyze" },
        { "type": "attention_patterns" },
    ]));
    document["parity"] = json!("every");
    document["capture"] = json!({ "select": ["attention[0].probabilities"] });
    document
}

/// Does a part of the work, into a folder of the place; stopped once so many batches are done.
fn part(place: &Path, document: &Value, work: Work, output: &str, stop_after: u64) -> Result<Outcome, Error> {
    let file = place.join("plan.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let mut plan = read(&file, &Catalogue::linked().unwrap())?;
    plan.output = place.join(output);
    fmrai_torch::set_threads(1).unwrap();
    let stop = |batches| batches >= stop_after;
    run(plan, &Options { work, resume: true, stop: &stop, ..Options::default() })
}

fn batches(place: &Path, document: &Value, from: u64, to: u64, output: &str) {
    let outcome = part(place, document, Work::Part(Part::Batches { from, to }), output, u64::MAX).unwrap();
    assert!(outcome.part.is_some() && !place.join(output).join("summary.json").exists());
}

fn merge(
    place: &Path,
    document: &Value,
    folders: &[&str],
    partial: bool,
    output: &str,
) -> Result<Outcome, Error> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| place.join(folder)).collect();
    part(place, document, Work::Merge { folders, partial }, output, u64::MAX)
}

/// The tensors of an analysis are those of another run, but for the order in which numbers were added up.
fn assert_reordered(place: &Path, output: [&str; 2], analysis: &str) {
    let read = |output: &str| {
        let bytes = std::fs::read(place.join(output).join(analysis).join("tensors.safetensors")).unwrap();
        from_safetensors(&bytes).unwrap().0
    };
    let [one, other] = output.map(read);
    assert_eq!(one.len(), other.len());
    for ((name, one), (other_name, other)) in one.iter().zip(&other) {
        assert_eq!(name, other_name);
        match (one.data(), other.data()) {
            (TensorData::F32(one), TensorData::F32(other)) => Tolerance::STATISTIC.check(one, other).unwrap(),
            (TensorData::F64(one), TensorData::F64(other)) => Tolerance::REORDERED.check(one, other).unwrap(),
            (one, other) => assert_eq!(one, other, "{name}"),
        }
    }
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(6))]

    /// However the data are parted, and in whatever order and tree what they give is put together: the results are those of one run.
    #[test]
    fn any_parts_in_any_order_give_the_results_of_one_run(
        cuts in prop::collection::btree_set(1u64..BATCHES, 0..4),
        joins in prop::collection::vec((any::<Index>(), any::<Index>()), 4),
        stopped in any::<Index>(),
    ) {
        let place = place();
        let (place, document) = (place.path(), document());
        execute(place, &document, &WHOLE).unwrap();
        let cuts: Vec<u64> = [0].into_iter().chain(cuts).chain([BATCHES]).collect();
        let mut folders = Vec::new();
        for pair in cuts.windows(2) {
            let folder = format!("part-{}", pair[0]);
            let work = Work::Part(Part::Batches { from: pair[0], to: pair[1] });
            // One is interrupted somewhere, and goes on.
            if stopped.index(cuts.len() - 1) == folders.len() {
                let after = pair[0] + 1;
                prop_assert!(part(place, &document, work.clone(), &folder, after).is_err());
            }
            part(place, &document, work, &folder, u64::MAX).unwrap();
            folders.push(folder);
        }
        for (number, (one, other)) in joins.into_iter().enumerate().take(folders.len().saturating_sub(2)) {
            let one = folders.swap_remove(one.index(folders.len()));
            let other = folders.swap_remove(other.index(folders.len()));
            let both = format!("both-{number}");
            merge(place, &document, &[&one, &other], true, &both).unwrap();
            folders.push(both);
        }
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let outcome = merge(place, &document, &folders, false, "merged").unwrap();
        prop_assert_eq!(outcome.exit(), Exit::AnalysisFailed);
        prop_assert_eq!(outcome.counts.texts, 2 * BATCHES);
        let inexact = ["attention_patterns"];
        for ((file, one), (other_file, parts)) in contents(&place.join("out")).into_iter().zip(contents(&place.join("merged"))) {
            prop_assert_eq!(&file, &other_file);
            let summed = file.ends_with("report.html") || inexact.iter().any(|name| file.starts_with(name));
            prop_assert!(summed || one == parts, "{} differs", file.display());
        }
        for name in inexact {
            assert_reordered(place, ["out", "merged"], name);
        }
    }
}

/// Those that go through the data again, or wait for others, do so once all parts are there.
#[test]
fn every_built_in_method_is_put_together() {
    let place = place();
    let linked = Catalogue::linked().unwrap();
    let offers = linked.analyzers.iter().filter(|offer| !offer.name.starts_with("test_"));
    let mut analyses: Vec<Value> = offers.map(|offer| offer.example.clone()).collect();
    analyses.push(json!({
        "type": "ablation", "name": "after", "sites": ["head"],
        "groups": { "induction": { "from": "head_detection", "table": "heads", "by": "induction", "top": 2 } }
    }));
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference").canonicalize().unwrap();
    let mut document = plan(&json!(analyses));
    document["model"]["path"] = json!(reference.join("decoders/gpt2"));
    document["data"] =
        json!({ "type": "pairs", "path": reference.join("experiments/gpt2/pairs.jsonl"), "batch_size": 2 });
    let (place, document) = (place.path(), document);
    let whole = execute(place, &document, &WHOLE).unwrap();
    assert!(whole.analyses.iter().all(|(_, answer)| answer.is_ok()), "{:?}", whole.analyses);
    for shard in 1..=3 {
        let work = Work::Part(Part::Shard { shard, of: 3 });
        part(place, &document, work, &format!("part-{shard}"), u64::MAX).unwrap();
    }
    merge(place, &document, &["part-3", "part-1"], true, "two").unwrap();
    let merged = merge(place, &document, &["part-2", "two"], false, "merged").unwrap();
    assert_eq!(merged.analyses.len(), whole.analyses.len());
    for (name, answer) in &merged.analyses {
        assert!(answer.is_ok(), "{name}: {answer:?}");
        if place.join("out").join(name).join("tensors.safetensors").exists() {
            assert_reordered(place, ["out", "merged"], name);
        }
    }
}

#[test]
fn what_cannot_be_put_together_is_named() {
    let place = place();
    let (place, document) = (place.path(), plan(&json!([{ "type": "test_sums" }])));
    batches(place, &document, 0, 2, "a");
    batches(place, &document, 2, 4, "b");
    let wrong = |folders: &[&str], what: &str| {
        let error = merge(place, &document, folders, false, "merged").unwrap_err();
        assert_eq!(error.exit(), Exit::Input);
        let error = error.to_string().replace(&place.display().to_string(), ".");
        assert!(error.contains(what), "{error}");
        assert!(!place.join("merged").exists(), "nothing is left of a merge that was refused");
    };
    wrong(&["a", "b"], "batch 4; add what is missing");
    wrong(&["b"], "batches 0 to 1; batch 4; add");
    batches(place, &document, 1, 3, "c");
    wrong(&["a", "c", "b"], "batch 1 are in both ./a and ./c");
    wrong(&["a", "a"], "batches 0 to 1 are in both ./a and ./a");
    wrong(&["a", "nowhere"], "./nowhere holds no unfinished run");
    let half = Work::Part(Part::Batches { from: 2, to: 5 });
    part(place, &document, half.clone(), "half", 3).unwrap_err();
    wrong(&["a", "half"], "batches 3 to 4; batches 3 to 4 of ./half are not done there");
    let other = plan(&json!([{ "type": "test_sums", "scale": 2.0 }]));
    batches(place, &other, 2, 5, "other");
    wrong(&["a", "other"], "./other is not of this run: the plan has another analyses");
    // Who writes there holds the lock.
    let lock = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(place.join("a/.checkpoint/lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    wrong(&["a", "half"], "./a is in use by another run");
    drop(lock);

    part(place, &document, half, "half", u64::MAX).unwrap();
    merge(place, &document, &["a", "half"], false, "merged").unwrap();
    execute(place, &document, &WHOLE).unwrap();
    assert_same(&place.join("merged"), &place.join("out"));
}

#[test]
fn a_folder_of_a_part_is_not_taken_for_another() {
    let place = place();
    let (place, document) = (place.path(), plan(&json!([{ "type": "test_sums" }])));
    let shard = |shard, of| Work::Part(Part::Shard { shard, of });
    part(place, &document, shard(1, 2), "out", u64::MAX).unwrap();
    for work in [Work::Whole, shard(2, 2)] {
        let error = part(place, &document, work, "out", u64::MAX).unwrap_err().to_string();
        assert!(
            error.contains("is about batches 0 to 1 of 5: give it the same --shard or --batches, merge it"),
            "{error}"
        );
    }
    // What is done is done, and more shards than batches are no harm.
    part(place, &document, shard(1, 2), "out", u64::MAX).unwrap();
    for number in 1..=8 {
        part(place, &document, shard(number, 8), &format!("eighth-{number}"), u64::MAX).unwrap();
    }
    let folders: Vec<String> = (1..=8).map(|number| format!("eighth-{number}")).collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    merge(place, &document, &folders, false, "merged").unwrap();
    execute(place, &document, &super::How { output: "whole", ..WHOLE }).unwrap();
    assert_same(&place.join("merged"), &place.join("whole"));
    let error =
        part(place, &document, Work::Part(Part::Batches { from: 4, to: 9 }), "far", u64::MAX).unwrap_err();
    assert_eq!(error.to_string(), "the data have 5 batches, 0 to 4, and 4..9 is asked for");
}
