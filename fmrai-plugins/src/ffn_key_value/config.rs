//! What the analysis can be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which positions of a text can trigger a neuron.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Every position: each stands for the prefix of the text that ends there.
    #[default]
    Prefix,
    /// Position 0 alone, such as `[CLS]` of encoders, which stands for the whole text.
    FirstToken,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_true(yes: &bool) -> bool {
    *yes
}

/// Config of the `ffn_key_value` analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FfnKeyValueConfig {
    /// Trigger examples kept for each neuron and sign, the most there are of one text being one. 1 to 1000, default 50.
    /// Memory: 16 bytes for each of them, and the texts that any of them names.
    pub triggers: usize,
    /// The strongest of these of which the coefficients of the tokens around are kept as well, for memory cards and the
    /// store. 0 to 100, default 3. Memory: 152 bytes for each of them, neuron and sign.
    pub contexts: usize,
    /// Layers to look at, by the numbers of their feed-forward blocks (`fmrai inspect` lists them). Not given: all. The map of values to the
    /// vocabulary, the longest part in models with a large one, is made for these alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<usize>>,
    /// Which positions are looked at: `prefix` (all) or `first_token`. Default `prefix`.
    pub strategy: Strategy,
    /// False to look past tokens that the tokenizer added, such as `[SEP]`; the strategy `first_token` looks at position
    /// 0 in any case. Default true.
    pub special_tokens: bool,
    /// True to use the table of the token embedding as the map to the vocabulary in models that have no such map, such
    /// as encoders without a head. It was never trained to be one, so what is read with it are no predictions of the model; the report
    /// warns of that. Default false: what needs a vocabulary is then left out.
    pub tied_embedding: bool,
    /// True to read values through the model's last normalisation too, and through all else that it does between its last stream and its
    /// logits. Default false: values are multiplied with the table of the vocabulary and nothing else, as in the paper. Streams are read
    /// through all of it in any case.
    pub final_norm: bool,
    /// False to leave out the map of values to tokens, and all that is read with it: agreement, composition and what values promote. It is the
    /// longest part with a large vocabulary: `neurons · channels · vocabulary` multiplications. Default true.
    #[serde(skip_serializing_if = "is_true")]
    pub values: bool,
    /// Most probable tokens listed for each value. 1 to 1000, default 10.
    pub top_tokens: usize,
    /// Positions of the whole data at which the composition of predictions is looked at, chosen by a hash of text and
    /// position. 0 to 100000, default 256; 0 switches it off. The paper takes 4000. Memory: 12 bytes for each position,
    /// layer and channel of the model.
    pub composition_positions: usize,
    /// Seed of that choice. Any whole number that is not negative, default 0.
    pub seed: u64,
    /// A neuron is called key neuron if its mean coefficient is more than this many standard deviations above the
    /// mean over its layer's neurons. A number greater than 0, default 3.
    pub key_sigma: f64,
    /// Neurons on the page of memory cards: those that answer most selectively, the layers taking turns. 0 to 100, default 12;
    /// 0 leaves the page out.
    pub cards: usize,
}

impl Default for FfnKeyValueConfig {
    fn default() -> Self {
        Self {
            triggers: 50,
            contexts: 3,
            layers: None,
            strategy: Strategy::Prefix,
            special_tokens: true,
            tied_embedding: false,
            final_norm: false,
            values: true,
            top_tokens: 10,
            composition_positions: 256,
            seed: 0,
            key_sigma: 3.0,
            cards: 12,
        }
    }
}
