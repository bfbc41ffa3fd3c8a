//! Tokens as the text they stand for, by the tokenizer's own decoder.
//!
//! A byte-level tokenizer spells `é` as `Ã©` and `東` as `æĿ±`; its decoder knows what is meant. Bytes that are no text by themselves, such as the
//! first two of three, are spelled `<0xE6><0x9D>`.

use tokenizers::decoders::DecoderWrapper;
use tokenizers::{Decoder, PreTokenizerWrapper, Tokenizer};

/// Stands before a token when it is decoded: decoders treat the first token of a text differently.
const ANCHOR: &str = "\u{1}";

/// Stands for `<` while a byte that is no text goes through a decoder which would read it as a byte again.
const OPENING: char = '\u{f8f0}';

/// For each token what it stands for within a text, with the space before it where it brings one; empty where that is not known.
pub(super) fn texts(inner: &Tokenizer, tokens: &[String]) -> Vec<String> {
    let added = inner.get_added_tokens_decoder();
    let bytes = spells_bytes(inner);
    let text = |(id, token): (u32, &String)| {
        if token.is_empty() {
            return String::new();
        }
        if bytes {
            // What was added is matched in texts as it is.
            let literal = added.get(&id).is_some();
            return readable(&if literal { token.as_bytes().to_vec() } else { byte_level(token) });
        }
        let decoder = inner.get_decoder();
        let decoded = decoder.and_then(|decoder| decoder.decode(vec![ANCHOR.to_owned(), token.clone()]).ok());
        let Some(text) = decoded.as_deref().and_then(|text| text.strip_prefix(ANCHOR)) else {
            return String::new();
        };
        match (text.contains(char::REPLACEMENT_CHARACTER), token.contains(char::REPLACEMENT_CHARACTER)) {
            (true, false) if byte(token).is_some() => token.clone(),
            (true, false) => readable(&byte_level(token)),
            _ => text.to_owned(),
        }
    };
    (0u32..).zip(tokens).map(text).collect()
}

/// The text that tokens stand for, without special tokens. Where bytes are no text, they are spelled.
pub(super) fn decode(inner: &Tokenizer, ids: &[u32]) -> Result<String, String> {
    let text = inner.decode(ids, true).map_err(|e| e.to_string())?;
    if !text.contains(char::REPLACEMENT_CHARACTER) {
        return Ok(text);
    }
    let known = inner.get_added_vocabulary();
    let added = inner.get_added_tokens_decoder();
    let tokens = ids.iter().filter_map(|id| Some((*id, inner.id_to_token(*id)?)));
    let tokens: Vec<_> = tokens.filter(|(_, token)| !known.is_special_token(token)).collect();
    if spells_bytes(inner) {
        let bytes = tokens.iter().flat_map(|(id, token)| {
            if added.contains_key(id) { token.as_bytes().to_vec() } else { byte_level(token) }
        });
        return Ok(readable(&bytes.collect::<Vec<_>>()));
    }
    let Some(decoder) = inner.get_decoder() else { return Ok(text) };
    let mut spelled = Vec::new();
    let mut run = Vec::new();
    let flush = |run: &mut Vec<u8>, spelled: &mut Vec<String>| {
        if !run.is_empty() {
            spelled.push(readable(run).replace("<0x", &format!("{OPENING}0x")));
            run.clear();
        }
    };
    for (_, token) in tokens {
        if let Some(byte) = byte(&token) {
            run.push(byte);
            continue;
        }
        flush(&mut run, &mut spelled);
        spelled.push(token);
    }
    flush(&mut run, &mut spelled);
    let text = decoder.decode(spelled).map_err(|e| e.to_string())?;
    Ok(text.replace(OPENING, "<"))
}

/// Bytes as text; those that are none as `<0xE9>`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<0x{byte:02X}>"));
        }
    }
    text
}

/// The byte that a token of a tokenizer with byte fallback stands for: 233 of `<0xE9>`.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// True if each character of a token is a byte.
fn spells_bytes(inner: &Tokenizer) -> bool {
    fn splits(pre: &PreTokenizerWrapper) -> bool {
        match pre {
            PreTokenizerWrapper::ByteLevel(_) => true,
            PreTokenizerWrapper::Sequence(all) => all.as_ref().iter().any(splits),
            _ => false,
        }
    }
    match inner.get_decoder() {
        Some(DecoderWrapper::ByteLevel(_)) => true,
        Some(DecoderWrapper::Sequence(all)) => {
            matches!(all.get_decoders(), [DecoderWrapper::ByteLevel(_)])
        }
        Some(_) => false,
        None => inner.get_pre_tokenizer().is_some_and(splits),
    }
}

/// The bytes of a token of a byte-level tokenizer; those of the text itself where a character is none of its alphabet.
fn byte_level(token: &str) -> Vec<u8> {
    token.chars().map(letter).collect::<Option<_>>().unwrap_or_else(|| token.as_bytes().to_vec())
}

/// The byte that a character stands for in the alphabet of GPT-2 (`bytes_to_unicode`): printable ones stand for themselves, the others
/// for the characters from 256 on, in their order.
fn letter(character: char) -> Option<u8> {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(character) {
        code @ 0..=255 => u8::try_from(code).ok().filter(|byte| printable(*byte)),
        code => (0..=255).filter(|byte| !printable(*byte)).nth(usize::try_from(code - 256).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    #[test]
    fn the_alphabet_is_that_of_the_library() {
        let mut bytes: Vec<u8> = ByteLevel::alphabet().into_iter().map(|c| letter(c).unwrap()).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(
            "æĿ±ĠĊ".chars().map(|c| letter(c).unwrap()).collect::<Vec<_>>(),
            [0xe6, 0x9d, 0xb1, b' ', b'\n']
        );
        assert_eq!((letter('東'), letter('\u{ad}'), letter(' ')), (None, None, None));
    }

    #[test]
    fn bytes_that_are_no_text_are_spelled() {
        assert_eq!(readable("a東".as_bytes()), "a東");
        assert_eq!(readable(&[b' ', 0xe6, 0x9d]), " <0xE6><0x9D>");
        assert_eq!(readable(&[0xa9, b'a', 0xff]), "<0xA9>a<0xFF>");
        assert_eq!(
            (byte("<0xE9>"), byte("<0x0a>"), byte("<0xE>"), byte("<0xEé>")),
            (Some(233), Some(10), None, None)
        );
    }
}
