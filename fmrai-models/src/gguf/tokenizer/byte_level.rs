//! Byte-pair encoding of bytes, as GPT-2 introduced it: a pattern cuts texts, each part is bytes that are joined by rank.

use std::collections::BTreeMap;

use fmrai_torch::text::QWEN2_PATTERN;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use super::pieces::Pieces;
use crate::gguf::container::Value;
use crate::gguf::keys::wrong;

/// How a text is cut before its bytes are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// As GPT-2 does.
    Gpt2,
    /// As GPT-2 does, but each digit is a part.
    Digits,
    /// By this pattern.
    By(&'static str),
}

/// What `tokenizer.ggml.pre` means.
struct Way {
    names: &'static [&'static str],
    cut: Cut,
    /// Whether characters are composed first.
    composed: bool,
    /// Whether a part that is a token is that token, whatever its merges.
    whole: bool,
    /// Whether a text begins with the token for the beginning where the file does not say.
    begin: bool,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const WAYS: [Way; 5] = [
    Way {
        names: &["gpt-2", "gpt2", "jais", "mpt", "phi-2"],
        cut: Cut::Gpt2,
        composed: false,
        whole: false,
        begin: false,
    },
    Way { names: &["olmo"], cut: Cut::Gpt2, composed: true, whole: false, begin: false },
    Way {
        names: &["codeshell", "exaone", "minerva-7b", "refact", "smollm", "starcoder"],
        cut: Cut::Digits,
        composed: false,
        whole: false,
        begin: false,
    },
    Way {
        names: &["falcon3", "llama-bpe", "llama-v3", "llama3", "pixtral"],
        cut: Cut::By(LLAMA3),
        composed: false,
        whole: true,
        begin: true,
    },
    Way {
        names: &["deepseek-r1-qwen", "qwen2"],
        cut: Cut::By(QWEN2_PATTERN),
        composed: true,
        whole: false,
        begin: false,
    },
];

/// The tokenizer of these pieces. `Err` of the inner result says why it is not read.
pub(super) fn assemble(
    metadata: &BTreeMap<String, Value>,
    pieces: &Pieces<'_>,
) -> Result<Result<Tokenizer, String>, String> {
    let key = "tokenizer.ggml.pre";
    let architecture = metadata.get("general.architecture").and_then(Value::as_str);
    let pre = match metadata.get(key) {
        None if matches!(architecture, Some("gpt2" | "gptneox")) => "gpt-2",
        None => return Ok(Err(format!("no `{key}`, as in old files: how texts are cut is not told"))),
        Some(value) => value.as_str().ok_or_else(|| wrong(key, value, "a text is needed"))?,
    };
    let Some(way) = WAYS.iter().find(|way| way.names.contains(&pre)) else {
        let mut known: Vec<&str> = WAYS.iter().flat_map(|way| way.names).copied().collect();
        known.sort_unstable();
        let known = known.join(", ");
        return Ok(Err(format!(
            "`{key}` is {pre:?}: how it cuts texts is not known here; known are {known}"
        )));
    };
    let key = "tokenizer.ggml.merges";
    let value = metadata.get(key).ok_or_else(|| format!("no `{key}`"))?;
    let lines = value.as_strings().ok_or_else(|| wrong(key, value, "a list of texts is needed"))?;
    let mut merges = Vec::with_capacity(lines.len());
    for (line, number) in lines.iter().zip(1..) {
        // The first token may begin with a space in the spelling of some vocabularies, never the second.
        let parts =
            line.char_indices().skip(1).find(|(_, c)| *c == ' ').map(|(place, _)| line.split_at(place));
        let Some((first, second)) = parts else {
            return Err(format!(
                "merge {number} of `{key}` is {line:?}, two tokens with a space between are needed"
            ));
        };
        merges.push((first.to_owned(), second.get(1..).unwrap_or_default().to_owned()));
    }
    let spell = |_: usize, token: &str| token.to_owned();
    let model = BPE::builder()
        .vocab_and_merges(pieces.vocabulary(spell), merges)
        .ignore_merges(way.whole)
        .build()
        .map_err(|e| format!("`{key}`: {e}"))?;
    let mut tokenizer = Tokenizer::new(model);
    if way.composed {
        tokenizer.with_normalizer(Some(NFC));
    }
    let bytes = |regex: bool| ByteLevel::new(false, true, regex);
    let cut: PreTokenizerWrapper = match way.cut {
        Cut::Gpt2 => bytes(true).into(),
        Cut::Digits => Sequence::new(vec![Digits::new(true).into(), bytes(true).into()]).into(),
        Cut::By(pattern) => {
            let pattern = SplitPattern::Regex(pattern.to_owned());
            let split =
                Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| e.to_string())?;
            Sequence::new(vec![split.into(), bytes(false).into()]).into()
        }
    };
    tokenizer.with_pre_tokenizer(Some(cut)).with_decoder(Some(bytes(true)));
    pieces.add_to(&mut tokenizer, spell);
    let before = pieces.begin.filter(|_| pieces.add_begin.unwrap_or(way.begin));
    let after = pieces.end.filter(|_| pieces.add_end.unwrap_or(false));
    pieces.frame(&mut tokenizer, before, after)?;
    Ok(Ok(tokenizer))
}
