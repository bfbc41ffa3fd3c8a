//! SentencePiece with byte-pair merging (Kudo and Richardson 2018, "SentencePiece: A simple and language independent subword tokenizer
//! and detokenizer for Neural Text Processing"): pieces with scores. Of the neighbours that make a piece, those that make the
//! one of the highest score are joined first; characters without a piece become bytes.

use std::collections::BTreeMap;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::utils::Sequence as Normalizers;
use tokenizers::normalizers::{Prepend, Replace};
use tokenizers::{NormalizerWrapper, Tokenizer};

use super::pieces::{Kind, Pieces};
use crate::gguf::container::Value;
use crate::gguf::keys::wrong;

/// Stands for a space in pieces.
const SPACE: &str = "▁";

/// The tokenizer of these pieces.
pub(super) fn assemble(metadata: &BTreeMap<String, Value>, pieces: &Pieces<'_>) -> Result<Tokenizer, String> {
    let key = "tokenizer.ggml.scores";
    let value = metadata.get(key).ok_or_else(|| format!("no `{key}`"))?;
    let scores = value.as_f32s().filter(|scores| scores.len() == pieces.tokens.len()).ok_or_else(|| {
        wrong(key, value, &format!("a number for each of the {} tokens is needed", pieces.tokens.len()))
    })?;
    let key = "tokenizer.ggml.add_space_prefix";
    let prefix = metadata.get(key).map_or(Ok(true), |value| {
        value.as_bool().ok_or_else(|| wrong(key, value, "true or false is needed"))
    })?;
    let spell = |id: usize, token: &str| spelled(token, pieces.kinds.get(id).copied());
    let vocabulary = pieces.vocabulary(spell);
    let merges = merges(pieces, scores, &vocabulary);
    let mut model = BPE::builder().vocab_and_merges(vocabulary, merges).byte_fallback(true).fuse_unk(true);
    let unknown = pieces.unknown.or_else(|| {
        let place = pieces.kinds.iter().position(|kind| *kind == Kind::Unknown)?;
        u32::try_from(place).ok()
    });
    if let Some(unknown) = unknown.and_then(|id| pieces.token(id)) {
        model = model.unk_token(unknown.to_owned());
    }
    let mut tokenizer = Tokenizer::new(model.build().map_err(|e| e.to_string())?);
    let replaced = |from: &str, to: &str| Replace::new(from, to).map_err(|e| e.to_string());
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    if prefix {
        normalizers.push(Prepend::new(SPACE.to_owned()).into());
    }
    normalizers.push(replaced(" ", SPACE)?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(normalizers)));
    let mut decoders: Vec<DecoderWrapper> =
        vec![replaced(SPACE, " ")?.into(), ByteFallback::new().into(), Fuse::new().into()];
    if prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_decoder(Some(Decoders::new(decoders)));
    pieces.add_to(&mut tokenizer, spell);
    let before = pieces.begin.filter(|_| pieces.add_begin.unwrap_or(true));
    let after = pieces.end.filter(|_| pieces.add_end.unwrap_or(false));
    pieces.frame(&mut tokenizer, before, after)?;
    Ok(tokenizer)
}

/// A token as texts are spelled when they reach the pieces. Converters write tokens of spaces alone as spaces.
fn spelled(token: &str, kind: Option<Kind>) -> String {
    match kind {
        Some(Kind::UserDefined) if !token.is_empty() && token.bytes().all(|byte| byte == b' ') => {
            SPACE.repeat(token.len())
        }
        _ => token.to_owned(),
    }
}

/// A pair of pieces that is joined.
struct Merge {
    score: f32,
    /// Of pieces that a user has defined, the shorter ones come first; 0 for all others.
    length: usize,
    left: String,
    right: String,
}

/// The pairs of pieces that make a piece, those that are joined first come first: those of the pieces that a user has defined, whatever
/// their scores, and then the others by their scores.
fn merges(pieces: &Pieces<'_>, scores: &[f32], vocabulary: &Vocab) -> Vec<(String, String)> {
    let mut merges: Vec<Merge> = Vec::new();
    for (id, (token, score)) in pieces.tokens.iter().zip(scores).enumerate() {
        let kind = pieces.kinds.get(id).copied();
        if !matches!(kind, Some(Kind::Normal | Kind::UserDefined)) {
            continue;
        }
        let token = spelled(token, kind);
        let mut local: Vec<(u32, u32, &str, &str)> = Vec::new();
        for (place, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(place);
            if let (Some(first), Some(second)) = (vocabulary.get(left), vocabulary.get(right)) {
                local.push((*first, *second, left, right));
            }
        }
        local.sort_unstable_by_key(|(first, second, ..)| (*first, *second));
        let (score, length) =
            if kind == Some(Kind::UserDefined) { (f32::INFINITY, token.len()) } else { (*score, 0) };
        let merge = |(_, _, left, right): (u32, u32, &str, &str)| Merge {
            score,
            length,
            left: left.to_owned(),
            right: right.to_owned(),
        };
        merges.extend(local.into_iter().map(merge));
    }
    merges.sort_by(|a, b| {
        let lengths = |merge: &Merge| (merge.left.chars().count(), merge.right.chars().count());
        let first = b.score.total_cmp(&a.score).then(a.length.cmp(&b.length));
        first.then_with(|| lengths(b).cmp(&lengths(a)))
    });
    merges.into_iter().map(|merge| (merge.left, merge.right)).collect()
}
