//! Data as people have them: compressed, in many files, in tables.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use fmrai_core::batch::Sample;
use fmrai_core::tensor::DType;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Counts, DataContext, DataError, RegisteredDataSource};
use crate::files::FileInfo;
use crate::model::{Axis, InputSpec};
use crate::text::Tokenizer;

/// The texts of a source by their ids, its counts and its files; or the error, with the folder taken out.
fn read(folder: &Path, source: &Value) -> Result<(Vec<String>, Counts, Vec<FileInfo>), String> {
    let (samples, counts, files) = read_samples(folder, source)?;
    let texts = samples.into_iter().map(|sample| sample.text.as_deref().unwrap().to_owned());
    Ok((texts.collect(), counts, files))
}

/// The further fields of the records of a source.
fn fields(folder: &Path, source: &Value) -> Result<Vec<Value>, String> {
    let (samples, ..) = read_samples(folder, source)?;
    Ok(samples.into_iter().map(|sample| sample.fields.into()).collect())
}

fn read_samples(folder: &Path, source: &Value) -> Result<(Vec<Sample>, Counts, Vec<FileInfo>), String> {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/models/bert");
    let tokenizer = Tokenizer::read(&reference, 1000, None).unwrap();
    let any = Axis::Range { min: 1, max: None };
    let inputs = ["input_ids", "attention_mask"].map(|name| InputSpec {
        name: name.to_owned(),
        dtype: Some(DType::Int64),
        axes: Some(vec![any, any]),
        required: true,
        values: None,
    });
    let context =
        DataContext { base: folder, tokenizer: Some(&tokenizer), max_tokens: Some(64), inputs: &inputs };
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source.clone()).unwrap();
    let read = || -> Result<_, DataError> {
        let mut batches = source.open(&context)?;
        let mut samples = BTreeMap::new();
        while let Some(batch) = batches.next_batch()? {
            samples.extend(batch.samples.into_iter().map(|sample| (sample.id, sample)));
        }
        let (read, all) = batches.progress();
        assert!(read <= all && 10 * read >= 9 * all, "{read} of {all}");
        Ok((samples.into_values().collect(), batches.counts(), batches.files()?))
    };
    read().map_err(|error| error.to_string().replace(&folder.display().to_string(), "."))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(text, 1).unwrap()
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(24))]

    /// However texts are compressed and cut into files, they are the same ones in the same order.
    #[test]
    fn texts_are_the_same_in_any_files(
        lines in prop::collection::vec("[a-z ]{0,12}", 1..60),
        cut in any::<prop::sample::Index>(),
        ways in prop::collection::vec(0usize..4, 2),
    ) {
        let mut lines = lines;
        lines.push("the end".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("parts")).unwrap();
        let (one, other) = lines.split_at(cut.index(lines.len()));
        for ((name, lines), way) in [("a", one), ("b", other)].into_iter().zip(ways) {
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
            let bytes = match way {
                0 => text,
                1 => gzip(&text),
                2 => zstd(&text),
                // Members one after the other, as log rotation leaves them.
                _ => [gzip(&text[..text.len() / 2]), gzip(&text[text.len() / 2..])].concat(),
            };
            std::fs::write(path.join("parts").join(format!("{name}.txt")), bytes).unwrap();
        }
        std::fs::write(path.join("parts/.hidden"), "not a text").unwrap();
        std::fs::write(path.join("all"), lines.join("\n")).unwrap();
        let (expected, counts, _) = read(path, &json!({ "type": "text", "path": "all" })).unwrap();
        for named in ["parts", "parts/*.txt", "p*/?.txt"] {
            let (texts, found, files) = read(path, &json!({ "type": "text", "path": named })).unwrap();
            prop_assert_eq!(&texts, &expected);
            prop_assert_eq!(found, counts);
            let names: Vec<&str> = files.iter().map(|file| file.name.rsplit('/').next().unwrap()).collect();
            prop_assert_eq!(names, ["a.txt", "b.txt"]);
            prop_assert_eq!(files[0].clone().sha256, FileInfo::read(&path.join("parts/a.txt"), "").unwrap().sha256);
        }
    }
}

#[test]
fn tables_of_parquet_hold_the_texts_that_were_written() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/tables").canonicalize().unwrap();
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let all: Vec<Option<&str>> = expected["texts"].as_array().unwrap().iter().map(Value::as_str).collect();
    let texts: Vec<String> =
        all.iter().flatten().filter(|text| !text.trim().is_empty()).map(|text| (*text).to_owned()).collect();
    for way in ["plain", "snappy", "zstd", "gzip", "delta", "large"] {
        let source =
            json!({ "type": "parquet", "path": format!("{way}.parquet"), "column": "text", "batch_size": 3 });
        let (found, counts, _) = read(&folder, &source).unwrap();
        assert_eq!(found, texts, "{way}");
        assert_eq!(counts.skipped_empty, 3);
    }
    let source = json!({ "type": "parquet", "path": "[gp]*.parquet", "column": "text" });
    assert_eq!(read(&folder, &source).unwrap().0, [texts.clone(), texts].concat());

    let ids: Vec<Value> = fields(
        &folder,
        &json!({ "type": "parquet", "path": "zstd.parquet", "column": "text", "keep": ["id", "text"] }),
    )
    .unwrap();
    let kept: Vec<Value> = all
        .iter()
        .zip(0..)
        .filter_map(|(text, id)| {
            text.filter(|text| !text.trim().is_empty()).map(|text| json!({ "id": id, "text": text }))
        })
        .collect();
    assert_eq!(ids, kept);
    let tags = json!({ "type": "parquet", "path": "plain.parquet", "column": "text", "keep": ["tags"] });
    assert!(fields(&folder, &tags).unwrap_err().contains("the column \"tags\" holds no single values"));

    let error = |file: &str, column: &str| {
        read(&folder, &json!({ "type": "parquet", "path": file, "column": column })).unwrap_err()
    };
    assert_eq!(
        error("plain.parquet", "txt"),
        "./plain.parquet: no column \"txt\"; there are \"id\", \"text\", \"tags\""
    );
    for column in ["id", "tags"] {
        assert!(
            error("plain.parquet", column).contains("holds no strings"),
            "{}",
            error("plain.parquet", column)
        );
    }
    assert!(error("expected.json", "text").starts_with("./expected.json: no Parquet file: "));
}

#[test]
fn fields_that_are_kept_go_with_their_texts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lines = [
        json!({ "text": "one", "label": 1, "from": "a", "sure": true }),
        json!({ "text": " ", "label": 2 }),
        json!({ "label": 2.5, "text": "two words and more", "from": null }),
        json!({ "text": "three", "label": [1] }),
    ];
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(folder.join("all.jsonl"), text[..3].join("\n")).unwrap();
    std::fs::write(folder.join("bad.jsonl"), text.join("\n")).unwrap();
    let source = |file: &str| json!({ "type": "jsonl", "path": file, "field": "text", "keep": ["label", "from", "sure"], "batch_size": 1 });
    assert_eq!(
        fields(folder, &source("all.jsonl")).unwrap(),
        [
            json!({ "label": 1, "from": "a", "sure": true }),
            json!({ "label": 2.5, "from": null, "sure": null })
        ]
    );
    assert_eq!(
        fields(folder, &source("bad.jsonl")).unwrap_err(),
        "./bad.jsonl:4: field \"label\" is an array, a string, a number, a truth value or null is needed"
    );
    std::fs::write(folder.join("all.csv"), "label;text;from\n1;one;a\n2;\"two; and\nmore\";\n").unwrap();
    let source = |keep: Value| json!({ "type": "csv", "path": "all.csv", "column": "text", "delimiter": ";", "keep": keep });
    assert_eq!(
        fields(folder, &source(json!(["from", "label"]))).unwrap(),
        [json!({ "from": "a", "label": "1" }), json!({ "from": "", "label": "2" })]
    );
    assert_eq!(
        fields(folder, &source(json!(["form"]))).unwrap_err(),
        "./all.csv:1: no column \"form\"; there are \"label\", \"text\", \"from\""
    );
    assert_eq!(fields(folder, &source(json!([]))).unwrap(), [json!({}), json!({})]);
}

#[test]
fn what_is_no_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let error = |named: &str| read(path, &json!({ "type": "text", "path": named })).unwrap_err();
    assert_eq!(error("*.txt"), "./*.txt: there is no file");
    assert!(
        error("[.txt").contains("is no pattern") || error("[.txt").contains("No such file"),
        "{}",
        error("[.txt")
    );
    std::fs::create_dir(path.join("empty")).unwrap();
    assert_eq!(error("empty"), "./empty: there is no file");
    // A line of one of several files is told with its name.
    std::fs::create_dir(path.join("parts")).unwrap();
    std::fs::write(path.join("parts/a.txt"), "one\n\ntwo\n").unwrap();
    std::fs::write(path.join("parts/b.txt"), b"three\nfour \xff\n").unwrap();
    assert_eq!(error("parts"), "./parts/b.txt:2: invalid UTF-8 at byte 6 of the line");
    // Compressed, and cut short or no text.
    let packed = gzip("a line\n".repeat(9000).as_bytes());
    std::fs::write(path.join("short.gz"), &packed[..packed.len() / 2]).unwrap();
    assert!(error("short.gz").starts_with("./short.gz: "), "{}", error("short.gz"));
    std::fs::write(path.join("odd.gz"), gzip(&[0, 1, 2, 0])).unwrap();
    std::fs::write(path.join("wide.zst"), zstd(b"\xff\xfea\0b\0")).unwrap();
    assert!(error("wide.zst").contains("it is text in UTF-16"), "{}", error("wide.zst"));
    assert!(error("wide.zst").contains("when it is decompressed"), "{}", error("wide.zst"));
}

/// Every byte of a table changed, and the table cut at every place: an error or the texts of a table, never a panic that gets out.
#[test]
fn changed_tables_are_read_or_refused() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/tables/snappy.parquet");
    let bytes = std::fs::read(reference).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = json!({ "type": "parquet", "path": "x.parquet", "column": "text" });
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let changed = (0..bytes.len()).step_by(3).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        changed
    });
    let cut = (0..bytes.len()).step_by(17).map(|at| bytes[..at].to_vec());
    for spoiled in changed.chain(cut) {
        std::fs::write(folder.path().join("x.parquet"), spoiled).unwrap();
        let _ = std::panic::catch_unwind(|| read(folder.path(), &source)).expect("no panic gets out");
    }
    std::panic::set_hook(hook);
}
