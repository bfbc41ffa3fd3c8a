//! The families of encoders, as data: what their configs and modules are called, and where they differ.

/// What one family calls its parts. Names of modules inside a layer are relative to the layer.
///
/// Module paths are those of the Hugging Face implementation without its prefix, so each weight is called
/// `{module path}.weight` or `.bias`, and each operation runs in the module that the path names.
#[derive(Debug)]
pub(crate) struct Family {
    /// The values of `model_type` that mean this family; the first one names it in messages.
    pub(crate) model_types: &'static [&'static str],
    /// What a checkpoint with a task head puts before the names of the encoder.
    pub(crate) prefix: &'static str,
    /// Beginnings of names that are no part of the encoder: heads for tasks, and buffers.
    pub(crate) unused: &'static [&'static str],
    /// Path of the list of layers.
    pub(crate) layers: &'static str,
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    /// Projection of the heads' results.
    pub(crate) attention_dense: &'static str,
    pub(crate) attention_norm: &'static str,
    /// The two linear maps of the feed-forward block.
    pub(crate) ffn_in: &'static str,
    pub(crate) ffn_out: &'static str,
    pub(crate) ffn_norm: &'static str,
    /// Whether checkpoints may hold a pooler.
    pub(crate) pooler: bool,
    /// Whether there are token types (segments).
    pub(crate) token_types: bool,
    pub(crate) positions: Positions,
    pub(crate) fields: Fields,
}

/// How tokens are numbered for the position embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// 0, 1, 2, ... for each place of the row.
    Absolute,
    /// Tokens that are not padding count on from `pad_token_id` + 1; padding has `pad_token_id`.
    AfterPadding,
}

/// What a family's config.json calls its fields.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) hidden: &'static str,
    pub(crate) heads: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) intermediate: &'static str,
    pub(crate) activation: &'static str,
    /// The field, or `None` where the family always has 1e-12.
    pub(crate) layer_norm_eps: Option<&'static str>,
    /// `max_position_embeddings` and `pad_token_id` where config.json leaves them out.
    pub(crate) default_positions: u64,
    pub(crate) default_padding: u64,
}

const BERT_FIELDS: Fields = Fields {
    hidden: "hidden_size",
    heads: "num_attention_heads",
    layers: "num_hidden_layers",
    intermediate: "intermediate_size",
    activation: "hidden_act",
    layer_norm_eps: Some("layer_norm_eps"),
    default_positions: 512,
    default_padding: 0,
};

const BERT: Family = Family {
    model_types: &["bert"],
    prefix: "bert.",
    unused: &["cls.", "classifier.", "qa_outputs.", "embeddings.position_ids", "embeddings.token_type_ids"],
    layers: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_dense: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    ffn_in: "intermediate.dense",
    ffn_out: "output.dense",
    ffn_norm: "output.LayerNorm",
    pooler: true,
    token_types: true,
    positions: Positions::Absolute,
    fields: BERT_FIELDS,
};

/// All families.
pub(crate) const FAMILIES: &[Family] = &[
    BERT,
    Family {
        model_types: &["roberta", "xlm-roberta", "camembert"],
        prefix: "roberta.",
        unused: &[
            "lm_head.",
            "classifier.",
            "qa_outputs.",
            "embeddings.position_ids",
            "embeddings.token_type_ids",
        ],
        positions: Positions::AfterPadding,
        fields: Fields { default_padding: 1, ..BERT_FIELDS },
        ..BERT
    },
    Family {
        model_types: &["distilbert"],
        prefix: "distilbert.",
        unused: &[
            "vocab_transform.",
            "vocab_layer_norm.",
            "vocab_projector.",
            "pre_classifier.",
            "classifier.",
            "qa_outputs.",
            "embeddings.position_ids",
        ],
        layers: "transformer.layer",
        query: "attention.q_lin",
        key: "attention.k_lin",
        value: "attention.v_lin",
        attention_dense: "attention.out_lin",
        attention_norm: "sa_layer_norm",
        ffn_in: "ffn.lin1",
        ffn_out: "ffn.lin2",
        ffn_norm: "output_layer_norm",
        pooler: false,
        token_types: false,
        positions: Positions::Absolute,
        fields: Fields {
            hidden: "dim",
            heads: "n_heads",
            layers: "n_layers",
            intermediate: "hidden_dim",
            activation: "activation",
            layer_norm_eps: None,
            ..BERT_FIELDS
        },
    },
];

/// The family that a `model_type` means.
pub(crate) fn family_of(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.model_types.contains(&model_type))
}

/// All supported values of `model_type`.
pub(crate) fn supported() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|f| f.model_types).copied()
}
