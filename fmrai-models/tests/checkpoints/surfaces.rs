//! Tokens as text, by the decoders of every kind of tokenizer. What is expected is written down by hand: the bytes of a character are
//! those of UTF-8, in the alphabet of GPT-2 where a tokenizer is byte-level.

use fmrai_torch::text::Tokenizer;
use serde_json::{Value, json};

use crate::common::*;

/// A tokenizer of these tokens, in the order of their ids.
fn tokenizer(model: &Value, tokens: &[&str], decoder: &Value, added: &[&str]) -> Tokenizer {
    let vocabulary: serde_json::Map<_, _> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    let mut model = model.clone();
    model["vocab"] = Value::Object(vocabulary);
    let added: Vec<Value> = added
        .iter()
        .map(|content| {
            let id = tokens.iter().position(|token| token == content).unwrap();
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": content.starts_with('<') })
        })
        .collect();
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": decoder, "model": model
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    Tokenizer::read(folder.path(), 1000, None).unwrap()
}

fn bpe() -> Value {
    json!({ "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "merges": [] })
}

fn byte_level() -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true })
}

#[track_caller]
fn check(tokenizer: &Tokenizer, texts: &[&str], surfaces: &[&str]) {
    let vocabulary = tokenizer.vocabulary();
    let ids = || 0..u32::try_from(vocabulary.tokens.len()).unwrap();
    assert_eq!(ids().map(|id| vocabulary.text(id).unwrap_or("")).collect::<Vec<_>>(), texts);
    assert_eq!(ids().map(|id| vocabulary.surface(id)).collect::<Vec<_>>(), surfaces);
}

const BYTES: [&str; 11] = ["Ã©", "ĠÃ©", "æĿ±", "æĿ", "±", "Ġ", "Ċ", "ĠĠthe", "<|end|>", "é!", "aÃ"];

#[test]
fn byte_level_tokens_are_their_characters() {
    let tokenizer = tokenizer(&bpe(), &BYTES, &byte_level(), &["<|end|>", "é!"]);
    // What was added is matched in texts as it is, so `é!` is that and no byte.
    check(
        &tokenizer,
        &["é", " é", "東", "<0xE6><0x9D>", "<0xB1>", " ", "\n", "  the", "<|end|>", "é!", "a<0xC3>"],
        &["é", "é", "東", "<0xE6><0x9D>", "<0xB1>", " ", "\n", "the", "<|end|>", "é!", "a<0xC3>"],
    );
}

#[test]
fn texts_of_tokens_keep_what_is_no_text() {
    let tokenizer = tokenizer(&bpe(), &BYTES, &byte_level(), &["<|end|>", "é!"]);
    let decode = |ids: &[u32]| tokenizer.decode(ids).unwrap();
    assert_eq!(decode(&[7, 1, 5, 3, 4]), "  the é 東");
    assert_eq!(decode(&[2, 3]), "東<0xE6><0x9D>", "a character that is not complete yet");
    assert_eq!(decode(&[10, 9, 8]), "a<0xC3>é!", "special tokens have no text");
}

#[test]
fn a_tokenizer_without_a_decoder_is_read_by_its_pre_tokenizer() {
    let checkpoint = Checkpoint::of("bert");
    let vocabulary: serde_json::Map<_, _> =
        BYTES.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    checkpoint.json("tokenizer.json", |json| {
        json["model"] = bpe();
        json["model"]["vocab"] = Value::Object(vocabulary);
        json["pre_tokenizer"] = byte_level();
        for field in ["decoder", "post_processor", "normalizer"] {
            json[field] = Value::Null;
        }
        json["added_tokens"] = json!([]);
    });
    checkpoint.remove("special_tokens_map.json").remove("tokenizer_config.json");
    let tokenizer = Tokenizer::read(checkpoint.path(), 280, None).unwrap();
    assert_eq!(tokenizer.vocabulary().surface(2), "東");
}

/// As Llama 2 and Gemma have it: spaces are `▁`, bytes tokens of their own.
#[test]
fn tokens_with_byte_fallback_are_their_characters() {
    let decoder = json!({ "type": "Sequence", "decoders": [
        { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
        { "type": "ByteFallback" },
        { "type": "Fuse" },
        { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
    ] });
    let tokens = ["<s>", "<0xE6>", "<0x9D>", "<0xB1>", "<0x0A>", "▁the", "▁", "▁▁▁", "é", "�"];
    let tokenizer = tokenizer(&bpe(), &tokens, &decoder, &["<s>"]);
    check(
        &tokenizer,
        &["<s>", "<0xE6>", "<0x9D>", "<0xB1>", "\n", " the", " ", "   ", "é", "�"],
        &["<s>", "<0xE6>", "<0x9D>", "<0xB1>", "\n", "the", " ", "   ", "é", "�"],
    );
    let decode = |ids: &[u32]| tokenizer.decode(ids).unwrap();
    assert_eq!(decode(&[0, 5, 6, 1, 2, 3]), "the 東");
    assert_eq!(decode(&[1, 2, 3, 1, 2]), "東<0xE6><0x9D>", "what is complete is text all the same");
    assert_eq!(decode(&[8, 1, 5, 9]), "é<0xE6> the�");
}

#[test]
fn marks_of_words_are_no_text() {
    let metaspace =
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let made = tokenizer(&bpe(), &["▁the", "re", "▁"], &metaspace, &[]);
    check(&made, &[" the", "re", " "], &["the", "re", " "]);
    let wordpiece = json!({ "type": "WordPiece", "prefix": "##", "cleanup": true });
    let model = json!({ "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                        "max_input_chars_per_word": 100 });
    let made = tokenizer(&model, &["[UNK]", "the", "##re", "."], &wordpiece, &[]);
    check(&made, &[" [UNK]", " the", "re", "."], &["[UNK]", "the", "re", "."]);
    let suffix = json!({ "type": "BPEDecoder", "suffix": "</w>" });
    let made = tokenizer(&bpe(), &["the</w>", "th"], &suffix, &[]);
    check(&made, &["the", "th"], &["the", "th"]);
}
