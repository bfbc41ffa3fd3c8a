//! Which tokens are right and wrong after the clean text of a pair.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::data::encoding::Encoder;
use crate::data::objects::kind;
use crate::data::records::quoted;
use crate::text::{Beginning, Tokenizer};

/// The tokens that follow a clean text.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) right: Vec<u32>,
    pub(super) wrong: Vec<u32>,
}

impl Answers {
    /// Reads the fields `answer` and `wrong` of a line with this clean text.
    ///
    /// # Errors
    /// What of them is no token, or contradicts itself.
    pub(super) fn after(
        clean: &str,
        answer: &Value,
        wrong: Option<&Value>,
        encoder: &Encoder,
    ) -> Result<Self, String> {
        let beginning = Beginning::new(&encoder.tokenizer, clean);
        let beginning = beginning.map_err(|e| format!("field \"clean\": {e}"))?;
        let reader = Reader { encoder, beginning };
        let right = reader.field("answer", answer)?;
        if right.is_empty() {
            return Err("field \"answer\" is an empty list, at least one token is needed".to_owned());
        }
        let wrong = wrong.map_or(Ok(Vec::new()), |wrong| reader.field("wrong", wrong))?;
        let seen: BTreeSet<u32> = wrong.iter().copied().collect();
        if let Some(both) = right.iter().find(|id| seen.contains(id)) {
            let token = name(&encoder.tokenizer, *both);
            return Err(format!("the token {token:?} is both in \"answer\" and in \"wrong\""));
        }
        Ok(Self { right, wrong })
    }
}

/// Reads what follows a text.
struct Reader<'e> {
    encoder: &'e Encoder,
    beginning: Beginning<'e>,
}

impl Reader<'_> {
    /// The tokens of a field: one, or a list of them.
    fn field(&self, field: &str, value: &Value) -> Result<Vec<u32>, String> {
        let one = std::slice::from_ref(value);
        let (mut tokens, mut seen) = (Vec::new(), BTreeSet::new());
        for value in value.as_array().map_or(one, Vec::as_slice) {
            let token = self.token(value).map_err(|what| format!("field {field:?}{what}"))?;
            if !seen.insert(token) {
                let token = name(&self.encoder.tokenizer, token);
                return Err(format!("field {field:?}: the token {token:?} is given twice"));
            }
            tokens.push(token);
        }
        Ok(tokens)
    }

    fn token(&self, value: &Value) -> Result<u32, String> {
        let token = match value {
            Value::String(text) => self.of_text(text)?,
            Value::Number(number) => {
                let id = number.as_u64().and_then(|id| u32::try_from(id).ok());
                let known = id.filter(|id| self.encoder.tokenizer.token(*id).is_some());
                known.ok_or_else(|| format!(": the tokenizer has no token with the id {number}"))?
            }
            other => {
                let found = kind(other);
                return Err(format!(" holds {found}, needed is a string, a token id or a list of these"));
            }
        };
        self.encoder.unknown(&[token]).map_or(Ok(token), |what| Err(format!(": {what}")))
    }

    /// The token of a text that follows.
    fn of_text(&self, text: &str) -> Result<u32, String> {
        let tokenizer = &self.encoder.tokenizer;
        let token = match self.tokens(text)?.as_slice() {
            [token] => *token,
            [] => return Err(format!(": {text:?} has no tokens, one is needed")),
            several => {
                let pieces: Vec<String> = several.iter().map(|id| name(tokenizer, *id)).collect();
                let count = pieces.len();
                let pieces = quoted(pieces.iter().map(String::as_str));
                let spaced = format!(" {text}");
                let single = !text.starts_with(' ') && matches!(self.tokens(&spaced).as_deref(), Ok([_]));
                let hint = if single {
                    format!("; with a space before it, {spaced:?} is one")
                } else {
                    String::new()
                };
                return Err(format!(": {text:?} is {count} tokens, {pieces}, one is needed{hint}"));
            }
        };
        let name = name(tokenizer, token);
        if tokenizer.vocabulary().unknown == Some(token) && name != text.trim() {
            return Err(format!(
                ": {text:?} has no token, only {name:?}, which stands for all that is unknown"
            ));
        }
        Ok(token)
    }

    /// The tokens of a text that follows: those that it adds, if that is one, and otherwise those that it has alone.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, String> {
        let words = |e| format!(": {text:?}: {e}");
        match self.beginning.added(text).map_err(words)? {
            Some(added) if added.len() == 1 => Ok(added),
            _ => Ok(self.encoder.tokenizer.encode_framed(text).map_err(words)?.token_ids),
        }
    }
}

/// What a token is called in messages.
fn name(tokenizer: &Tokenizer, id: u32) -> String {
    tokenizer.token(id).unwrap_or_else(|| id.to_string())
}
