//! Sixty-four words of one syllable, a token each.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::RngCore;
use serde_json::{Value, json};

/// Stands before each text, and for padding. Its token is 0.
const START: &str = "<|endoftext|>";
/// Stands for what is no word. Its token is 1.
const UNKNOWN: &str = "<unk>";
/// Tokens before those of the words.
const BEFORE: usize = 2;

const CONSONANTS: &str = "bdfghjklmnprstvz";
const VOWELS: &str = "aeio";

/// Words of the vocabulary.
pub(crate) const WORDS: usize = CONSONANTS.len() * VOWELS.len();

/// Tokens of the vocabulary.
pub(crate) const TOKENS: usize = BEFORE + WORDS;

/// The words, in the order of their tokens.
pub(crate) fn words() -> Vec<String> {
    CONSONANTS.chars().flat_map(|c| VOWELS.chars().map(move |v| format!("{c}{v}"))).collect()
}

/// The token of a word by its place.
pub(crate) fn token(word: usize) -> usize {
    BEFORE + word
}

/// Places of `count` different words, in random order.
pub(crate) fn draw(count: usize, random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
    let mut all: Vec<usize> = (0..WORDS).collect();
    for at in 0..count {
        let chosen = at + below(WORDS - at, random);
        all.swap(at, chosen);
    }
    all.truncate(count);
    all
}

/// A random number below `n`.
pub(crate) fn below(n: usize, random: &mut Xoshiro256PlusPlus) -> usize {
    usize::try_from((u128::from(random.next_u64()) * n as u128) >> 64).unwrap_or(0)
}

/// The content of tokenizer.json: words between spaces, and the start of a text before each.
pub(crate) fn tokenizer_json() -> Value {
    let special = |id: u32, token: &str| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let start = json!({"SpecialToken": {"id": START, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let tokens = [START, UNKNOWN].map(str::to_owned).into_iter().chain(words());
    let vocabulary: serde_json::Map<String, Value> =
        tokens.zip(0..).map(|(token, id)| (token, json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(0, START), special(1, UNKNOWN)],
        "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, text("A")],
            "pair": [start, text("A"), text("B")],
            "special_tokens": {START: {"id": START, "ids": [0], "tokens": [START]}},
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    })
}
