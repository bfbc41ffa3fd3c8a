//! WordPiece, as BERT has it. Files spell the pieces another way: those that begin a word have a mark before them, and
//! those within a word have none.

use tokenizers::Tokenizer;
use tokenizers::decoders::wordpiece::WordPiece as Decoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use super::pieces::{Kind, Pieces};

/// Stands before a piece that begins a word.
const BEGINS: &str = "▁";

/// The tokenizer of these pieces.
pub(super) fn assemble(pieces: &Pieces<'_>) -> Result<Tokenizer, String> {
    let spell = |id: usize, token: &str| spelled(token, pieces.kinds.get(id).copied());
    let unknown = pieces.unknown.and_then(|id| pieces.token(id)).unwrap_or("[UNK]");
    let vocabulary = pieces.vocabulary(spell);
    // The file does not say whether texts are read in lower case: a vocabulary with capital letters would be useless then.
    let cased =
        pieces.tokens.iter().any(|token| !token.starts_with('[') && token.chars().any(char::is_uppercase));
    let model = WordPiece::builder()
        .vocab(vocabulary)
        .unk_token(unknown.to_owned())
        .continuing_subword_prefix("##".to_owned())
        .max_input_chars_per_word(100)
        .build()
        .map_err(|e| e.to_string())?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, true, None, !cased)))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_decoder(Some(Decoder::new("##".to_owned(), true)));
    pieces.add_to(&mut tokenizer, spell);
    let named = |name: &str| {
        let place = pieces.tokens.iter().position(|token| token == name)?;
        u32::try_from(place).ok()
    };
    let before = pieces.begin.or_else(|| named("[CLS]"));
    let after = pieces.separator.or_else(|| named("[SEP]"));
    pieces.frame(&mut tokenizer, before, after)?;
    Ok(tokenizer)
}

/// A token as WordPiece spells it.
fn spelled(token: &str, kind: Option<Kind>) -> String {
    if matches!(kind, Some(Kind::Control | Kind::Unknown | Kind::UserDefined)) {
        return token.to_owned();
    }
    match token.strip_prefix(BEGINS) {
        Some(word) => word.to_owned(),
        None if token.starts_with('[') && token.ends_with(']') && token.len() > 2 => token.to_owned(),
        None => format!("##{token}"),
    }
}
