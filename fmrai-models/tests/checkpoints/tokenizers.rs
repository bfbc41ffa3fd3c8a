//! Tokenizers against transformers, and tokenizers that are wrong.

use fmrai_torch::text::{Encoded, Tokenizer};
use serde_json::{Value, json};

use crate::common::*;

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

/// Byte offsets of reference offsets, which count characters.
fn bytes(text: &str, offsets: &Value) -> Vec<std::ops::Range<usize>> {
    let at: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let pair = |pair: &Value| {
        let ends = numbers(pair);
        at[usize::try_from(ends[0]).unwrap()]..at[usize::try_from(ends[1]).unwrap()]
    };
    offsets.as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn tokens_are_those_of_transformers_whole_and_truncated() {
    let json = std::fs::read(reference().join("text/expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&json).unwrap();
    let most = usize::try_from(expected["max_tokens"].as_u64().unwrap()).unwrap();
    for name in ["bert", "distilbert", "roberta"] {
        let model = load(&model_folder(name));
        let tokenizer = model.tokenizer().unwrap();
        for case in expected[name].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let check = |encoded: &Encoded, expected: &Value| {
                let ids: Vec<u64> = encoded.token_ids.iter().map(|&id| u64::from(id)).collect();
                assert_eq!(ids, numbers(&expected["input_ids"]), "{name}: {text}");
                let special: Vec<u64> = encoded.special.iter().map(|&s| u64::from(s)).collect();
                assert_eq!(special, numbers(&expected["special_tokens_mask"]), "{name}: {text}");
                assert_eq!(encoded.offsets, bytes(text, &expected["offsets"]), "{name}: {text}");
                let tokens = encoded.token_ids.iter().map(|&id| &tokenizer.vocabulary().tokens[id as usize]);
                assert!(
                    tokens.eq(expected["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()))
                );
            };
            let whole = tokenizer.encode(text, None).unwrap();
            assert_eq!(whole.truncated, 0);
            check(&whole, &case["full"]);
            let short = tokenizer.encode(text, Some(most)).unwrap();
            assert_eq!(short.truncated, whole.token_ids.len().saturating_sub(most));
            check(&short, &case["truncated"]);
        }
    }
}

#[test]
fn special_tokens_are_found() {
    for (name, ids) in [("bert", [2, 3, 0, 1]), ("roberta", [0, 2, 1, 3])] {
        let model = load(&model_folder(name));
        let tokenizer = model.tokenizer().unwrap();
        let v = tokenizer.vocabulary();
        let found = [v.first, v.separator, v.padding, v.unknown];
        assert_eq!(found, ids.map(Some), "{name}");
        assert_eq!(tokenizer.special_tokens(), 2);
        assert_eq!(v.tokens.len(), if name == "bert" { 280 } else { 420 });
    }
}

/// The tokenizer of a checkpoint, without its model.
fn tokenizer(checkpoint: &Checkpoint) -> Tokenizer {
    Tokenizer::read(checkpoint.path(), 280, None).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn padding_is_found_in_whichever_file_names_it() {
    let bare = || {
        let checkpoint = Checkpoint::of("bert");
        checkpoint.remove("special_tokens_map.json").remove("tokenizer_config.json");
        checkpoint
    };
    let padding = |c: &Checkpoint| tokenizer(c).vocabulary().padding;
    // Where nothing names it, a token that is called so is taken.
    assert_eq!(padding(&bare()), Some(0));
    let setting = |token: &str, id: u32| {
        json!({"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": id,
               "pad_type_id": 0, "pad_token": token})
    };
    let own = bare();
    own.json("tokenizer.json", |json| json["padding"] = setting("[MASK]", 4));
    assert_eq!(padding(&own), Some(4));
    // A setting that contradicts the vocabulary is not believed.
    own.json("tokenizer.json", |json| json["padding"] = setting("[MASK]", 0));
    own.write("tokenizer_config.json", r#"{"pad_token": {"content": "[UNK]"}}"#);
    assert_eq!(padding(&own), Some(1));
    own.write("special_tokens_map.json", r#"{"pad_token": "[SEP]"}"#);
    assert_eq!(padding(&own), Some(3));
    assert_eq!(Tokenizer::read(bare().path(), 280, Some(7)).unwrap().vocabulary().padding, Some(7));
}

#[test]
fn padding_and_truncation_of_the_file_are_switched_off() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.json("tokenizer.json", |json| {
        json["truncation"] =
            json!({"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"});
        json["padding"] = json!({"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": null,
                                 "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    });
    let (changed, plain) = (tokenizer(&checkpoint), tokenizer(&Checkpoint::of("bert")));
    for text in ["", "The keeper writes the weather in a book."] {
        assert_eq!(changed.encode(text, None).unwrap(), plain.encode(text, None).unwrap());
    }
}

#[test]
fn a_tokenizer_may_add_nothing() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.json("tokenizer.json", |json| json["post_processor"] = Value::Null);
    let tokenizer = tokenizer(&checkpoint);
    let vocabulary = tokenizer.vocabulary();
    assert_eq!((vocabulary.first, vocabulary.separator, tokenizer.special_tokens()), (None, None, 0));
    assert_eq!(tokenizer.encode("a book", Some(1)).unwrap().special, [false]);
}

#[test]
fn wrong_tokenizers() {
    type Damage<'a> = &'a dyn Fn(&Checkpoint);
    let cases: [(Damage<'_>, &str); 3] = [
        (
            &|c| {
                c.write("tokenizer.json", "{}");
            },
            "./tokenizer.json: broken tokenizer: ",
        ),
        (
            &|c| {
                c.write("tokenizer.json", [0xff, 0x00]);
            },
            "./tokenizer.json: broken tokenizer: ",
        ),
        (
            &|c| {
                c.write("special_tokens_map.json", "{");
            },
            "./special_tokens_map.json: malformed JSON: EOF while parsing an object at line 1 column 1",
        ),
    ];
    for (change, message) in cases {
        let checkpoint = Checkpoint::of("bert");
        change(&checkpoint);
        let error = checkpoint.error();
        assert!(error.starts_with(message), "{error}\nshould start with\n{message}");
    }
}

#[test]
fn ids_beyond_the_model_are_no_fault_of_the_tokenizer() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.json("tokenizer.json", |json| {
        json["model"]["vocab"]["zebra"] = json!(4_000_000_000_u32);
        json["post_processor"]["special_tokens"]["[CLS]"]["ids"] = json!([280]);
    });
    let model = load(checkpoint.path());
    let tokenizer = model.tokenizer().unwrap();
    assert_eq!(tokenizer.vocabulary().tokens.len(), 280, "what the model lacks is not listed");
    let encode = |text: &str| tokenizer.encode(text, None).unwrap().token_ids;
    assert_eq!(encode("zebra"), [280, 4_000_000_000, 3]);
    let said =
        |text: &str| fmrai_torch::data::unknown_token(tokenizer, &encode(text), &model.inputs()).unwrap();
    assert!(said("a book").contains("has id 280, the model has tokens 0 to 279"), "{}", said("a book"));
    // Where nothing is known of the model, an absurd id asks for no memory.
    let alone = Tokenizer::read(checkpoint.path(), u32::MAX, None).unwrap();
    assert_eq!(alone.vocabulary().tokens.len(), 280);
}

#[test]
fn a_word_that_cannot_be_encoded_is_an_error() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.json("tokenizer.json", |json| json["model"]["unk_token"] = json!("[NONE]"));
    let error = tokenizer(&checkpoint).encode("日本語 \u{1f4a1}", None).unwrap_err().to_string();
    assert!(error.starts_with("the tokenizer cannot encode the text: "), "{error}");
}

#[test]
fn a_template_without_its_token_is_an_error() {
    let checkpoint = Checkpoint::of("bert");
    checkpoint.json("tokenizer.json", |json| {
        json["post_processor"]["special_tokens"].as_object_mut().unwrap().remove("[SEP]");
    });
    let error = Tokenizer::read(checkpoint.path(), 280, None).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json: broken tokenizer: "), "{error}");
}
