//! Everything that can be wrong with data.

use fmrai_core::data::{DataContext, DataError, DataSource};
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
        (b"\n[1]\n", jsonl(), "./data:2: is an array, an object with the field \"text\" is needed"),
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
        (with(text(), "path", "."), "./.: is a folder, a file is needed".to_owned()),
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
    let source: Box<dyn DataSource> = serde_json::from_value(text()).unwrap();
    let context =
        DataContext { base: std::path::Path::new("."), tokenizer: None, max_tokens: None, inputs: &[] };
    let error = source.open(&context).err().unwrap();
    assert!(matches!(error, DataError::Unsuitable(_)));
    assert!(error.to_string().starts_with("the data are texts, but the model has no tokenizer: "), "{error}");
}

#[test]
fn sources_of_unknown_kind_or_field_name_the_valid_ones() {
    let parse = |json: Value| serde_json::from_value::<Box<dyn DataSource>>(json).unwrap_err().to_string();
    assert_eq!(
        parse(with(text(), "type", "xml")),
        "unknown variant `xml`, expected one of `csv`, `jsonl`, `tensors`, `text`"
    );
    assert_eq!(
        parse(with(text(), "max_token", 3)),
        "unknown field `max_token`, expected one of `path`, `batch_size`, `max_tokens`, `limit`"
    );
    assert_eq!(parse(json!({"type": "csv", "path": "a"})), "missing field `column`");
    for source in [text(), jsonl(), csv()] {
        let parsed: Box<dyn DataSource> = serde_json::from_value(source.clone()).unwrap();
        let written = serde_json::to_value(&parsed).unwrap();
        assert_eq!((&written["type"], &written["batch_size"]), (&source["type"], &json!(8)));
        let again: Box<dyn DataSource> = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), written);
    }
}
