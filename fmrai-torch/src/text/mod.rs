//! Texts as tokens.

mod chat;
mod continuation;
mod surface;
mod tokenizer;
mod vocabulary_files;

pub use chat::ChatTemplate;
pub use continuation::{Beginning, tokens_of};
pub use tokenizer::{Encoded, FoundTokenizer, Tokenizer, TokenizerError, no_tokenizer, tokenizer_beside};
pub(crate) use vocabulary_files::HOW;
pub use vocabulary_files::QWEN2_PATTERN;
