//! Tokenizers of files against the tokenizers that they were made of.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::read;
use crate::gguf::container::{GgufFile, Value};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/gguf/tokenizers")
}

fn json(name: &str) -> Json {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

#[test]
fn ids_are_those_of_the_tokenizers_that_files_were_made_of() {
    let texts = json("texts.json");
    let texts: Vec<&str> = texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(texts.len() > 200);
    for name in ["bert-wpm", "gemma-spm", "gpt2-bpe", "llama-bpe", "llama-spm", "qwen2-bpe"] {
        let file = GgufFile::open(&folder().join(format!("{name}.gguf"))).unwrap();
        let tokenizer = read(file.metadata(), u32::MAX).unwrap().unwrap();
        let expected = json(&format!("{name}.json"));
        let mut wrong = Vec::new();
        for (number, (text, ids)) in texts.iter().zip(expected["ids"].as_array().unwrap()).enumerate() {
            // More spaces than the longest token of them has: SentencePiece takes as many as it can at a time, transformers joins them
            // from two on. We do as transformers.
            let as_transformers =
                Some(&expected["transformers"][number.to_string()]).filter(|_| name == "gemma-spm");
            let expected = as_transformers.filter(|ids| ids.is_array()).unwrap_or(ids);
            let expected: Vec<u32> =
                expected.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
            let found = tokenizer.encode(text, None).unwrap().token_ids;
            if found != expected {
                wrong.push(format!("{text:?}: found {found:?}, expected {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{name}: {} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
    }
}

#[test]
fn texts_come_back() {
    for name in ["gemma-spm", "gpt2-bpe", "llama-bpe", "llama-spm", "qwen2-bpe"] {
        let file = GgufFile::open(&folder().join(format!("{name}.gguf"))).unwrap();
        let tokenizer = read(file.metadata(), u32::MAX).unwrap().unwrap();
        for text in ["The keeper writes.", "  two  spaces\tand a tab\n", "天気 🏔️ é"] {
            let ids = tokenizer.encode(text, None).unwrap().token_ids;
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{name}");
        }
    }
}

#[test]
fn what_is_not_known_is_told_by_its_key() {
    let file = GgufFile::open(&folder().join("gpt2-bpe.gguf")).unwrap();
    let with = |key: &str, value: Value| {
        let mut metadata = file.metadata().clone();
        metadata.insert(key.to_owned(), value);
        read(&metadata, u32::MAX)
    };
    let text = |text: &str| Value::String(text.to_owned());
    let reason = |key: &str, value: Value| with(key, value).unwrap().unwrap_err();
    assert!(reason("tokenizer.ggml.pre", text("viking")).starts_with(
        "`tokenizer.ggml.pre` is \"viking\": how it cuts texts is not known here; known are codeshell, "
    ));
    let mut old = file.metadata().clone();
    old.remove("tokenizer.ggml.pre");
    old.insert("general.architecture".to_owned(), text("llama"));
    assert!(
        read(&old, u32::MAX).unwrap().unwrap_err().starts_with("no `tokenizer.ggml.pre`, as in old files")
    );
    old.insert("general.architecture".to_owned(), text("gpt2"));
    assert!(read(&old, u32::MAX).unwrap().is_ok());
    assert_eq!(
        reason("tokenizer.ggml.model", text("rwkv")),
        "`tokenizer.ggml.model` is \"rwkv\", which is not read; read are bert, gpt2, llama"
    );
    assert_eq!(
        reason("tokenizer.ggml.precompiled_charsmap", Value::U8(1)),
        "`tokenizer.ggml.precompiled_charsmap` is 1: what it means for texts is not known here"
    );
    let error = |key: &str, value: Value| with(key, value).unwrap_err();
    assert_eq!(
        error("tokenizer.ggml.tokens", Value::U8(3)),
        "`tokenizer.ggml.tokens` is 3, a list of texts is needed"
    );
    let needed = "a number below 600, that of tokens, is needed";
    let found = error("tokenizer.ggml.bos_token_id", Value::U32(70_000));
    assert!(found.starts_with("`tokenizer.ggml.bos_token_id` is 70000, a number below "), "{found} {needed}");
    assert!(error("tokenizer.ggml.add_bos_token", Value::U8(1)).ends_with("true or false is needed"));
}
