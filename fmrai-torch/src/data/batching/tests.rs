//! Batches are the same however many of those before them are passed over.

use std::path::Path;

use fmrai_core::tensor::DType;
use proptest::prelude::*;
use serde_json::json;

use crate::data::{Batches, Counts, DataContext, InputBatch, RegisteredDataSource};
use crate::model::{Axis, InputSpec};
use crate::text::Tokenizer;

const ANY: Axis = Axis::Range { min: 1, max: None };

/// A tokenizer of words that adds nothing, for which `~` is no token at all.
fn tokenizer(folder: &Path) -> Tokenizer {
    let document = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "post_processor": null, "decoder": null,
        "normalizer": { "type": "Replace", "pattern": { "String": "~" }, "content": "" },
        "pre_tokenizer": { "type": "Whitespace" },
        "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "a": 1, "b": 2 }, "unk_token": "[UNK]" },
    });
    std::fs::write(folder.join("tokenizer.json"), document.to_string()).unwrap();
    Tokenizer::read(folder, 3, None).unwrap()
}

fn inputs(mask: bool) -> Vec<InputSpec> {
    let input = |name: &str| InputSpec {
        name: name.to_owned(),
        dtype: Some(DType::Int64),
        axes: Some(vec![ANY, ANY]),
        required: true,
        values: None,
    };
    ["input_ids", "attention_mask"].into_iter().take(if mask { 2 } else { 1 }).map(input).collect()
}

/// What there is of a batch: its index, and the ids and lengths of its samples.
type Seen = (u64, Vec<(u64, usize)>);

fn seen(batch: &InputBatch) -> Seen {
    (batch.index, batch.samples.iter().map(|sample| (sample.id, sample.token_ids.len())).collect())
}

fn rest(batches: &mut dyn Batches) -> Vec<Seen> {
    let mut all = Vec::new();
    while let Some(batch) = batches.next_batch().unwrap() {
        all.push(seen(&batch));
    }
    all
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(96))]

    #[test]
    fn what_is_passed_over_changes_nothing_of_the_rest(
        words in prop::collection::vec(prop::sample::select(vec!["", " ", "~", "a", "a b", "a b a", "b b b b ~"]), 1..700),
        batch_size in 1usize..4,
        limit in prop::option::of(1u64..600),
        mask: bool,
        pieces in prop::collection::vec((prop::bool::ANY, 1u64..200), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("texts"), words.join("\n")).unwrap();
        let (tokenizer, inputs) = (tokenizer(folder.path()), inputs(mask));
        let context = DataContext {
            base: folder.path(), tokenizer: Some(&tokenizer), max_tokens: Some(32), inputs: &inputs,
        };
        let document = json!({ "type": "text", "path": "texts", "batch_size": batch_size, "limit": limit });
        let source: Box<dyn RegisteredDataSource> = serde_json::from_value(document).unwrap();
        if words.iter().all(|word| word.trim().is_empty()) {
            prop_assert!(source.open(&context).unwrap().next_batch().is_err());
            return Ok(());
        }
        let whole = || {
            let mut batches = source.open(&context).unwrap();
            (rest(batches.as_mut()), batches.counts())
        };
        let (all, counted) = whole();
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        prop_assert_eq!(&one_thread.install(whole), &(all.clone(), counted), "nothing is read ahead on one thread");
        let indices: Vec<u64> = all.iter().map(|(index, _)| *index).collect();
        prop_assert!(indices.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", indices);
        let total = source.open(&context).unwrap().pass_over(u64::MAX).unwrap();
        prop_assert!(indices.last().is_none_or(|last| *last < total));

        // Some are read and some passed over, by one reader and then, for the counts, each piece by a reader of its own.
        let mut one = source.open(&context).unwrap();
        let (mut from, mut counts) = (0, Counts::default());
        for (read, count) in pieces.into_iter().chain([(true, total)]) {
            let to = total.min(from + count);
            let mut other = source.open(&context).unwrap();
            prop_assert_eq!(other.pass_over(from).unwrap(), from);
            let before = other.counts();
            let mut found = Vec::new();
            let mut reader = |batches: &mut dyn Batches| {
                // A batch of a later piece may come where texts without tokens leave a gap.
                let mut next = from;
                while next < to {
                    let Some(batch) = batches.next_batch().unwrap() else { break };
                    next = batch.index + 1;
                    found.push(seen(&batch));
                }
            };
            reader(other.as_mut());
            let expected: Vec<Seen> = all.iter().filter(|(index, _)| (from..to).contains(index)).cloned().collect();
            let gap = found.last().is_some_and(|(index, _)| *index >= to);
            if gap { found.pop(); }
            prop_assert_eq!(&found, &expected);
            if !gap { counts = counts.plus(other.counts().since(before)); }
            if indices.len() as u64 != total {
                // One reader in pieces is told by counts, which gaps are not in.
            } else if read {
                for expected in &expected {
                    prop_assert_eq!(&seen(&one.next_batch().unwrap().unwrap()), expected);
                }
            } else {
                prop_assert_eq!(one.pass_over(to - from).unwrap(), to - from);
            }
            if gap { return Ok(()); }
            from = to;
        }
        if indices.len() as u64 == total {
            prop_assert_eq!(rest(one.as_mut()), Vec::new());
        }
        prop_assert_eq!(counts, counted);
    }
}

/// Share of the data that is done after each batch of two texts, in per cent.
fn progress(texts: usize, limit: Option<u64>) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..texts).map(|i| "a ".repeat(1 + i % 5) + "\n").collect();
    std::fs::write(folder.path().join("texts"), lines).unwrap();
    let (tokenizer, inputs) = (tokenizer(folder.path()), inputs(true));
    let context = DataContext {
        base: folder.path(),
        tokenizer: Some(&tokenizer),
        max_tokens: Some(32),
        inputs: &inputs,
    };
    let document = json!({ "type": "text", "path": "texts", "batch_size": 2, "limit": limit });
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(document).unwrap();
    let mut batches = source.open(&context).unwrap();
    let mut shares = Vec::new();
    while batches.next_batch().unwrap().is_some() {
        let (done, of) = batches.progress();
        assert!(done <= of, "{done} of {of}");
        shares.push(done * 100 / of);
    }
    shares
}

/// Texts are read ahead to be sorted by length: those that wait are not done.
#[test]
fn what_waits_is_not_done() {
    let shares = progress(40, None);
    assert_eq!(shares.len(), 20);
    assert!(shares[0] <= 10 && shares[9] <= 60 && shares[18] < 100, "{shares:?}");
    assert!(shares.is_sorted() && shares.last() == Some(&100), "{shares:?}");
}

/// A limit is the end of the data.
#[test]
fn a_limit_is_all_there_is_to_do() {
    let shares = progress(40, Some(10));
    assert_eq!(shares.len(), 5);
    assert!(shares[0] <= 40 && shares.is_sorted() && shares.last() == Some(&100), "{shares:?}");
    assert_eq!(progress(6, Some(1000)).last(), Some(&100), "fewer than the limit");
}
