//! The families of decoders, as data: what their configs and modules are called, and where they differ.

use crate::transformer::modules::Layout;

/// What one family calls its parts. Names of modules inside a layer are relative to the layer.
///
/// Module paths are those of the Hugging Face implementation of the model with its language-model head, so each weight
/// is called `{module path}.weight` or `.bias`, and each operation runs in the module that the path names.
#[derive(Debug)]
pub(crate) struct Family {
    /// The value of `model_type`.
    pub(crate) model_type: &'static str,
    /// The object in config.json that describes the decoder; `None` if the whole file does.
    pub(crate) nested: Option<&'static str>,
    /// Path of the decoder without its head. Checkpoints without a head leave it out.
    pub(crate) stack: &'static str,
    /// Beginnings of names in checkpoints of other times, and what they are called here.
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// Beginnings of names that are no part of the decoder.
    pub(crate) unused: &'static [&'static str],
    /// Ends of names of buffers that older checkpoints hold.
    pub(crate) buffers: &'static [&'static str],
    /// The token embedding.
    pub(crate) embedding: &'static str,
    /// The position embedding, where positions are learned.
    pub(crate) positions: Option<&'static str>,
    /// The list of layers.
    pub(crate) layers: &'static str,
    pub(crate) final_norm: &'static str,
    pub(crate) attention: &'static str,
    pub(crate) projections: Projections,
    /// Projection of the heads' results.
    pub(crate) attention_out: &'static str,
    /// Norms of queries and keys, over the channels of each head.
    pub(crate) query_key_norms: Option<(&'static str, &'static str)>,
    pub(crate) ffn: &'static str,
    /// The gate of a gated feed-forward block.
    pub(crate) ffn_gate: Option<&'static str>,
    pub(crate) ffn_in: &'static str,
    pub(crate) ffn_out: &'static str,
    pub(crate) linear: Layout,
    pub(crate) norm: NormKind,
    pub(crate) norms: Norms,
    /// Whether embeddings are multiplied by the root of the number of channels.
    pub(crate) scaled_embedding: bool,
    /// Whether config.json may soften attention scores and logits.
    pub(crate) softcaps: Softcaps,
    pub(crate) windows: Windows,
    pub(crate) rotary: RotaryFields,
    pub(crate) biases: Biases,
    pub(crate) fields: Names,
    pub(crate) defaults: Defaults,
}

/// How queries, keys and values are computed from the hidden state.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Projections {
    /// One linear map each.
    Separate { query: &'static str, key: &'static str, value: &'static str },
    /// One linear map: all queries, then all keys, then all values.
    Joined(&'static str),
    /// One linear map: query, key and value of the first head, then those of the second, ...
    JoinedByHead(&'static str),
}

/// Which norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// LayerNorm with weight and bias.
    Layer,
    /// RMSNorm times the weight.
    Rms,
    /// RMSNorm times one plus the weight.
    RmsPlusOne,
}

/// The norms of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norms {
    pub(crate) before_attention: &'static str,
    /// Of what attention adds to the residual stream.
    pub(crate) after_attention: Option<&'static str>,
    pub(crate) before_ffn: &'static str,
    /// Of what the feed-forward block adds to the residual stream.
    pub(crate) after_ffn: Option<&'static str>,
}

/// `attn_logit_softcapping` and `final_logit_softcapping` where config.json leaves them out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Softcaps {
    /// The family has no such fields.
    None,
    /// Logits only, none by default.
    Logits,
    /// Both, with defaults.
    Both { attention: f64, logits: f64 },
}

/// Which layers see the latest tokens only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    /// None.
    None,
    /// All, if `sliding_window` is a number.
    All,
    /// Those from `max_window_layers` on, if `use_sliding_window` says so; or as `layer_types` says.
    Upper,
    /// All but each `sliding_window_pattern`-th, with this default; or as `layer_types` says.
    Pattern(u64),
}

/// Where config.json describes rotary positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RotaryFields {
    /// The family has none.
    None,
    /// `rope_parameters`, or `rope_theta` and `rope_scaling`.
    One,
    /// `rope_parameters`, or `rotary_emb_base`, `rotary_pct` and `rope_scaling`.
    Partial,
    /// `rope_parameters` for each type of layer, or `rope_theta` and `rope_scaling` for layers without window and
    /// `rope_local_base_freq` for those with one.
    ByWindow,
}

/// Which linear maps have biases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Biases {
    pub(crate) query_key_value: Bias,
    pub(crate) attention_out: Bias,
    pub(crate) ffn: Bias,
}

/// Whether a linear map has a bias.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bias {
    Always,
    Never,
    /// As this field of config.json says, with a default.
    Field(&'static str, bool),
}

/// What a family's config.json calls its fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub(crate) hidden: &'static str,
    pub(crate) heads: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) intermediate: &'static str,
    pub(crate) activation: &'static str,
    pub(crate) epsilon: &'static str,
    pub(crate) max_positions: &'static str,
}

/// Values of fields that config.json leaves out, as in transformers. `None` where the field is required.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) vocabulary: Option<u64>,
    pub(crate) hidden: Option<u64>,
    pub(crate) heads: Option<u64>,
    pub(crate) layers: Option<usize>,
    /// `None` for four times the hidden size.
    pub(crate) intermediate: Option<u64>,
    /// `None` for as many as there are heads.
    pub(crate) key_value_heads: Option<u64>,
    /// `None` for the hidden size divided by the heads.
    pub(crate) head_width: Option<u64>,
    pub(crate) max_positions: u64,
    pub(crate) sliding_window: Option<u64>,
    pub(crate) activation: &'static str,
    pub(crate) epsilon: f64,
    pub(crate) rope_theta: f64,
    pub(crate) tied: bool,
}

const LLAMA: Family = Family {
    model_type: "llama",
    nested: None,
    stack: "model",
    renamed: &[],
    unused: &[],
    buffers: &["rotary_emb.inv_freq"],
    embedding: "embed_tokens",
    positions: None,
    layers: "layers",
    final_norm: "norm",
    attention: "self_attn",
    projections: Projections::Separate { query: "q_proj", key: "k_proj", value: "v_proj" },
    attention_out: "o_proj",
    query_key_norms: None,
    ffn: "mlp",
    ffn_gate: Some("gate_proj"),
    ffn_in: "up_proj",
    ffn_out: "down_proj",
    linear: Layout::OutIn,
    norm: NormKind::Rms,
    norms: Norms {
        before_attention: "input_layernorm",
        after_attention: None,
        before_ffn: "post_attention_layernorm",
        after_ffn: None,
    },
    scaled_embedding: false,
    softcaps: Softcaps::None,
    windows: Windows::None,
    rotary: RotaryFields::One,
    biases: Biases {
        query_key_value: Bias::Field("attention_bias", false),
        attention_out: Bias::Field("attention_bias", false),
        ffn: Bias::Field("mlp_bias", false),
    },
    fields: Names {
        hidden: "hidden_size",
        heads: "num_attention_heads",
        layers: "num_hidden_layers",
        intermediate: "intermediate_size",
        activation: "hidden_act",
        epsilon: "rms_norm_eps",
        max_positions: "max_position_embeddings",
    },
    defaults: Defaults {
        vocabulary: None,
        hidden: None,
        heads: None,
        layers: None,
        intermediate: None,
        key_value_heads: None,
        head_width: None,
        max_positions: 2048,
        sliding_window: None,
        activation: "silu",
        epsilon: 1e-6,
        rope_theta: 10_000.0,
        tied: false,
    },
};

const QWEN2: Family = Family {
    model_type: "qwen2",
    windows: Windows::Upper,
    biases: Biases { query_key_value: Bias::Always, attention_out: Bias::Never, ffn: Bias::Never },
    defaults: Defaults {
        key_value_heads: Some(32),
        max_positions: 32_768,
        sliding_window: Some(4096),
        ..LLAMA.defaults
    },
    ..LLAMA
};

const GEMMA2: Family = Family {
    model_type: "gemma2",
    norm: NormKind::RmsPlusOne,
    norms: Norms {
        before_attention: "input_layernorm",
        after_attention: Some("post_attention_layernorm"),
        before_ffn: "pre_feedforward_layernorm",
        after_ffn: Some("post_feedforward_layernorm"),
    },
    scaled_embedding: true,
    softcaps: Softcaps::Both { attention: 50.0, logits: 30.0 },
    windows: Windows::Pattern(2),
    biases: Biases { ffn: Bias::Never, ..LLAMA.biases },
    fields: Names { activation: "hidden_activation", ..LLAMA.fields },
    defaults: Defaults {
        vocabulary: Some(256_000),
        hidden: Some(2304),
        heads: Some(8),
        layers: Some(26),
        intermediate: Some(9216),
        key_value_heads: Some(4),
        head_width: Some(256),
        max_positions: 8192,
        sliding_window: Some(4096),
        activation: "gelu_pytorch_tanh",
        epsilon: 1e-6,
        rope_theta: 10_000.0,
        tied: true,
    },
    ..LLAMA
};

const GEMMA3_TEXT: Family = Family {
    model_type: "gemma3_text",
    query_key_norms: Some(("q_norm", "k_norm")),
    softcaps: Softcaps::Logits,
    windows: Windows::Pattern(6),
    rotary: RotaryFields::ByWindow,
    defaults: Defaults {
        vocabulary: Some(262_208),
        max_positions: 131_072,
        rope_theta: 1_000_000.0,
        ..GEMMA2.defaults
    },
    ..GEMMA2
};

/// All families.
pub(crate) const FAMILIES: &[Family] = &[
    GEMMA2,
    Family {
        model_type: "gemma3",
        nested: Some("text_config"),
        stack: "model.language_model",
        renamed: &[
            ("language_model.model.", "model.language_model."),
            ("language_model.lm_head.", "lm_head."),
        ],
        unused: &[
            "model.vision_tower.",
            "model.multi_modal_projector.",
            "vision_tower.",
            "multi_modal_projector.",
        ],
        ..GEMMA3_TEXT
    },
    GEMMA3_TEXT,
    Family {
        model_type: "gpt2",
        stack: "transformer",
        unused: &["score.", "multiple_choice_head."],
        buffers: &[".attn.bias", ".attn.masked_bias"],
        embedding: "wte",
        positions: Some("wpe"),
        layers: "h",
        final_norm: "ln_f",
        attention: "attn",
        projections: Projections::Joined("c_attn"),
        attention_out: "c_proj",
        ffn_gate: None,
        ffn_in: "c_fc",
        ffn_out: "c_proj",
        linear: Layout::InOut,
        norm: NormKind::Layer,
        norms: Norms { before_attention: "ln_1", after_attention: None, before_ffn: "ln_2", after_ffn: None },
        rotary: RotaryFields::None,
        biases: Biases { query_key_value: Bias::Always, attention_out: Bias::Always, ffn: Bias::Always },
        fields: Names {
            hidden: "n_embd",
            heads: "n_head",
            layers: "n_layer",
            intermediate: "n_inner",
            activation: "activation_function",
            epsilon: "layer_norm_epsilon",
            max_positions: "n_positions",
        },
        defaults: Defaults {
            vocabulary: Some(50_257),
            hidden: Some(768),
            heads: Some(12),
            layers: Some(12),
            max_positions: 1024,
            activation: "gelu_new",
            epsilon: 1e-5,
            tied: true,
            ..LLAMA.defaults
        },
        ..LLAMA
    },
    Family {
        model_type: "gpt_neox",
        stack: "gpt_neox",
        renamed: &[("embed_out.", "lm_head.")],
        buffers: &[".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"],
        embedding: "embed_in",
        final_norm: "final_layer_norm",
        attention: "attention",
        projections: Projections::JoinedByHead("query_key_value"),
        attention_out: "dense",
        ffn_gate: None,
        ffn_in: "dense_h_to_4h",
        ffn_out: "dense_4h_to_h",
        norm: NormKind::Layer,
        rotary: RotaryFields::Partial,
        biases: Biases {
            query_key_value: Bias::Field("attention_bias", true),
            attention_out: Bias::Field("attention_bias", true),
            ffn: Bias::Always,
        },
        fields: Names { epsilon: "layer_norm_eps", ..LLAMA.fields },
        defaults: Defaults { activation: "gelu", epsilon: 1e-5, ..LLAMA.defaults },
        ..LLAMA
    },
    LLAMA,
    Family {
        model_type: "mistral",
        windows: Windows::All,
        biases: Biases { query_key_value: Bias::Never, attention_out: Bias::Never, ffn: Bias::Never },
        defaults: Defaults {
            key_value_heads: Some(8),
            max_positions: 131_072,
            sliding_window: Some(4096),
            ..LLAMA.defaults
        },
        ..LLAMA
    },
    QWEN2,
    Family {
        model_type: "qwen3",
        query_key_norms: Some(("q_norm", "k_norm")),
        biases: Biases { ffn: Bias::Never, ..LLAMA.biases },
        defaults: Defaults { head_width: Some(128), ..QWEN2.defaults },
        ..QWEN2
    },
];

/// The family that a `model_type` means.
pub(crate) fn family_of(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.model_type == model_type)
}

/// All supported values of `model_type`.
pub(crate) fn supported() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|f| f.model_type)
}

/// The supported values of `model_type`, sorted, for messages.
pub(crate) fn names() -> String {
    supported().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_sorted_and_each_is_named_once() {
        let names: Vec<_> = supported().collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}
