//! The network that a file describes, in the words of a config.json: the decoders and encoders are those of checkpoints.

use serde_json::{Map, Value as Json, json};

use super::container::{GgufFile, Value};
use super::keys::Keys;

/// What a file says of its network.
pub(super) struct Description {
    /// The value of `model_type` that the network goes by.
    pub(super) model_type: &'static str,
    /// The fields of its config.json.
    pub(super) fields: Map<String, Json>,
}

/// How the metadata of an architecture become a description.
type Describe = fn(&Keys<'_>, &Tensors<'_>) -> Result<Description, String>;

/// The architectures that are known, sorted.
const ARCHITECTURES: [(&str, Describe); 8] = [
    ("bert", bert),
    ("gemma2", gemma2),
    ("gemma3", gemma3),
    ("gpt2", gpt2),
    ("gptneox", gptneox),
    ("llama", llama),
    ("qwen2", qwen2),
    ("qwen3", qwen3),
];

/// The names of the architectures that are known, for messages.
pub(super) fn architectures() -> String {
    ARCHITECTURES.map(|(name, _)| name).join(", ")
}

/// What the file describes.
pub(super) fn describe(file: &GgufFile) -> Result<Description, String> {
    let metadata = file.metadata();
    let needed = || format!("known are {}", architectures());
    let architecture = match metadata.get("general.architecture") {
        None => return Err(format!("no `general.architecture`, {}", needed())),
        Some(value) => value.as_str().ok_or_else(|| {
            format!("`general.architecture` is {value}, the name of an architecture is needed: {}", needed())
        })?,
    };
    let kind = metadata.get("general.type");
    if let Some(kind) = kind.filter(|kind| kind.as_str() != Some("model")) {
        return Err(format!("`general.type` is {kind}, a whole model is needed: \"model\""));
    }
    let Some((_, describe)) = ARCHITECTURES.iter().find(|(name, _)| *name == architecture) else {
        return Err(format!("`general.architecture` is {architecture:?}, {}", needed()));
    };
    let keys = Keys::new(metadata, architecture);
    // Notes on how the file was made, and what its tensors say themselves.
    keys.ignore(&["vocab_size", "tensor_data_layout", "pooling_type"]);
    let described = describe(&keys, &Tensors { file })?;
    keys.reject_unknown()?;
    Ok(described)
}

/// What the tensors of a file tell.
struct Tensors<'a> {
    file: &'a GgufFile,
}

impl Tensors<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

    /// Rows of a table.
    fn rows(&self, name: &str) -> Result<u64, String> {
        let table = self.file.tensor(name);
        let table = table.ok_or_else(|| format!("no tensor `{name}`"))?;
        match table.shape.as_slice() {
            [rows, _] => Ok(*rows),
            other => {
                Err(format!("tensor `{name}` has the shape {other:?}, a table [row, channel] is needed"))
            }
        }
    }
}

/// What the fields of a config.json that all decoders have are called in a family.
struct Names {
    hidden: &'static str,
    layers: &'static str,
    heads: &'static str,
    intermediate: &'static str,
    positions: &'static str,
    epsilon: &'static str,
}

const LLAMA: Names = Names {
    hidden: "hidden_size",
    layers: "num_hidden_layers",
    heads: "num_attention_heads",
    intermediate: "intermediate_size",
    positions: "max_position_embeddings",
    epsilon: "rms_norm_eps",
};

/// What all decoders have.
fn decoder(
    keys: &Keys<'_>,
    tensors: &Tensors<'_>,
    names: &Names,
    epsilon: &str,
) -> Result<Map<String, Json>, String> {
    if let Some(experts) = keys.get("expert_count").filter(|count| count.as_u64() != Some(0)) {
        return Err(keys.wrong("expert_count", experts, "only models without experts are supported: 0"));
    }
    keys.ignore(&["expert_used_count"]);
    let mut fields = Map::new();
    fields.insert(names.hidden.to_owned(), keys.needed_size("embedding_length")?.into());
    fields.insert(names.layers.to_owned(), keys.needed_size("block_count")?.into());
    fields.insert(names.heads.to_owned(), keys.needed_size("attention.head_count")?.into());
    fields.insert(names.intermediate.to_owned(), keys.needed_size("feed_forward_length")?.into());
    fields.insert(names.positions.to_owned(), keys.needed_size("context_length")?.into());
    fields.insert(names.epsilon.to_owned(), keys.needed_positive(epsilon)?.into());
    fields.insert("vocab_size".to_owned(), tensors.rows("token_embd.weight")?.into());
    fields.insert("tie_word_embeddings".to_owned(), (!tensors.has("output.weight")).into());
    Ok(fields)
}

/// Channels of a head: all of them have rotary positions.
fn head_width(keys: &Keys<'_>) -> Result<u64, String> {
    let heads = keys.needed_size("attention.head_count")?;
    let key = keys.size("attention.key_length")?;
    let value = keys.size("attention.value_length")?;
    if key != value {
        let found = keys.get("attention.value_length").map_or("missing".to_owned(), ToString::to_string);
        return Err(format!(
            "`{}` is {found}, as many channels as `{}` says are needed",
            keys.name("attention.value_length"),
            keys.name("attention.key_length")
        ));
    }
    let width = key.unwrap_or(keys.needed_size("embedding_length")? / heads);
    if let Some(turned) = keys.size("rope.dimension_count")?.filter(|turned| *turned != width) {
        return Err(format!(
            "`{}` is {turned}, rotary positions of all {width} channels of a head are needed",
            keys.name("rope.dimension_count")
        ));
    }
    Ok(width)
}

/// How rotary positions are stretched, as the `rope_scaling` of a config.json.
fn scaling(keys: &Keys<'_>) -> Result<Option<Json>, String> {
    let kind = keys.text("rope.scaling.type")?;
    keys.ignore(&["rope.scaling.finetuned"]);
    let factor = match keys.positive("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.positive("rope.scale_linear")?,
    };
    let original = keys.size("rope.scaling.original_context_length")?;
    let attention = keys.positive("rope.scaling.attn_factor")?;
    let scaling = match (kind, factor) {
        (Some("none"), _) | (None, None) => None,
        (Some("linear") | None, Some(factor)) => Some(json!({ "rope_type": "linear", "factor": factor })),
        (Some("yarn"), Some(factor)) => {
            let mut scaling = json!({ "rope_type": "yarn", "factor": factor });
            if let Some(original) = original {
                scaling["original_max_position_embeddings"] = original.into();
            }
            for (key, field) in [("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")] {
                if let Some(beta) = keys.positive(&format!("rope.scaling.{key}"))? {
                    scaling[field] = beta.into();
                }
            }
            if let Some(attention) = attention {
                scaling["attention_factor"] = (attention * (0.1 * factor.ln() + 1.0)).into();
            }
            return Ok(Some(scaling));
        }
        (Some("linear" | "yarn"), None) => return Err(format!("no `{}`", keys.name("rope.scaling.factor"))),
        (Some(_), _) => {
            let found = keys.get("rope.scaling.type").map_or_else(String::new, Value::to_string);
            let needed = "supported are linear, none, yarn";
            return Err(format!("`{}` is {found}, {needed}", keys.name("rope.scaling.type")));
        }
    };
    if let Some(attention) = attention.filter(|factor| *factor != 1.0) {
        return Err(format!("`{}` is {attention}, only yarn has one", keys.name("rope.scaling.attn_factor")));
    }
    Ok(scaling)
}

/// What the decoders that came of Llama have.
fn llama_like(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Map<String, Json>, String> {
    let mut fields = decoder(keys, tensors, &LLAMA, "attention.layer_norm_rms_epsilon")?;
    let heads = keys.needed_size("attention.head_count")?;
    let key_value_heads = keys.size("attention.head_count_kv")?.unwrap_or(heads);
    fields.insert("num_key_value_heads".to_owned(), key_value_heads.into());
    fields.insert("head_dim".to_owned(), head_width(keys)?.into());
    if let Some(theta) = keys.positive("rope.freq_base")? {
        fields.insert("rope_theta".to_owned(), theta.into());
    }
    if let Some(scaling) = scaling(keys)? {
        fields.insert("rope_scaling".to_owned(), scaling);
    }
    Ok(fields)
}

/// Llama, and Mistral, which goes by its name and says so by a window.
fn llama(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    let mut fields = llama_like(keys, tensors)?;
    fields.entry("rope_theta").or_insert_with(|| 10_000.0.into());
    let biased = |name: &str| tensors.has(&format!("blk.0.{name}.bias"));
    fields.insert("attention_bias".to_owned(), biased("attn_q").into());
    fields.insert("mlp_bias".to_owned(), biased("ffn_up").into());
    let window = keys.size("attention.sliding_window")?;
    if let Some(window) = window {
        fields.insert("sliding_window".to_owned(), window.into());
    }
    Ok(Description { model_type: if window.is_some() { "mistral" } else { "llama" }, fields })
}

fn qwen2(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    Ok(Description { model_type: "qwen2", fields: llama_like(keys, tensors)? })
}

fn qwen3(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    let mut fields = llama_like(keys, tensors)?;
    fields.insert("attention_bias".to_owned(), tensors.has("blk.0.attn_q.bias").into());
    Ok(Description { model_type: "qwen3", fields })
}

/// What both Gemmas have. In the model of `largest` layers, scores are divided by the root of the channels for each head; in the others,
/// by that of the channels of a head.
fn gemma(keys: &Keys<'_>, tensors: &Tensors<'_>, largest: u64) -> Result<Map<String, Json>, String> {
    let mut fields = llama_like(keys, tensors)?;
    let window = keys.needed_size("attention.sliding_window")?;
    fields.insert("sliding_window".to_owned(), window.into());
    let divisor = if keys.needed_size("block_count")? == largest {
        keys.needed_size("embedding_length")? / keys.needed_size("attention.head_count")?
    } else {
        head_width(keys)?
    };
    fields.insert("query_pre_attn_scalar".to_owned(), divisor.into());
    Ok(fields)
}

fn gemma2(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    let mut fields = gemma(keys, tensors, 46)?;
    for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
        fields.insert(cap.to_owned(), keys.needed_positive(cap)?.into());
    }
    Ok(Description { model_type: "gemma2", fields })
}

fn gemma3(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    let mut fields = gemma(keys, tensors, 62)?;
    if let Some(cap) = keys.positive("final_logit_softcapping")? {
        fields.insert("final_logit_softcapping".to_owned(), cap.into());
    }
    let pattern = keys.size("attention.sliding_window_pattern")?.unwrap_or(6);
    fields.insert("sliding_window_pattern".to_owned(), pattern.into());
    let local = keys.positive("rope.freq_base_swa")?.unwrap_or(10_000.0);
    fields.insert("rope_local_base_freq".to_owned(), local.into());
    fields.entry("rope_theta").or_insert_with(|| 1_000_000.0.into());
    Ok(Description { model_type: "gemma3_text", fields })
}

fn gpt2(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    let names = Names {
        hidden: "n_embd",
        layers: "n_layer",
        heads: "n_head",
        intermediate: "n_inner",
        positions: "n_positions",
        epsilon: "layer_norm_epsilon",
    };
    let fields = decoder(keys, tensors, &names, "attention.layer_norm_epsilon")?;
    same_heads(keys)?;
    Ok(Description { model_type: "gpt2", fields })
}

fn gptneox(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    let names = Names { epsilon: "layer_norm_eps", ..LLAMA };
    let mut fields = decoder(keys, tensors, &names, "attention.layer_norm_epsilon")?;
    same_heads(keys)?;
    let width = keys.needed_size("embedding_length")? / keys.needed_size("attention.head_count")?;
    let turned = keys.size("rope.dimension_count")?.unwrap_or(width);
    #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^30")]
    let share = turned as f64 / width.max(1) as f64;
    fields.insert("rotary_pct".to_owned(), share.into());
    fields.insert("rotary_emb_base".to_owned(), keys.positive("rope.freq_base")?.unwrap_or(10_000.0).into());
    if let Some(scaling) = scaling(keys)? {
        fields.insert("rope_scaling".to_owned(), scaling);
    }
    let parallel = keys.flag("use_parallel_residual")?.unwrap_or(true);
    fields.insert("use_parallel_residual".to_owned(), parallel.into());
    fields.insert("attention_bias".to_owned(), tensors.has("blk.0.attn_qkv.bias").into());
    Ok(Description { model_type: "gpt_neox", fields })
}

/// Where queries, keys and values come from one map, there are as many heads of each.
fn same_heads(keys: &Keys<'_>) -> Result<(), String> {
    let heads = keys.needed_size("attention.head_count")?;
    match keys.size("attention.head_count_kv")? {
        Some(other) if other != heads => Err(format!(
            "`{}` is {other}, as many as there are heads are needed: {heads}",
            keys.name("attention.head_count_kv")
        )),
        _ => Ok(()),
    }
}

fn bert(keys: &Keys<'_>, tensors: &Tensors<'_>) -> Result<Description, String> {
    if keys.flag("attention.causal")? == Some(true) {
        return Err(format!(
            "`{}` is true, encoders see all tokens: false is needed",
            keys.name("attention.causal")
        ));
    }
    same_heads(keys)?;
    let positions = tensors.rows("position_embd.weight")?;
    keys.ignore(&["context_length"]);
    let fields = json!({
        "hidden_size": keys.needed_size("embedding_length")?,
        "num_hidden_layers": keys.needed_size("block_count")?,
        "num_attention_heads": keys.needed_size("attention.head_count")?,
        "intermediate_size": keys.needed_size("feed_forward_length")?,
        "layer_norm_eps": keys.needed_positive("attention.layer_norm_epsilon")?,
        "max_position_embeddings": positions,
        "type_vocab_size": tensors.rows("token_types.weight")?,
        "vocab_size": tensors.rows("token_embd.weight")?,
    });
    let Json::Object(fields) = fields else { return Err("no fields".to_owned()) };
    Ok(Description { model_type: "bert", fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_sorted() {
        assert!(ARCHITECTURES.map(|(name, _)| name).is_sorted());
    }
}
