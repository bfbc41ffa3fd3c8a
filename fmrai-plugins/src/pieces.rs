//! Tokens as they stand in their text.

use fmrai_core::batch::{Sample, Vocabulary};

/// Every token with the space before it; in a row they are the text. Those that the tokenizer added are shown as it has them. Where the text
/// is not known, each token is what it stands for by itself.
pub(crate) fn pieces(sample: &Sample, vocabulary: Option<&Vocabulary>) -> Vec<String> {
    let mut from = 0;
    let mut all = Vec::with_capacity(sample.token_ids.len());
    for (at, id) in sample.token_ids.iter().enumerate() {
        let end = sample.offsets.get(at).filter(|offsets| !offsets.is_empty()).map(|offsets| offsets.end);
        // Tokens that share a letter are further bytes of it.
        let slice = end.zip(sample.text.as_deref()).map(|(end, text)| (end, text.get(from..end.max(from))));
        if let Some((end, slice)) = slice {
            from = end.max(from);
            all.push(slice.unwrap_or_default().to_owned());
            continue;
        }
        all.push(token(*id, vocabulary));
    }
    all
}

/// Pieces for at least so many positions: those beyond the `known` ones are no tokens, such as patches of an image, and have numbers.
pub(crate) fn numbered(mut pieces: Vec<String>, known: usize, positions: usize) -> Vec<String> {
    pieces.resize_with(positions.max(pieces.len()), String::new);
    for (position, piece) in pieces.iter_mut().enumerate().skip(known) {
        *piece = format!(" {position}");
    }
    pieces
}

/// What a token stands for by itself, with the space before it.
pub(crate) fn token(id: u32, vocabulary: Option<&Vocabulary>) -> String {
    let known = vocabulary.and_then(|v| v.text(id)).or_else(|| vocabulary.map(|v| v.surface(id)));
    known.filter(|text| !text.is_empty()).map_or_else(|| format!("#{id}"), str::to_owned)
}

/// A token in a sentence: in quotes where it could not be seen otherwise.
pub(crate) fn visible(text: &str) -> String {
    let hidden = text.trim() != text || text.is_empty() || text.chars().any(char::is_control);
    if hidden { format!("{text:?}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text() {
        let sample = Sample {
            text: Some("the  cat".into()),
            token_ids: vec![1, 5, 6],
            offsets: vec![0..0, 0..3, 5..8],
            ..Sample::new(0)
        };
        let tokens = ["", "<s>"].map(String::from).to_vec();
        let vocabulary = Vocabulary { tokens, ..Vocabulary::default() };
        assert_eq!(pieces(&sample, Some(&vocabulary)), ["<s>", "the", "  cat"]);
        assert_eq!(pieces(&Sample { text: None, ..sample }, None), ["#1", "#5", "#6"]);
        assert_eq!([" a", "b", "\n"].map(visible), ["\" a\"", "b", "\"\\n\""]);
    }
}
