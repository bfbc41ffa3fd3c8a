//! What the example is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value, json};

use super::Fallible;

/// Named options, with their defaults.
const NAMED: [(&str, &str); 9] = [
    ("steps", "1000"),
    ("layers", "4"),
    ("width", "128"),
    ("heads", "4"),
    ("context", "64"),
    ("words", "4000"),
    ("batch", "16"),
    ("rate", "0.001"),
    ("seed", "1"),
];

/// What the example is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// Plain text; empty lines separate paragraphs.
    pub(crate) text: PathBuf,
    /// Folder for the model; made if it is absent.
    pub(crate) out: PathBuf,
    /// Steps of training; 0 leaves the model as it starts.
    pub(crate) steps: usize,
    /// Layers of the model.
    pub(crate) layers: i64,
    /// Channels of the residual stream, a multiple of the heads; each layer has four times as many neurons.
    pub(crate) width: i64,
    /// Attention heads of each layer.
    pub(crate) heads: i64,
    /// Tokens that the model sees at once.
    pub(crate) context: usize,
    /// Most words of the vocabulary, beside the end of a paragraph and the unknown word.
    pub(crate) words: usize,
    /// Rows of text in each step.
    pub(crate) batch: usize,
    /// Highest learning rate.
    pub(crate) rate: f64,
    /// Seed of the first weights and of the rows that each step takes.
    pub(crate) seed: u32,
}

impl Options {
    /// Reads the arguments of the command line, without the name of the program.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Fallible<Self> {
        let mut named: BTreeMap<&str, String> = NAMED.map(|(name, value)| (name, value.to_owned())).into();
        let mut places = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(name) = argument.strip_prefix("--") else {
                places.push(argument);
                continue;
            };
            let Some(value) = named.get_mut(name) else {
                let valid = NAMED.map(|(name, _)| format!("--{name}")).join(", ");
                return Err(format!("--{name} is unknown, valid are {valid}").into());
            };
            *value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
        }
        let [text, out] = <[String; 2]>::try_from(places)
            .map_err(|found| format!("a text file and an output folder are needed, found {found:?}"))?;
        let options = Self {
            text: text.into(),
            out: out.into(),
            steps: whole(&named, "steps", 0)?,
            layers: whole(&named, "layers", 1)?,
            width: whole(&named, "width", 1)?,
            heads: whole(&named, "heads", 1)?,
            context: whole(&named, "context", 2)?,
            words: whole(&named, "words", 1)?,
            batch: whole(&named, "batch", 1)?,
            rate: number(&named, "rate", "a number above 0, at most 1000,", |rate: &f64| {
                *rate > 0.0 && *rate <= 1000.0
            })?,
            seed: whole(&named, "seed", 0)?,
        };
        if options.width % options.heads != 0 {
            let Self { width, heads, .. } = options;
            return Err(format!("--width is {width}, a multiple of the {heads} heads is needed").into());
        }
        Ok(options)
    }

    /// The content of config.json for a vocabulary of `tokens`.
    pub(crate) fn config(&self, tokens: usize) -> Value {
        json!({
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "vocab_size": tokens,
            "n_embd": self.width,
            "n_layer": self.layers,
            "n_head": self.heads,
            "n_positions": self.context,
            "activation_function": "gelu_new",
            "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
            "tie_word_embeddings": true,
            "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
        })
    }
}

/// A whole number from `least` to what an `i32` holds, far beyond any small model.
fn whole<T: FromStr + TryFrom<i32> + PartialOrd + Copy>(
    named: &BTreeMap<&str, String>,
    name: &str,
    least: i32,
) -> Fallible<T> {
    let (Ok(low), Ok(high)) = (T::try_from(least), T::try_from(i32::MAX)) else {
        return Err(format!("--{name} cannot be read").into());
    };
    let needed = format!("a whole number from {least} to {}", i32::MAX);
    number(named, name, &needed, |found| (low..=high).contains(found))
}

fn number<T: FromStr>(
    named: &BTreeMap<&str, String>,
    name: &str,
    needed: &str,
    valid: impl Fn(&T) -> bool,
) -> Fallible<T> {
    let text = named.get(name).map_or("", String::as_str);
    let found = text.parse().ok().filter(valid);
    found.ok_or_else(|| format!("--{name} is {text:?}, {needed} is needed").into())
}
