//! Texts to batches.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use fmrai_core::registry::Registered;
use fmrai_core::tolerance::Tolerance;
use fmrai_torch::data::{Batches, Counts, DataContext, DataSources, InputBatch, RegisteredDataSource};
use fmrai_torch::model::Model;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::*;

/// Opens `source` on a file `data` with this content and hands over what comes of it.
pub(crate) fn with_data<T>(
    model: &dyn Model,
    content: &[u8],
    source: Value,
    then: impl FnOnce(Result<Box<dyn Batches + '_>, String>, &Path) -> T,
) -> T {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("data"), content).unwrap();
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source).unwrap();
    let inputs = model.inputs();
    let context = DataContext {
        base: folder.path(),
        tokenizer: model.tokenizer(),
        max_tokens: model.info().max_tokens,
        inputs: &inputs,
    };
    then(source.open(&context).map_err(|e| e.to_string()), folder.path())
}

/// All batches of a source, and its counts at the end.
fn read(model: &dyn Model, content: &[u8], source: Value) -> (Vec<InputBatch>, Counts) {
    with_data(model, content, source, |batches, _| {
        let mut batches = batches.unwrap();
        let mut all = Vec::new();
        while let Some(batch) = batches.next_batch().unwrap() {
            all.push(batch);
        }
        assert!(batches.next_batch().unwrap().is_none(), "the end is the end");
        let (read, total) = batches.progress();
        assert!(read <= total && total == content.len() as u64);
        (all, batches.counts())
    })
}

/// Texts in the order of their ids.
fn texts(batches: &[InputBatch]) -> Vec<String> {
    let samples = batches.iter().flat_map(|b| &b.samples);
    let by_id: BTreeMap<u64, String> =
        samples.map(|s| (s.id, s.text.as_deref().unwrap().to_owned())).collect();
    assert!(by_id.keys().copied().eq(0..by_id.len() as u64), "ids are the order of appearance");
    by_id.into_values().collect()
}

fn bert() -> Box<dyn Model> {
    load(&model_folder("bert"))
}

#[test]
fn every_format_gives_the_same_texts() {
    let model = bert();
    let lines = "\u{feff}The keeper writes.\r\n\r\nHi\n   \nA grey, grey \"hat\"";
    let objects = "\u{feff}{\"id\": 1, \"text\": \"The keeper writes.\"}\n{\"text\": \"\"}\r\n\n{\"text\": \"Hi\"}\n\
                   {\"text\": \"A grey, grey \\\"hat\\\"\"}\n";
    let rows = "\u{feff}text,id\r\nThe keeper writes.,1\r\n,2\r\nHi,3\r\n\" \",5\r\n\"A grey, grey \"\"hat\"\"\",4\r\n";
    let old = lines.replace("\r\n", "\n").replace('\n', "\r");
    let tabs = "id\ttext\n1\tThe keeper writes.\n2\tHi\n3\t\"A grey, grey \"\"hat\"\"\"";
    let cases = [
        (lines, json!({"type": "text", "path": "data"}), 2),
        (&old, json!({"type": "text", "path": "data"}), 2),
        (objects, json!({"type": "jsonl", "path": "data", "field": "text"}), 2),
        (rows, json!({"type": "csv", "path": "data", "column": "text"}), 2),
        (tabs, json!({"type": "csv", "path": "data", "column": "text", "delimiter": "\t"}), 0),
    ];
    for (content, source, skipped) in cases {
        let (batches, counts) = read(&*model, content.as_bytes(), source.clone());
        assert_eq!(texts(&batches), ["The keeper writes.", "Hi", "A grey, grey \"hat\""], "{source}");
        assert_eq!((counts.texts, counts.skipped_empty), (3, skipped), "{source}");
    }
}

#[test]
fn quoted_fields_may_hold_lines() {
    let source = json!({"type": "csv", "path": "data", "column": "b"});
    let (batches, _) = read(&*bert(), b"a,b\n1,\"one\ntwo\"\n2,\"three\n\nfour\"", source);
    assert_eq!(texts(&batches), ["one\ntwo", "three\n\nfour"]);
}

#[test]
fn batches_hold_texts_of_similar_length_padded_on_the_right() {
    let content = b"The keeper writes the weather in a book.\nHi\nThe river\nH\n";
    let model = bert();
    let source = json!({"type": "text", "path": "data", "batch_size": 2});
    let (batches, counts) = read(&*model, content, source);
    let ids: Vec<Vec<u64>> = batches.iter().map(|b| b.samples.iter().map(|s| s.id).collect()).collect();
    assert_eq!(ids, [[3, 1], [2, 0]]);
    assert_eq!(batches.iter().map(|b| b.index).collect::<Vec<_>>(), [0, 1]);
    let mut tokens = 0;
    for batch in &batches {
        let (given, mask) = (&batch.inputs.0[0], &batch.inputs.0[1]);
        assert_eq!((given.0.as_str(), mask.0.as_str()), ("input_ids", "attention_mask"));
        let width = batch.samples.iter().map(|s| s.token_ids.len()).max().unwrap();
        assert_eq!(given.1.size(), [batch.samples.len() as i64, width as i64]);
        let rows = |t: &fmrai_torch::Tensor| Vec::<Vec<i64>>::try_from(t.tch()).unwrap();
        for ((sample, row), mask) in batch.samples.iter().zip(rows(&given.1)).zip(rows(&mask.1)) {
            let length = sample.token_ids.len();
            assert_eq!(sample.span, 0..length);
            assert!(row[..length].iter().copied().eq(sample.token_ids.iter().map(|&id| i64::from(id))));
            assert!(row[length..].iter().all(|id| *id == 0), "filled with the padding token");
            assert!(mask.iter().enumerate().all(|(i, m)| *m == i64::from(i < length)));
            assert_eq!((sample.special.len(), sample.offsets.len()), (length, length));
            tokens += length as u64;
        }
    }
    assert_eq!(counts.tokens, tokens);
}

#[test]
fn roberta_is_padded_with_its_own_token() {
    let model = load(&model_folder("roberta"));
    let (batches, _) = read(&*model, b"Hi\nThe river begins\n", json!({"type": "text", "path": "data"}));
    let ids = Vec::<Vec<i64>>::try_from(batches[0].inputs.0[0].1.tch()).unwrap();
    assert_eq!(ids[0].last(), Some(&1));
}

#[test]
fn long_texts_are_cut_and_counted() {
    let content = b"The keeper writes the weather in a book.\nHi\n";
    let source = json!({"type": "text", "path": "data", "max_tokens": 6});
    let (batches, counts) = read(&*bert(), content, source);
    let lengths: Vec<_> = batches[0].samples.iter().map(|s| s.token_ids.len()).collect();
    assert_eq!(lengths, [4, 6]);
    // 19 tokens with [CLS] and [SEP], of which 13 are lost.
    let expected =
        Counts { texts: 2, tokens: 10, truncated_texts: 1, truncated_tokens: 13, skipped_empty: 0 };
    assert_eq!(counts, expected);
    assert_eq!(batches[0].samples[1].token_ids.last(), Some(&3), "[SEP] is kept");
    let whole = batches[0].samples[1].text.as_deref();
    assert_eq!(whole, Some("The keeper writes the weather in a book."));

    // Without a setting, the model's limit holds.
    let long = "river ".repeat(100);
    let (batches, counts) = read(&*bert(), long.as_bytes(), json!({"type": "text", "path": "data"}));
    assert_eq!((batches[0].samples[0].token_ids.len(), counts.truncated_texts), (64, 1));
}

#[test]
fn a_limit_counts_texts_and_not_empty_records() {
    let source = json!({"type": "text", "path": "data", "limit": 2});
    let (batches, counts) = read(&*bert(), b"one\n\ntwo\nthree\n", source);
    assert_eq!(texts(&batches), ["one", "two"]);
    assert_eq!((counts.texts, counts.skipped_empty), (2, 1));
}

#[test]
fn files_longer_than_the_window_keep_all_texts() {
    // 64 batches of 2 are read at a time.
    let lines: Vec<String> = (0..301).map(|i| "river ".repeat(i % 7 + 1) + &i.to_string()).collect();
    let source = json!({"type": "text", "path": "data", "batch_size": 2});
    let (batches, counts) = read(&*bert(), lines.join("\n").as_bytes(), source);
    assert_eq!(texts(&batches), lines);
    assert_eq!((counts.texts, batches.len()), (301, 151));
    let ids = |range: std::ops::Range<usize>| -> Vec<u64> {
        let mut ids: Vec<_> = batches[range].iter().flat_map(|b| &b.samples).map(|s| s.id).collect();
        ids.sort_unstable();
        ids
    };
    assert!(ids(0..64).into_iter().eq(0..128) && ids(64..128).into_iter().eq(128..256));
    let lengths: Vec<_> = batches[..64].iter().flat_map(|b| &b.samples).map(|s| s.token_ids.len()).collect();
    assert!(lengths.is_sorted());
}

#[test]
fn files_are_named_and_hashed() {
    with_data(&*bert(), b"abc", json!({"type": "text", "path": "data"}), |batches, _| {
        let files = batches.unwrap().files().unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((files.len(), files[0].name.as_str(), files[0].bytes), (1, "data", 3));
        assert_eq!(files[0].sha256, sha256);
    });
}

#[test]
fn sources_are_listed_with_their_fields() {
    let sources = DataSources::linked().unwrap();
    let about: Vec<_> = sources.iter().map(Registered::about).collect();
    assert_eq!(
        about.iter().map(|s| s.name).collect::<Vec<_>>(),
        ["csv", "jsonl", "pairs", "parquet", "tensors", "text", "texts"]
    );
    for source in about.iter().filter(|source| source.name != "tensors") {
        let schema = (source.schema)();
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|f| f["description"].is_string()), "{}", source.name);
        let batch_size = if source.name == "pairs" { 4 } else { 8 };
        assert_eq!(
            (&fields["batch_size"]["default"], &schema["additionalProperties"]),
            (&json!(batch_size), &json!(false))
        );
    }
}

fn models() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| vec!["bert", "distilbert", "roberta"])
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(12))]

    /// A text's hidden states do not depend on what else is in its batch.
    #[test]
    fn batching_does_not_change_a_text(
        model in prop::sample::select(models()),
        texts in prop::collection::vec("[a-z]{1,8}( [a-zA-Z,.é]{1,6}){0,8}", 1..8),
        batch_size in 1_usize..6,
    ) {
        let model = load(&model_folder(model));
        let states = |batch_size: usize| {
            let source = json!({"type": "text", "path": "data", "batch_size": batch_size});
            let (batches, _) = read(&*model, texts.join("\n").as_bytes(), source);
            let mut by_id = BTreeMap::new();
            for batch in batches {
                let outputs = model.forward(&batch.inputs).unwrap();
                let states = outputs.get("last_hidden_state").unwrap();
                for (row, sample) in batch.samples.iter().enumerate() {
                    let own = states.tch().get(row as i64).narrow(0, 0, sample.token_ids.len() as i64);
                    by_id.insert(sample.id, f32s(&own));
                }
            }
            by_id
        };
        let (alone, together) = (states(1), states(batch_size));
        prop_assert_eq!(alone.len(), texts.len());
        for (id, expected) in &alone {
            Tolerance::ACTIVATION.check(&together[id], expected).unwrap_or_else(|e| panic!("text {id}: {e}"));
        }
    }
}
