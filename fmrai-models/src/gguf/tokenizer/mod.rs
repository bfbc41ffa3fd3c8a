//! The tokenizer that a file holds: vocabulary, merges and settings in its metadata.

mod byte_level;
mod pieces;
mod sentence_piece;
#[cfg(test)]
mod tests;
mod word_piece;

use std::collections::BTreeMap;

use fmrai_torch::text::{ChatTemplate, Tokenizer};

use super::container::Value;
use super::keys::wrong;
use pieces::Pieces;

/// Kinds of tokenizers that are read, as `tokenizer.ggml.model` names them.
const READ: &str = "bert, gpt2, llama";

/// Settings whose meaning is known, besides those that [`Pieces`] reads.
const KNOWN: [&str; 5] = [
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.ggml.remove_extra_whitespaces",
];

/// The tokenizer of a file, for a model with `rows` rows in its embedding table.
///
/// # Errors
/// What is wrong with it. `Err` of the inner result says why a sound tokenizer is not read.
pub(super) fn read(
    metadata: &BTreeMap<String, Value>,
    rows: u32,
) -> Result<Result<Tokenizer, String>, String> {
    let text = |key: &str| {
        let value = metadata.get(key);
        value.map(|value| value.as_str().ok_or_else(|| wrong(key, value, "a text is needed"))).transpose()
    };
    let Some(kind) = text("tokenizer.ggml.model")? else {
        return Ok(Err("no `tokenizer.ggml.model`: the file holds no tokenizer".to_owned()));
    };
    if kind == "none" || !metadata.contains_key("tokenizer.ggml.tokens") {
        return Ok(Err("the file holds no vocabulary".to_owned()));
    }
    if let Some((key, value)) = metadata.iter().find(|(key, _)| unknown(key)) {
        return Ok(Err(format!("`{key}` is {value}: what it means for texts is not known here")));
    }
    let pieces = Pieces::read(metadata)?;
    let inner = match kind {
        "llama" => Ok(sentence_piece::assemble(metadata, &pieces)?),
        "gpt2" => byte_level::assemble(metadata, &pieces)?,
        "bert" => Ok(word_piece::assemble(&pieces)?),
        other => {
            return Ok(Err(format!(
                "`tokenizer.ggml.model` is {other:?}, which is not read; read are {READ}"
            )));
        }
    };
    let inner = match inner {
        Ok(inner) => inner,
        Err(reason) => return Ok(Err(reason)),
    };
    let token = |id: Option<u32>| id.and_then(|id| pieces.token(id)).unwrap_or_default().to_owned();
    let template = text("tokenizer.chat_template")?.map(|source| ChatTemplate {
        source: source.to_owned(),
        begin: token(pieces.begin),
        end: token(pieces.end),
    });
    Ok(Ok(Tokenizer::of(inner, rows, pieces.padding)?.with_chat_template(template)))
}

/// True for settings of the tokenizer that are not known. Named tokens, such as those around code to fill in, change no text's tokens.
fn unknown(key: &str) -> bool {
    key.strip_prefix("tokenizer.ggml.").is_some_and(|own| {
        !KNOWN.contains(&key) && !pieces::KNOWN.contains(&own) && !own.ends_with("_token_id")
    })
}
