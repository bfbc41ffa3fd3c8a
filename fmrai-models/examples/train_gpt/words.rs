//! Words as tokens.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::Fallible;

/// Ends each paragraph, and stands for padding. Its token is 0.
const END: &str = "<|endoftext|>";
/// Stands for rare words. Its token is 1.
const UNKNOWN: &str = "<unk>";

/// The content of a tokenizer.json whose tokens are the end of a paragraph, the unknown word, and `words`.
pub(crate) fn tokenizer_json(words: &[String]) -> Value {
    let special = |id: u32, token: &str| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let tokens = [END, UNKNOWN].into_iter().chain(words.iter().map(String::as_str));
    let vocabulary: serde_json::Map<String, Value> =
        tokens.zip(0..).map(|(token, id)| (token.to_owned(), json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(0, END), special(1, UNKNOWN)],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    })
}

/// The tokenizer of these words.
pub(crate) fn tokenizer(words: &[String]) -> Fallible<Tokenizer> {
    Tokenizer::from_bytes(tokenizer_json(words).to_string()).map_err(|e| e.to_string().into())
}

/// The most frequent words of a text, the most frequent first; of equally frequent ones the first by alphabet.
pub(crate) fn frequent_words(text: &str, count: usize) -> Fallible<Vec<String>> {
    let encoded = tokenizer(&[])?.encode(text, false).map_err(|e| e.to_string())?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (start, end) in encoded.get_offsets() {
        *counts.entry(text.get(*start..*end).unwrap_or_default().to_lowercase()).or_default() += 1;
    }
    // Texts may spell them out.
    counts.retain(|word, _| word != END && word != UNKNOWN);
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(words.into_iter().take(count).map(|(word, _)| word).collect())
}

/// The tokens of a text; each paragraph ends with the end token.
pub(crate) fn tokens(text: &str, tokenizer: &Tokenizer) -> Fallible<Vec<i64>> {
    let mut all = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let encoded = tokenizer.encode(paragraph, false).map_err(|e| e.to_string())?;
        all.extend(encoded.get_ids().iter().copied().map(i64::from));
        all.push(0);
    }
    Ok(all)
}
