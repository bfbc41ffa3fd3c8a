//! Where tokens stand in a text, and which ones are added where it goes on.

use std::ops::Range;

use super::tokenizer::{Tokenizer, TokenizerError};

/// The beginning of a text that goes on.
#[derive(Debug)]
pub struct Beginning<'a> {
    tokenizer: &'a Tokenizer,
    text: &'a str,
    tokens: Vec<u32>,
}

impl<'a> Beginning<'a> {
    /// A text as the beginning of a longer one.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn new(tokenizer: &'a Tokenizer, text: &'a str) -> Result<Self, TokenizerError> {
        Ok(Self { tokenizer, text, tokens: own(tokenizer, text)? })
    }

    /// The tokens that `more` adds when it follows the text at once, e.g. that of ` Mary` after `He waves to`. Special tokens are
    /// not counted. `None` where the tokens of the text itself become other ones.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn added(&self, more: &str) -> Result<Option<Vec<u32>>, TokenizerError> {
        let all = own(self.tokenizer, &format!("{}{more}", self.text))?;
        Ok(all.strip_prefix(self.tokens.as_slice()).map(<[u32]>::to_vec))
    }
}

/// The tokens of a text without those that the tokenizer puts around it.
fn own(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, TokenizerError> {
    let encoded = tokenizer.encode(text, None)?;
    let tokens = encoded.token_ids.into_iter().zip(encoded.special);
    Ok(tokens.filter(|(_, special)| !special).map(|(id, _)| id).collect())
}

/// The tokens that stand for some bytes of a text or a part of them, by the bytes that each token stands for; `None` where no
/// token does.
#[must_use]
pub fn tokens_of(bytes: &Range<usize>, offsets: &[Range<usize>]) -> Option<Range<usize>> {
    let stands =
        |token: &Range<usize>| !token.is_empty() && token.start < bytes.end && bytes.start < token.end;
    let first = offsets.iter().position(stands)?;
    let last = offsets.iter().rposition(stands)?;
    Some(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_bytes_are_those_that_share_one_with_them() {
        // `[CLS]`, `The`, ` grey`, a space that is trimmed, `hat`, `.`
        let offsets = [0..0, 0..3, 3..8, 9..9, 9..12, 12..13];
        assert_eq!(tokens_of(&(0..3), &offsets), Some(1..2));
        assert_eq!(tokens_of(&(4..8), &offsets), Some(2..3));
        assert_eq!(tokens_of(&(6..10), &offsets), Some(2..5));
        assert_eq!(tokens_of(&(8..10), &offsets), Some(4..5));
        assert_eq!(tokens_of(&(0..13), &offsets), Some(1..6));
        for nowhere in [8..9, 3..3, 0..0, 20..30] {
            assert_eq!(tokens_of(&nowhere, &offsets), None, "{nowhere:?}");
        }
    }
}
