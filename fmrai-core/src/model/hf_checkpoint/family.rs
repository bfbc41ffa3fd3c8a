//! The families of encoders, as data: what their configs and modules are called, and where they differ.

/// What one family calls its parts. Names of modules inside a layer are relative to the layer.
///
/// Module paths are those of the Hugging Face implementation without its prefix, so each weight is called
/// `{module path}.weight` or `.bias`, and each operation runs in the module that the path names.
#[derive(Debug)]
pub(super) struct Family {
    /// The values of `model_type` that mean this family; the first one names it in messages.
    pub(super) model_types: &'static [&'static str],
    /// What a checkpoint with a task head puts before the names of the encoder.
    pub(super) prefix: &'static str,
    /// Beginnings of names that are no part of the encoder: heads for tasks, and buffers.
    pub(super) unused: &'static [&'static str],
    /// Path of the list of layers.
    pub(super) layers: &'static str,
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    /// Projection of the heads' results.
    pub(super) attention_dense: &'static str,
    pub(super) attention_norm: &'static str,
    /// The two linear maps of the feed-forward block.
    pub(super) ffn_in: &'static str,
    pub(super) ffn_out: &'static str,
    pub(super) ffn_norm: &'static str,
    /// Whether checkpoints may hold a pooler.
    pub(super) pooler: bool,
    /// Whether there are token types (segments).
    pub(super) token_types: bool,
    pub(super) positions: Positions,
    pub(super) fields: Fields,
}

/// How tokens are numbered for the position embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Positions {
    /// 0, 1, 2, ... for each place of the row.
    Absolute,
    /// Tokens that are not padding count on from `pad_token_id` + 1; padding has `pad_token_id`.
    AfterPadding,
}

/// What a family's config.json calls its fields.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) hidden: &'static str,
    pub(super) heads: &'static str,
    pub(super) layers: &'static str,
    pub(super) intermediate: &'static str,
    pub(super) activation: &'static str,
    /// The field, or `None` where the family always has 1e-12.
    pub(super) layer_norm_eps: Option<&'static str>,
    /// `max_position_embeddings` and `pad_token_id` where config.json leaves them out.
    pub(super) default_positions: u64,
    pub(super) default_padding: u64,
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
pub(super) const FAMILIES: &[Family] = &[
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
pub(super) fn family_of(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.model_types.contains(&model_type))
}

/// All supported values of `model_type`, sorted, for messages.
pub(super) fn supported() -> String {
    let mut names: Vec<_> = FAMILIES.iter().flat_map(|f| f.model_types).copied().collect();
    names.sort_unstable();
    names.join(", ")
}
