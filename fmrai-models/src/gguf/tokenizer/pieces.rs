//! What all tokenizers of files have: tokens with their kinds, and which of them stand around a text.

use std::collections::BTreeMap;

use tokenizers::models::bpe::Vocab;
use tokenizers::processors::template::{TemplateProcessing, Tokens};
use tokenizers::{AddedToken, Tokenizer};

use crate::gguf::container::Value;
use crate::gguf::keys::wrong;

/// Settings that are read here, after `tokenizer.ggml.`.
pub(super) const KNOWN: [&str; 8] = [
    "tokens",
    "scores",
    "token_type",
    "token_type_count",
    "add_bos_token",
    "add_eos_token",
    "add_sep_token",
    "mask_token_id",
];

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    /// Ends, begins or parts texts; has no text of its own.
    Control,
    /// Found in texts as it is, before anything else.
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    fn of(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

/// The tokens of a file.
pub(super) struct Pieces<'a> {
    pub(super) tokens: &'a [String],
    /// As many as there are tokens.
    pub(super) kinds: Vec<Kind>,
    pub(super) begin: Option<u32>,
    pub(super) end: Option<u32>,
    pub(super) unknown: Option<u32>,
    pub(super) separator: Option<u32>,
    pub(super) padding: Option<u32>,
    /// Whether a text begins with `begin`, where the file says.
    pub(super) add_begin: Option<bool>,
    /// Whether a text ends with `end`, where the file says.
    pub(super) add_end: Option<bool>,
}

impl<'a> Pieces<'a> {
    pub(super) fn read(metadata: &'a BTreeMap<String, Value>) -> Result<Self, String> {
        let name = |key: &str| format!("tokenizer.ggml.{key}");
        let get = |key: &str| metadata.get(&name(key));
        let Some(value) = get("tokens") else { return Err(format!("no `{}`", name("tokens"))) };
        let tokens =
            value.as_strings().ok_or_else(|| wrong(&name("tokens"), value, "a list of texts is needed"))?;
        let kinds = match get("token_type") {
            None => vec![Kind::Normal; tokens.len()],
            Some(value) => {
                let codes = value.as_i64s().filter(|codes| codes.len() == tokens.len());
                let kinds = codes.and_then(|codes| codes.iter().map(|code| Kind::of(*code)).collect());
                kinds.ok_or_else(|| {
                    let needed =
                        format!("a number from 1 to 6 for each of the {} tokens is needed", tokens.len());
                    wrong(&name("token_type"), value, &needed)
                })?
            }
        };
        let id = |key: &str| {
            let key = format!("{key}_token_id");
            let Some(value) = get(&key) else { return Ok(None) };
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            // Converters write the largest number for a token that there is not.
            let id = id.ok_or_else(|| wrong(&name(&key), value, "the number of a token is needed"))?;
            if id == u32::MAX || (id as usize) < tokens.len() {
                return Ok(Some(id).filter(|id| *id != u32::MAX));
            }
            Err(wrong(
                &name(&key),
                value,
                &format!("a number below {}, that of tokens, is needed", tokens.len()),
            ))
        };
        let flag = |key: &str| {
            let value = get(key);
            let flag = |value: &Value| {
                value.as_bool().ok_or_else(|| wrong(&name(key), value, "true or false is needed"))
            };
            value.map(flag).transpose()
        };
        Ok(Self {
            tokens,
            kinds,
            begin: id("bos")?,
            end: id("eos")?,
            unknown: id("unknown")?,
            separator: id("seperator")?.or(id("separator")?),
            padding: id("padding")?,
            add_begin: flag("add_bos_token")?,
            add_end: flag("add_eos_token")?,
        })
    }

    /// The text of a token.
    pub(super) fn token(&self, id: u32) -> Option<&'a str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// Tokens with their numbers, as they are spelled by `spell`. A token that is there twice has its first number.
    pub(super) fn vocabulary(&self, spell: impl Fn(usize, &str) -> String) -> Vocab {
        let mut vocabulary = Vocab::with_capacity(self.tokens.len());
        for (id, token) in (0u32..).zip(self.tokens) {
            vocabulary.entry(spell(id as usize, token)).or_insert(id);
        }
        vocabulary
    }

    /// Adds the tokens that are found in texts as they are. Those whose spelling is another than that of texts are not: they are
    /// joined of their parts.
    pub(super) fn add_to(&self, tokenizer: &mut Tokenizer, spell: impl Fn(usize, &str) -> String) {
        let mut added = Vec::new();
        for (id, (token, kind)) in self.tokens.iter().zip(&self.kinds).enumerate() {
            let special = match kind {
                Kind::Control | Kind::Unknown => true,
                Kind::UserDefined => false,
                Kind::Normal | Kind::Unused | Kind::Byte => continue,
            };
            if !token.is_empty() && spell(id, token) == *token {
                added.push(AddedToken::from(token.clone(), special).normalized(false));
            }
        }
        tokenizer.add_tokens(&added);
    }

    /// Puts tokens before and after each text.
    pub(super) fn frame(
        &self,
        tokenizer: &mut Tokenizer,
        before: Option<u32>,
        after: Option<u32>,
    ) -> Result<(), String> {
        let named = |id: Option<u32>| Some((self.token(id?)?.to_owned(), id?));
        let (before, after) = (named(before), named(after));
        if before.is_none() && after.is_none() {
            return Ok(());
        }
        // A template's own syntax would take a token such as `$A` or `a b` apart, so tokens go by other names in it.
        let mut template = Vec::new();
        let mut special: Vec<tokenizers::processors::template::SpecialToken> = Vec::new();
        let mut put = |name: &str, token: Option<(String, u32)>, template: &mut Vec<String>| {
            let Some((token, id)) = token else { return Ok::<(), String>(()) };
            template.push(name.to_owned());
            let made =
                tokenizers::processors::template::SpecialToken::new(name.to_owned(), vec![id], vec![token]);
            special.push(made.map_err(|e| e.to_string())?);
            Ok(())
        };
        put("before", before, &mut template)?;
        template.push("$A".to_owned());
        put("after", after, &mut template)?;
        let mut builder = TemplateProcessing::builder();
        let built = builder.try_single(template.join(" ")).map_err(|e| e.clone())?;
        let built = built.special_tokens(Tokens::from(special)).build().map_err(|e| e.to_string())?;
        tokenizer.with_post_processor(Some(built));
        Ok(())
    }
}
