//! Everything that can be wrong with data.

use fmrai_torch::data::{DataContext, DataError, RegisteredDataSource};
use serde_json::{Value, json};

use crate::common::*;
use crate::data_sources::with_data;

/// The message of the first error, at opening or reading, with the folder's path taken out.
fn error(content: &[u8], source: &Value) -> String {
    let model = load(&model_folder("bert"));
    with_data(&*model, content, source.clone(), |batches, folder| {
        let message = match batches {
            Err(message) => message,
            Ok(mut batches) => loop {
                match batches.next_batch() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("no error from {source}"),
                    Err(error) => {
                        assert!(batches.next_batch().unwrap().is_none(), "nothing comes after an error");
                        break error.to_string();
                    }
                }
            },
        };
        message.replace(&folder.display().to_string(), ".")
    })
}

fn text() -> Value {
    json!({"type": "text", "path": "data"})
}

fn jsonl() -> Value {
    json!({"type": "jsonl", "path": "data", "field": "text"})
}

fn csv() -> Value {
    json!({"type": "csv", "path": "data", "column": "text"})
}

fn with(mut source: Value, field: &str, value: impl Into<Value>) -> Value {
    source[field] = value.into();
    source
}

#[test]
fn bad_records_are_named_by_file_and_line() {
    let cases: Vec<(&[u8], Value, &str)> = vec![
        (b"one\ntw\xffo\n", text(), "./data:2: invalid UTF-8 at byte 3 of the line"),
        (
            b"{\"text\": \"a\"}\n{\"text\": \n",
            jsonl(),
            "./data:2: malformed JSON at column 9: EOF while parsing a value",
        ),
        (
            b"\n[1]\n",
            jsonl(),
            "./data:2: is an array, an object with the field \"text\" is needed; if the file is one JSON document, write its \
             objects one a line, e.g. with `jq -c '.[]'`",
        ),
        (b"{\"body\": \"a\", \"id\": 1}", jsonl(), "./data:1: no field \"text\"; there are \"body\", \"id\""),
        (b"{}", jsonl(), "./data:1: no field \"text\"; the object is empty"),
        (b"{\"text\": 3}", jsonl(), "./data:1: field \"text\" is a number, a string is needed"),
        (b"{\"text\": null}", jsonl(), "./data:1: field \"text\" is null, a string is needed"),
        (b"{\"text\": \"\xff\"}", jsonl(), "./data:1: invalid UTF-8 at byte 11 of the line"),
        (b"id,body\n1,a\n", csv(), "./data:1: no column \"text\"; there are \"id\", \"body\""),
        (b"", csv(), "./data:1: no column \"text\"; there is no header"),
        (b"text,text\na,b\n", csv(), "./data:1: more than one column \"text\""),
        (b"id,text\n1,a\n2\n", csv(), "./data:3: 1 fields, the header has 2"),
        (b"id,text\n1,a\n\n\n2,b,c\n", csv(), "./data:5: 3 fields, the header has 2"),
        (b"\r\nid,text\r\n1,\"a\r\nb\"\r\n\r\n2\r\n", csv(), "./data:6: 1 fields, the header has 2"),
        (b"id,text\n1,a\n2,\xff\n", csv(), "./data:3: invalid UTF-8 in field 2"),
        (b"id,\xff\n1,a\n", csv(), "./data:1: invalid UTF-8 in field 2"),
        (b"id,text\n1,a\n2,\"b\n3,c\n4,d\n", csv(), "./data:3: a quote is left open"),
        (b"text,id\na,1\n\"b,2\nc,3\n", csv(), "./data:3: 1 fields, the header has 2"),
    ];
    for (content, source, message) in cases {
        assert_eq!(error(content, &source), message);
    }
}

#[test]
fn a_lone_carriage_return_ends_a_line() {
    let cases: Vec<(&[u8], Value, &str)> = vec![
        (b"one\rtw\xffo\r", text(), "./data:2: invalid UTF-8 at byte 3 of the line"),
        (b"one\r\ntwo\n\rthr\xffee", text(), "./data:4: invalid UTF-8 at byte 4 of the line"),
        (
            b"{\"text\": \"a\"}\r{\"text\": 3}\r",
            jsonl(),
            "./data:2: field \"text\" is a number, a string is needed",
        ),
        (b"id,text\r1,a\r2\r", csv(), "./data:3: 1 fields, the header has 2"),
        (b"id,text\r\r1,\"a\rb\"\r\r2\r", csv(), "./data:6: 1 fields, the header has 2"),
    ];
    for (content, source, message) in cases {
        assert_eq!(error(content, &source), message);
    }
}

#[test]
fn files_that_are_no_text_in_utf_8_are_told_what_they_are() {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let big = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    let utf16 = "./data: needed is text in UTF-8, it is text in UTF-16: convert it, e.g. with `iconv -f UTF-16 -t UTF-8`";
    for source in [text(), jsonl(), csv()] {
        for content in [wide("\u{feff}text\na\n"), big("\u{feff}text\na\n"), wide("text\nthe keeper\n")] {
            assert_eq!(error(&content, &source), utf16, "{source}");
        }
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
        let said = error(pointer, &source);
        assert!(said.starts_with("./data: needed is text in UTF-8, it is a pointer of Git LFS"), "{said}");
        for (start, kind) in [
            (&b"\xfd7zXZ\0"[..], "compressed by xz"),
            (b"PK\x03\x04\0", "a zip archive"),
            (b"PAR1\0", "a Parquet table"),
        ] {
            let said = error(start, &source);
            assert!(said.starts_with(&format!("./data: needed is text in UTF-8, it is {kind}")), "{said}");
        }
    }
    // A text may begin like one of them.
    let model = load(&model_folder("bert"));
    for content in [&b"PAR1 and GGUF\n"[..], b"<html>\n", b"%PDF-x\n", b"PK\n"] {
        with_data(&*model, content, text(), |batches, _| {
            assert!(batches.unwrap().next_batch().unwrap().is_some());
        });
    }
}

#[test]
fn one_json_document_is_told_from_json_lines() {
    let advice = "; if the file is one JSON document, write its objects one a line, e.g. with `jq -c '.[]'`";
    let said = error(b"[{\"text\": \"a\"}]", &jsonl());
    assert_eq!(said, format!("./data:1: is an array, an object with the field \"text\" is needed{advice}"));
    let said = error(b"[\n {\"text\": \"a\"}\n]", &jsonl());
    assert_eq!(said, format!("./data:1: malformed JSON at column 1: EOF while parsing a list{advice}"));
    let said = error(b"id;text\n1;a\n", &csv());
    assert_eq!(said, "./data:1: no column \"text\"; there are \"id;text\"; is `delimiter` another one?");
}

#[test]
fn token_ids_that_the_model_lacks_are_told_with_their_sample() {
    let bytes = |values: &[i64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let file = |ids: &[i64]| {
        let (ids, mask) = (bytes(ids), bytes(&[1; 6]));
        let view =
            |data| safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![3, 2], data).unwrap();
        safetensors::serialize([("input_ids", view(&ids)), ("attention_mask", view(&mask))], None).unwrap()
    };
    let source = json!({"type": "tensors", "path": "data", "batch_size": 2});
    let said = |ids: &[i64]| error(&file(ids), &source);
    assert_eq!(
        said(&[2, 3, 4, 5, 6, 280]),
        "./data: sample 2: input_ids holds 280 at [1], the model has rows for 0 to 279"
    );
    assert_eq!(
        said(&[2, 3, -1, 5, 6, 7]),
        "./data: sample 1: input_ids holds -1 at [0], the model has rows for 0 to 279"
    );
    let page = error(b"<!doctype html>", &source);
    assert!(page.ends_with("; it is a page of the web in place of the file: the download was answered by a site, not by the file"), "{page}");
}

#[test]
fn records_have_a_longest_size() {
    let long = vec![b'a'; 17 << 20];
    assert_eq!(error(&long, &text()), "./data:1: the line is longer than 16 MiB");
    let open = [b"text\nok\n\"", long.as_slice()].concat();
    assert_eq!(error(&open, &csv()), "./data:3: the record is longer than 16 MiB; is a quote left open?");
}

#[test]
fn files_without_texts() {
    for (content, empty) in [(&b""[..], 0), (b"\n \n\t\r\n", 3)] {
        let message = format!("./data: there are no texts in it, only {empty} empty records");
        assert_eq!(error(content, &text()), message);
    }
    assert_eq!(error(b"text\n", &csv()), "./data: there are no texts in it, only 0 empty records");
}

#[test]
fn wrong_settings() {
    let added = "(the tokenizer adds 2 tokens to each text)";
    let cases = [
        (with(text(), "path", "absent"), "./absent: No such file or directory (os error 2)".to_owned()),
        (with(text(), "path", "*.txt"), "./*.txt: there is no file".to_owned()),
        (with(text(), "batch_size", 0), "batch_size is 0, valid is 1 or more".to_owned()),
        (with(jsonl(), "limit", 0), "limit is 0, valid is 1 or more".to_owned()),
        (with(csv(), "max_tokens", 2), format!("max_tokens is 2, valid is 3 to 64 {added}")),
        (with(text(), "max_tokens", 65), format!("max_tokens is 65, valid is 3 to 64 {added}")),
        (
            with(csv(), "delimiter", "é"),
            "delimiter is 'é', valid is one ASCII character other than a quote or a line end".to_owned(),
        ),
        (
            with(csv(), "delimiter", "\""),
            "delimiter is '\"', valid is one ASCII character other than a quote or a line end".to_owned(),
        ),
    ];
    for (source, message) in cases {
        assert_eq!(error(b"one\n", &source), message);
    }
}

#[test]
fn a_model_without_tokenizer_takes_no_text() {
    let source: Box<dyn RegisteredDataSource> = serde_json::from_value(text()).unwrap();
    let context =
        DataContext { base: std::path::Path::new("."), tokenizer: None, max_tokens: None, inputs: &[] };
    let error = source.open(&context).err().unwrap();
    assert!(matches!(error, DataError::Unsuitable(_)));
    assert!(error.to_string().starts_with("the data are texts, but the model has no tokenizer: "), "{error}");
}

#[test]
fn sources_of_unknown_kind_or_field_name_the_valid_ones() {
    let parse =
        |json: Value| serde_json::from_value::<Box<dyn RegisteredDataSource>>(json).unwrap_err().to_string();
    assert_eq!(
        parse(with(text(), "type", "xml")),
        "unknown variant `xml`, expected one of `csv`, `jsonl`, `pairs`, `parquet`, `tensors`, `text`, `texts`"
    );
    assert_eq!(
        parse(with(text(), "max_token", 3)),
        "unknown field `max_token`, expected one of `path`, `batch_size`, `max_tokens`, `limit`"
    );
    assert_eq!(parse(json!({"type": "csv", "path": "a"})), "missing field `column`");
    for source in [text(), jsonl(), csv()] {
        let parsed: Box<dyn RegisteredDataSource> = serde_json::from_value(source.clone()).unwrap();
        let written = serde_json::to_value(&parsed).unwrap();
        assert_eq!((&written["type"], &written["batch_size"]), (&source["type"], &json!(8)));
        let again: Box<dyn RegisteredDataSource> = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), written);
    }
}
