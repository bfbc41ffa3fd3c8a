//! Pairs of texts: one on which a model shows what is studied, and one like it on which it does not.

mod answers;
mod line;
mod marks;
#[cfg(test)]
mod tests;

use fmrai_core::batch::{Pair, PairRole, Sample};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batching::{Group, Grouping};
use super::encoding::Encoder;
use super::records::{Lines, Record};
use super::settings::text_source;
use super::{Batches, DataContext, DataError, DataSource};
use answers::Answers;
use line::Line;

/// Which lengths the two texts of a pair may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lengths {
    /// Both have the same number of tokens, so that each position of one is the same position of the other.
    #[default]
    Same,
    /// Any.
    Any,
}

text_source! {
    /// A file of JSON lines: one pair of texts per line, as an object with the fields
    /// - `clean` and `corrupted`: the two texts;
    /// - `answer`: the token that is right after the clean text, as a text, as a token id, or as a list of these;
    /// - `wrong`, if you like: tokens that are wrong after it, in the same forms;
    /// - `marks`, if you like: parts of the texts with names, each as a part of the clean text or as tokens `[start, end]`, `end`
    ///   not included.
    ///
    /// The two texts of a pair stand one after the other in the same batch. Empty lines are left out and counted.
    pub struct TextPairs {
        /// Which lengths the two texts of a pair may have: by default both have the same number of tokens.
        #[serde(default)]
        pub lengths: Lengths,
    }
    reads: "pairs", batch_size: 4, too_long: "are an error"
}

crate::register_data_source!(TextPairs, name: "pairs", summary: "JSON lines: one pair of texts per line, clean and corrupted, with the right answer",
);

impl DataSource for TextPairs {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let pairs = Pairs { lengths: self.lengths };
        self.settings().open_texts(context, pairs, |path, file| Ok(Lines::new(path, file)))
    }
}

/// The two texts of a pair, from one record.
struct Pairs {
    lengths: Lengths,
}

impl Grouping for Pairs {
    const PLURAL: &'static str = "pairs";
    const TEXTS: usize = 2;

    fn group(&self, record: Record, encoder: &Encoder) -> Result<Group, DataError> {
        let Record { text, line, file, .. } = record;
        let pair = self.pair(&text, encoder).map_err(|what| encoder.error(file.as_deref(), line, what))?;
        Ok(Group { samples: pair.into(), truncated: 0 })
    }
}

impl Pairs {
    /// The two samples of one line.
    fn pair(&self, line: &str, encoder: &Encoder) -> Result<[Sample; 2], String> {
        let Line { clean, corrupted, answer, wrong, marks } = Line::parse(line)?;
        let clean = sample("clean", clean, encoder)?;
        let corrupted = sample("corrupted", corrupted, encoder)?;
        let lengths = [&clean, &corrupted].map(|sample| sample.token_ids.len());
        if lengths[0] != lengths[1] {
            self.refuse(lengths, encoder)?;
        }
        let text = clean.text.as_deref().unwrap_or_default();
        let Answers { right, wrong } = Answers::after(text, &answer, wrong.as_ref(), encoder)?;
        let marks = marks::of(&marks, &clean, &corrupted)?;
        let pair = Pair { role: PairRole::Clean, right, wrong, marks };
        let other = Pair { role: PairRole::Corrupted, ..pair.clone() };
        Ok([Sample { pair: Some(pair), ..clean }, Sample { pair: Some(other), ..corrupted }])
    }

    /// Where a pair of different lengths cannot be read.
    fn refuse(&self, [clean, corrupted]: [usize; 2], encoder: &Encoder) -> Result<(), String> {
        let found = format!("the clean text has {clean} tokens and the corrupted one {corrupted}");
        if self.lengths == Lengths::Same {
            return Err(format!(
                "{found}, but both need the same number, so that their positions can be compared: change a text, or allow it \
                 with \"lengths\": \"any\""
            ));
        }
        if !encoder.fit.pads() {
            return Err(format!(
                "{found}, but both stand in one batch, and the model takes no attention_mask to pad with"
            ));
        }
        Ok(())
    }
}

/// The sample of a text. It is never cut: what follows its last token is what a pair is about.
fn sample(field: &str, text: String, encoder: &Encoder) -> Result<Sample, String> {
    let wrong = |what| format!("field {field:?}: {what}");
    let (sample, _) = encoder.encode(text, None).map_err(wrong)?;
    if sample.special.iter().all(|special| *special) {
        return Err(wrong("the text has no tokens".to_owned()));
    }
    let tokens = sample.token_ids.len();
    match encoder.max_tokens {
        Some(most) if tokens > most => Err(wrong(format!(
            "the text has {tokens} tokens, at most {most} are taken; it is not cut, since the answer follows its last token"
        ))),
        _ => Ok(sample),
    }
}
