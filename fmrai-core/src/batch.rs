//! What an analyzer is shown: samples, their tokens, and the tensors it asked for.

mod reading;

pub use reading::{AxesView, ShapedView};

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::analyzer::AnalyzerError;
use crate::graph::TensorId;
use crate::tensor::{DeviceTensor, TensorView};
use crate::tracker::Activations;

/// One row of a batch: a text with its tokens, or any other input (then the token lists are empty).
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Position of the sample in the data, from 0, skipped records not counted. Unique in a run.
    pub id: u64,
    /// The text, where the input is one.
    pub text: Option<Arc<str>>,
    /// Token ids without padding, special tokens included.
    pub token_ids: Vec<u32>,
    /// For each token, whether the tokenizer added it (`[CLS]`, `[SEP]`, ...).
    pub special: Vec<bool>,
    /// For each token, the bytes of the text it stands for; empty for special tokens.
    pub offsets: Vec<Range<usize>>,
    /// Where the tokens stand in the padded row: positions outside are padding. Empty for a sample without tokens, such
    /// as an image: all of its positions count.
    pub span: Range<usize>,
    /// The tokens of the model's other inputs of token ids, each with its own length and padding: a decoder's. Those above
    /// are of `input_ids`.
    pub sequences: Vec<Sequence>,
    /// What the data say of it where they are pairs of texts.
    pub pair: Option<Pair>,
    /// Further fields of its record in the data, those that the plan keeps: labels, sources, ... (strings, numbers, truth values, null).
    pub fields: Map<String, Value>,
}

/// Which text of a pair a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairRole {
    /// The text on which the model shows what is studied.
    Clean,
    /// The same text with something changed, so that it does not.
    Corrupted,
}

/// What the data say of a text that is one of a pair. In a batch, the corrupted text of a pair follows its clean one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Which of the two it is.
    pub role: PairRole,
    /// Tokens that are right after the clean text.
    pub right: Vec<u32>,
    /// Tokens that are wrong after it; may be empty.
    pub wrong: Vec<u32>,
    /// Parts of the text with names, as its tokens without padding.
    pub marks: BTreeMap<String, Range<usize>>,
}

/// The tokens that one input of the model has for a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The input, e.g. `decoder_input_ids`.
    pub input: String,
    /// Token ids without padding, special tokens included.
    pub token_ids: Vec<u32>,
    /// For each token, whether the tokenizer would have added it.
    pub special: Vec<bool>,
    /// Where the tokens stand in the padded row.
    pub span: Range<usize>,
}

/// The input whose tokens a [`Sample`] has itself.
pub const TOKENS: &str = "input_ids";

/// The tokens of one input, wherever a sample holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens<'a> {
    /// Token ids without padding.
    pub ids: &'a [u32],
    /// For each token, whether it is special.
    pub special: &'a [bool],
    /// Where they stand in the padded row.
    pub span: Range<usize>,
}

/// True for an input of token ids, by its name: `input_ids`, `decoder_input_ids`. `attention_mask` and
/// `decoder_attention_mask` say where they are padded.
#[must_use]
pub fn is_token_input(name: &str) -> bool {
    name.strip_suffix(TOKENS).is_some_and(|before| before.is_empty() || before.ends_with('_'))
}

impl Sample {
    /// A sample without tokens, such as an image.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self {
            id,
            text: None,
            token_ids: Vec::new(),
            special: Vec::new(),
            offsets: Vec::new(),
            span: 0..0,
            sequences: Vec::new(),
            pair: None,
            fields: Map::new(),
        }
    }

    /// The position in the padded row of the last token that the tokenizer has not added; of the last one where it has added all.
    #[must_use]
    pub fn last_position(&self) -> usize {
        let own = self.special.iter().rposition(|special| !special);
        self.span.start + own.unwrap_or(self.span.len().saturating_sub(1))
    }

    /// The tokens of an input; `None` where the sample has none of that name.
    #[must_use]
    pub fn tokens(&self, input: &str) -> Option<Tokens<'_>> {
        if input == TOKENS {
            let some = !self.token_ids.is_empty() || !self.span.is_empty();
            return some.then(|| Tokens {
                ids: &self.token_ids,
                special: &self.special,
                span: self.span.clone(),
            });
        }
        let found = self.sequences.iter().find(|sequence| sequence.input == input)?;
        Some(Tokens { ids: &found.token_ids, special: &found.special, span: found.span.clone() })
    }
}

/// The tokens a model knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Token texts by id, as the tokenizer has them (`##ing`, `Ġthe`). Empty text for ids that are not used.
    pub tokens: Vec<String>,
    /// What each token stands for within a text, by id, as the tokenizer's own decoder has it: with the space before it where it brings one.
    /// Bytes that are no text by themselves are spelled `<0xE9>`. Empty text where it is not known; the list may be shorter than `tokens`.
    #[serde(default)]
    pub texts: Vec<String>,
    /// The token put before each text: `[CLS]`, `<s>`.
    pub first: Option<u32>,
    /// The token put after each text: `[SEP]`, `</s>`.
    pub separator: Option<u32>,
    /// The token that fills short rows.
    pub padding: Option<u32>,
    /// The token for what the tokenizer does not know.
    pub unknown: Option<u32>,
}

impl Vocabulary {
    /// What a token stands for within a text, with the space before it; `None` where that is not known.
    #[must_use]
    pub fn text(&self, id: u32) -> Option<&str> {
        self.texts.get(id as usize).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// What a token stands for, as people write it: [`text`](Self::text) without spaces before it, `é` of a byte-level `ĠÃ©`. A token
    /// of nothing but spaces keeps them. Where the text is not known, the token without the marks that are common: `ing` of `##ing`, `the` of
    /// `Ġthe` and `▁the`.
    #[must_use]
    pub fn surface(&self, id: u32) -> &str {
        if let Some(text) = self.text(id) {
            let bare = text.trim_start_matches(' ');
            return if bare.is_empty() { text } else { bare };
        }
        let token = self.tokens.get(id as usize).map_or("", String::as_str);
        let bare = token.strip_prefix("##").unwrap_or(token).trim_start_matches(['Ġ', '▁']);
        if bare.is_empty() { token } else { bare }
    }
}

/// One batch of a run: its samples and the tensors kept while the model ran on them.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    index: u64,
    samples: &'a [Sample],
    activations: &'a dyn Activations,
}

impl<'a> Batch<'a> {
    /// Batch number `index` of a run; axis 0 of the model's inputs runs over `samples`.
    #[must_use]
    pub fn new(index: u64, samples: &'a [Sample], activations: &'a dyn Activations) -> Self {
        Self { index, samples, activations }
    }

    /// Position of the batch in the run, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The rows, in the order of axis 0.
    #[must_use]
    pub fn samples(&self) -> &'a [Sample] {
        self.samples
    }

    /// The same tensors of other samples, as many as there are.
    #[must_use]
    pub fn with_samples<'b>(&self, samples: &'b [Sample]) -> Batch<'b>
    where
        'a: 'b,
    {
        Batch { index: self.index, samples, activations: self.activations }
    }

    /// A tensor that the analyzer asked for in `prepare`, as dense CPU memory.
    ///
    /// # Errors
    /// - [`AnalyzerError::NotCaptured`] if it was not asked for.
    /// - [`AnalyzerError::Tensor`] if its elements have no plain form.
    pub fn tensor(&self, id: TensorId) -> Result<TensorView<'a>, AnalyzerError> {
        match self.activations.tensor(id) {
            None => Err(AnalyzerError::NotCaptured(id)),
            Some(Ok(view)) => Ok(view),
            Some(Err(source)) => Err(AnalyzerError::Tensor { tensor: id, source }),
        }
    }

    /// The same tensor in the memory of its CUDA device, for code that knows that device; `None` for tensors of the CPU.
    #[must_use]
    pub fn on_device(&self, id: TensorId) -> Option<DeviceTensor<'a>> {
        self.activations.on_device(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surfaces_lose_the_marks_of_every_tokenizer() {
        let tokens = ["##ing", "Ġthe", "▁the", ".", "Ġ", "[SEP]"].map(String::from).to_vec();
        let vocabulary = Vocabulary { tokens, ..Vocabulary::default() };
        let surfaces: Vec<_> = (0..7).map(|id| vocabulary.surface(id)).collect();
        assert_eq!(surfaces, ["ing", "the", "the", ".", "Ġ", "[SEP]", ""]);
    }

    #[test]
    fn surfaces_are_what_the_decoder_says_where_it_is_known() {
        let tokens = ["ĠÃ©", "æĿ±", "æĿ", "Ġ", "x"].map(String::from).to_vec();
        let texts = [" é", "東", "<0xE6><0x9D>", " "].map(String::from).to_vec();
        let vocabulary = Vocabulary { tokens, texts, ..Vocabulary::default() };
        let surfaces: Vec<_> = (0..5).map(|id| vocabulary.surface(id)).collect();
        assert_eq!(surfaces, ["é", "東", "<0xE6><0x9D>", " ", "x"]);
        assert_eq!((vocabulary.text(0), vocabulary.text(4), vocabulary.text(9)), (Some(" é"), None, None));
        // Those of files from before there were texts.
        let mut old = serde_json::to_value(&vocabulary).unwrap();
        old.as_object_mut().unwrap().remove("texts");
        old["tokens"][0] = "##a".into();
        let old: Vocabulary = serde_json::from_value(old).unwrap();
        assert_eq!(old.surface(0), "a");
    }
}
