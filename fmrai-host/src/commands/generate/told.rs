//! A text that is told as it is made.

use fmrai_torch::text::Tokenizer;

use crate::error::Error;
use crate::terminal;

/// The tokens of a text, and how much of it has been told.
pub(super) struct Told<'t> {
    tokenizer: &'t Tokenizer,
    tokens: Vec<u32>,
    told: String,
    failed: Option<Error>,
}

impl<'t> Told<'t> {
    /// A text that begins with these tokens.
    pub(super) fn new(tokenizer: &'t Tokenizer, tokens: Vec<u32>) -> Self {
        let mut told = Self { tokenizer, tokens, told: String::new(), failed: None };
        if !told.tokens.is_empty() {
            told.tell();
        }
        told
    }

    /// Tells of one more token what is known of its text.
    pub(super) fn add(&mut self, token: u32) {
        self.tokens.push(token);
        self.tell();
    }

    fn tell(&mut self) {
        if self.failed.is_some() {
            return;
        }
        let text = match self.tokenizer.decode(&self.tokens) {
            Ok(text) => text,
            Err(error) => {
                self.failed = Some(Error::Usage(error.to_string()));
                return;
            }
        };
        // The last bytes may be the beginning of a character, and the last word may yet be written together with what follows.
        let whole = settled(&text);
        if let Some(more) = whole.strip_prefix(&self.told) {
            self.failed = terminal::part(more).err();
            self.told = whole.to_owned();
        }
    }

    /// Tells the rest. Where the text is another one than what was told of it, all of it is told on a line of its own.
    pub(super) fn end(self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let text = self.tokenizer.decode(&self.tokens).map_err(|error| Error::Usage(error.to_string()))?;
        match text.strip_prefix(&self.told) {
            Some(rest) => terminal::answer(rest),
            None => {
                terminal::part("\n")?;
                terminal::answer(&text)
            }
        }
    }
}

/// A text without a last piece that what follows may change: bytes that are no character yet, and line ends, of which the last are not told.
fn settled(text: &str) -> &str {
    let mut end = text.len();
    // `<0xE2>`: six characters each.
    while let Some(before) = text.get(..end).and_then(|text| text.strip_suffix('>')).and_then(|text| {
        let start = text.len().checked_sub(5)?;
        text.get(start..)?.starts_with("<0x").then(|| text.get(..start)).flatten()
    }) {
        end = before.len();
    }
    text.get(..end).unwrap_or_default().trim_end_matches('\n')
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn what_may_change_is_not_told() {
        let cases =
            [("a b", "a b"), ("a <0xE2><0x82>", "a "), ("a\n\n", "a"), ("a > b", "a > b"), ("<0xE2>", "")];
        for (text, told) in cases {
            assert_eq!(settled(text), told, "{text:?}");
        }
    }
}
