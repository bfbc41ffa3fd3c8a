//! Tokenizers of checkpoints.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::batch::Vocabulary;
use fmrai_core::file_kind::plain;
use serde_json::Value;
use tokenizers::{Encoding, ModelWrapper, Token};

use super::chat::{self, ChatTemplate};
use super::surface;
use super::vocabulary_files::{self, Assembled, HOW, content};
use crate::files::{FileError, FileInfo, Hasher};

const FILE: &str = "tokenizer.json";

/// Ids from here on are not listed: one token with an absurd id must not ask for all memory there is.
const LARGEST: u32 = 1 << 22;

/// What a folder has of a tokenizer.
#[derive(Debug, Default)]
pub struct FoundTokenizer {
    /// `None` where there is none.
    pub tokenizer: Option<Tokenizer>,
    /// The files read.
    pub files: Vec<FileInfo>,
    /// What a user should know, e.g. why files that are there are not read.
    pub warnings: Vec<String>,
}

/// The tokenizer in `folder`; where none is named, the one beside the model's file, if there is one.
///
/// # Errors
/// Where a folder is named that has none, and for broken files.
pub fn tokenizer_beside(folder: Option<PathBuf>, model: &Path) -> Result<FoundTokenizer, FileError> {
    // How many tokens the model knows is not known here.
    let find = |folder: &Path| Tokenizer::find(folder, u32::MAX, None);
    match (folder, model.parent()) {
        (Some(folder), _) => {
            let found = find(&folder)?;
            if found.tokenizer.is_none() {
                let reason = found.warnings.first().map_or_else(no_tokenizer, Clone::clone);
                return Err(FileError::Content { path: folder, what: reason });
            }
            Ok(found)
        }
        (None, Some(folder)) => find(folder),
        (None, None) => Ok(FoundTokenizer::default()),
    }
}

/// What is needed where there is no tokenizer, and how to make it.
#[must_use]
pub fn no_tokenizer() -> String {
    format!("has no tokenizer: needed is tokenizer.json, vocab.txt, or vocab.json with merges.txt; {HOW}")
}

/// A checkpoint's own tokenizer, read from its `tokenizer.json`.
///
/// Padding and truncation that the file asks for are switched off: batches are padded to their longest text, and
/// [`encode`](Self::encode) truncates so that what is lost is known. A clone is the same one, at no cost.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    inner: Arc<tokenizers::Tokenizer>,
    special_tokens: usize,
    chat_template: Option<ChatTemplate>,
}

/// The tokens of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, special tokens included.
    pub token_ids: Vec<u32>,
    /// For each token, whether the tokenizer added it (`[CLS]`, `[SEP]`, ...).
    pub special: Vec<bool>,
    /// For each token, the bytes of the text it stands for; empty for special tokens.
    pub offsets: Vec<Range<usize>>,
    /// Tokens that were cut off at the end.
    pub truncated: usize,
}

/// What a tokenizer cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A text has no tokens, e.g. because of a character outside the vocabulary.
    #[error("the tokenizer cannot encode the text: {0}")]
    Encode(String),
    /// Tokens have no text.
    #[error("the tokenizer cannot decode the tokens: {0}")]
    Decode(String),
}

impl Tokenizer {
    /// Reads the tokenizer of the checkpoint in `folder`.
    ///
    /// It is its `tokenizer.json`, or `vocab.txt` (WordPiece), or `vocab.json` with `merges.txt` (byte-level BPE).
    ///
    /// `rows` is the number of rows of the model's embedding table: a padding token beyond it is not used. Texts may have
    /// tokens beyond it, which whoever gives them to the model has to refuse. `padding` is the padding token of the model's
    /// config, used if the files of the tokenizer name none.
    ///
    /// # Errors
    /// [`FileError::Content`] if there is none, or it is broken.
    pub fn read(folder: &Path, rows: u32, padding: Option<u32>) -> Result<Self, FileError> {
        let found = Self::find(folder, rows, padding)?;
        found.tokenizer.ok_or_else(|| FileError::Content {
            path: folder.to_owned(),
            what: found.warnings.into_iter().next().unwrap_or_else(no_tokenizer),
        })
    }

    /// As [`read`](Self::read), but that no tokenizer is no error.
    ///
    /// # Errors
    /// [`FileError::Content`] if there is a broken one.
    pub fn find(folder: &Path, rows: u32, padding: Option<u32>) -> Result<FoundTokenizer, FileError> {
        let mut files = Vec::new();
        let own = folder.join(FILE);
        let (path, bytes, warnings) = if own.exists() {
            let bytes = read(&own, FILE, &mut files)?;
            (own, bytes, Vec::new())
        } else {
            match vocabulary_files::assemble(folder, &mut files)? {
                Ok(Assembled { path, json, warnings }) => (path, json, warnings),
                Err(reason) => {
                    let warnings = reason.into_iter().collect();
                    return Ok(FoundTokenizer { warnings, ..FoundTokenizer::default() });
                }
            }
        };
        let names = SpecialTokens::read(folder, &mut files)?;
        let parse = || Self::parse(plain(&bytes)?, rows, &names, padding);
        let tokenizer = guarded(parse).map_err(|what| FileError::Content { path, what })?;
        Ok(FoundTokenizer { tokenizer: Some(tokenizer), files, warnings })
    }

    fn parse(bytes: &[u8], rows: u32, names: &SpecialTokens, padding: Option<u32>) -> Result<Self, String> {
        let inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(broken)?;
        Self::with(inner, rows, names, padding)
    }

    /// A tokenizer that was made in memory, for a model with `rows` rows in its embedding table and this padding token.
    ///
    /// # Errors
    /// What is inconsistent in it.
    pub fn of(inner: tokenizers::Tokenizer, rows: u32, padding: Option<u32>) -> Result<Self, String> {
        guarded(|| Self::with(inner, rows, &SpecialTokens::default(), padding))
    }

    fn with(
        mut inner: tokenizers::Tokenizer,
        rows: u32,
        names: &SpecialTokens,
        padding: Option<u32>,
    ) -> Result<Self, String> {
        let tokens = tokens(&inner, rows);
        let own_padding = inner.get_padding().map(|p| (p.pad_token.clone(), p.pad_id));
        inner.with_padding(None);
        inner.with_truncation(None).map_err(broken)?;

        let id = |name: &str| inner.token_to_id(name);
        let known = |id: &u32| *id < rows;
        let padding = own_padding
            .and_then(|(name, pad_id)| id(&name).filter(|id| *id == pad_id))
            .filter(known)
            .or_else(|| names.padding.as_deref().and_then(id).filter(known))
            .or_else(|| padding.filter(known))
            .or_else(|| ["[PAD]", "<pad>"].into_iter().filter_map(id).find(known));
        let unknown = unknown_token(&inner)
            .and_then(id)
            .or_else(|| names.unknown.as_deref().and_then(id))
            .or_else(|| ["[UNK]", "<unk>"].into_iter().find_map(id));
        let frame = Frame::of(&inner)?;
        let Frame { first, separator, special_tokens } = frame;
        let texts = surface::texts(&inner, &tokens);
        let vocabulary = Vocabulary { tokens, texts, first, separator, padding, unknown };
        let chat_template = names.chat_template.clone();
        Ok(Self { vocabulary: Arc::new(vocabulary), inner: Arc::new(inner), special_tokens, chat_template })
    }

    /// The same tokenizer with the template by which its model reads dialogues.
    #[must_use]
    pub fn with_chat_template(self, template: Option<ChatTemplate>) -> Self {
        Self { chat_template: template, ..self }
    }

    /// The template by which its model reads dialogues, if there is one.
    #[must_use]
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.chat_template.as_ref()
    }

    /// Its tokens.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The text of a token, as the tokenizer has it, also beyond what the model knows.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Number of tokens that it adds to each text.
    #[must_use]
    pub fn special_tokens(&self) -> usize {
        self.special_tokens
    }

    /// The tokens of a text, special tokens included, at most `max_tokens` of them.
    ///
    /// Tokens are cut off at the end of the text; special tokens are kept, so that there may be more than `max_tokens`
    /// if that is less than [`special_tokens`](Self::special_tokens).
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] with the message of the tokenizer, e.g. for a character outside a vocabulary that has no
    /// token for unknown ones.
    pub fn encode(&self, text: &str, max_tokens: Option<usize>) -> Result<Encoded, TokenizerError> {
        let encode = || self.inner.encode(text, true).map_err(|e| e.to_string());
        let encoding = guarded(encode).map_err(TokenizerError::Encode)?;
        Ok(cut(&encoding, max_tokens.unwrap_or(usize::MAX)))
    }

    /// The tokens of a text in which special tokens stand already, such as that of a [`ChatTemplate`].
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_framed(&self, text: &str) -> Result<Encoded, TokenizerError> {
        let encode = || self.inner.encode(text, false).map_err(|e| e.to_string());
        Ok(cut(&guarded(encode).map_err(TokenizerError::Encode)?, usize::MAX))
    }

    /// The text that tokens stand for, without special tokens. Bytes that are no text, such as the first ones of a character whose last are
    /// missing, are spelled `<0xE9>`.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`] with the message of the tokenizer.
    pub fn decode(&self, token_ids: &[u32]) -> Result<String, TokenizerError> {
        guarded(|| surface::decode(&self.inner, token_ids)).map_err(TokenizerError::Decode)
    }
}

fn broken(error: impl std::fmt::Display) -> String {
    format!("broken tokenizer: {error}")
}

/// The tokenizer library panics on some inconsistent files, e.g. a template whose special token is not defined.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(format!("broken tokenizer: the tokenizer library failed on it: {text}"))
    })
}

/// Copies what is kept of an encoding.
fn cut(encoding: &Encoding, max_tokens: usize) -> Encoded {
    let special = encoding.get_special_tokens_mask();
    let added = special.iter().filter(|mask| **mask == 1).count();
    let mut room = max_tokens.saturating_sub(added);
    let mut kept = Encoded { token_ids: Vec::new(), special: Vec::new(), offsets: Vec::new(), truncated: 0 };
    for ((&id, &(start, end)), &mask) in encoding.get_ids().iter().zip(encoding.get_offsets()).zip(special) {
        if mask == 0 && room == 0 {
            kept.truncated += 1;
            continue;
        }
        room -= usize::from(mask == 0);
        kept.token_ids.push(id);
        kept.special.push(mask == 1);
        kept.offsets.push(if mask == 1 { 0..0 } else { start..end });
    }
    kept
}

fn read(path: &Path, name: &str, files: &mut Vec<FileInfo>) -> Result<Vec<u8>, FileError> {
    let bytes = std::fs::read(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    if !files.iter().any(|file| file.name == name) {
        let mut hasher = Hasher::new();
        hasher.update(&bytes);
        files.push(hasher.finish(name));
    }
    Ok(bytes)
}

/// Token texts by id, of those that the model knows.
fn tokens(inner: &tokenizers::Tokenizer, rows: u32) -> Vec<String> {
    let known = |id: u32| id < rows.min(LARGEST);
    let mut by_id: Vec<(u32, String)> =
        inner.get_vocab(true).into_iter().filter(|(_, id)| known(*id)).map(|(t, id)| (id, t)).collect();
    by_id.sort_unstable();
    let mut tokens = vec![String::new(); by_id.last().map_or(0, |(id, _)| *id as usize + 1)];
    for (id, token) in by_id {
        if let Some(place) = tokens.get_mut(id as usize).filter(|place| place.is_empty()) {
            *place = token;
        }
    }
    tokens
}

/// Names of special tokens in the files beside `tokenizer.json`.
#[derive(Default)]
struct SpecialTokens {
    padding: Option<String>,
    unknown: Option<String>,
    chat_template: Option<ChatTemplate>,
}

impl SpecialTokens {
    fn read(folder: &Path, files: &mut Vec<FileInfo>) -> Result<Self, FileError> {
        let mut names = Self::default();
        let mut config = Value::Null;
        for file in ["special_tokens_map.json", "tokenizer_config.json"] {
            let path = folder.join(file);
            if !path.exists() {
                continue;
            }
            let bytes = read(&path, file, files)?;
            let parse = |bytes: &[u8]| -> Result<Value, String> {
                serde_json::from_slice(plain(bytes)?).map_err(|e| format!("malformed JSON: {e}"))
            };
            let json = parse(&bytes).map_err(|what| FileError::Content { path, what })?;
            let token = |field: &str| json.get(field).and_then(content).map(str::to_owned);
            names.padding = names.padding.or_else(|| token("pad_token"));
            names.unknown = names.unknown.or_else(|| token("unk_token"));
            config = json;
        }
        names.chat_template = chat::in_folder(folder, &config);
        Ok(names)
    }
}

/// The token that the model itself uses for unknown texts.
fn unknown_token(inner: &tokenizers::Tokenizer) -> Option<&str> {
    match inner.get_model() {
        ModelWrapper::WordPiece(model) => Some(&model.unk_token),
        ModelWrapper::WordLevel(model) => Some(&model.unk_token),
        ModelWrapper::BPE(model) => model.unk_token.as_deref(),
        ModelWrapper::Unigram(_) => None,
    }
}

/// What a tokenizer puts around each text.
struct Frame {
    first: Option<u32>,
    separator: Option<u32>,
    special_tokens: usize,
}

impl Frame {
    fn of(inner: &tokenizers::Tokenizer) -> Result<Self, String> {
        let text = Encoding::from_tokens(vec![Token::new(0, "a".to_owned(), (0, 1))], 0);
        let framed = inner.post_process(text, None, true).map_err(|e| format!("broken tokenizer: {e}"))?;
        let special: Vec<bool> = framed.get_special_tokens_mask().iter().map(|mask| *mask == 1).collect();
        let ids = framed.get_ids();
        let text =
            special.iter().position(|special| !special).ok_or("broken tokenizer: it drops the text")?;
        Ok(Self {
            first: ids.get(..text).and_then(|before| before.first()).copied(),
            separator: ids.get(text + 1).copied(),
            special_tokens: ids.len() - 1,
        })
    }
}
