//! config.json of a decoder.

use serde_json::Value;

use super::family::{Bias, Family, Projections, Softcaps, Windows};
use super::rotary_config::{Context, LAYER_TYPES};
use super::spec::{DecoderSpec, LayerSpec};
use crate::transformer::fields::{Fields, MAX_SIZE};

/// Settings that would change the result and that none of the families here can have.
const REJECTED: [&str; 3] = ["add_cross_attention", "is_encoder_decoder", "use_bidirectional_attention"];

/// The object that describes the text part of a model with more parts.
const NESTED: &str = "text_config";
const NESTED_PATH: &str = "text_config.";

/// Reads the fields of a config.json of `family`.
pub(super) fn read(family: &'static Family, file: Fields<'_>) -> Result<DecoderSpec, String> {
    file.reject_unsupported(&REJECTED)?;
    let (names, defaults) = (&family.fields, &family.defaults);
    // Tools that take the text part out of a model, or put it back, leave its fields at either place.
    let flat = file.has(names.hidden);
    let nested = if flat && family.nested.is_none() { None } else { file.object(NESTED)? };
    let fields = match (nested, family.nested) {
        (Some(nested), _) => Fields::new(nested, NESTED_PATH),
        (None, Some(name)) if !flat => return Err(format!("no `{name}`")),
        (None, _) => file,
    };
    fields.reject_unsupported(&REJECTED)?;

    let hidden = fields.size(names.hidden, defaults.hidden)?;
    let heads = fields.size(names.heads, defaults.heads)?;
    let joined = !matches!(family.projections, Projections::Separate { .. });
    let key_value_heads = if joined { heads } else { key_value_heads(family, fields, heads)? };
    let head_width = head_width(family, fields, hidden, heads, joined)?;
    let count = fields.layers(names.layers, defaults.layers)?;
    let intermediate = match (family.positions, defaults.intermediate) {
        (Some(_), None) => fields.size(names.intermediate, u64::try_from(hidden * 4).ok())?,
        (_, default) => fields.size(names.intermediate, default)?,
    };
    let positions = fields.size(names.max_positions, Some(defaults.max_positions))?;
    #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^30")]
    let context = Context { fields, family, head_width, positions: positions as f64 };
    let rotary = context.read()?;
    let bias = |bias: Bias| match bias {
        Bias::Always => Ok(true),
        Bias::Never => Ok(false),
        Bias::Field(name, default) => fields.flag(name, default),
    };
    let (attention_softcap, logit_softcap) = softcaps(family, fields)?;
    Ok(DecoderSpec {
        family,
        vocabulary: fields.size("vocab_size", defaults.vocabulary)?,
        hidden,
        heads,
        key_value_heads,
        head_width,
        intermediate,
        activation: fields.activation(names.activation, defaults.activation)?,
        epsilon: fields.epsilon(names.epsilon, defaults.epsilon)?,
        layers: layers(family, fields, count, head_width, rotary.len())?,
        max_tokens: rotary
            .iter()
            .map(|r| stretched(positions, r.scaling.stretch()))
            .fold(positions, i64::max),
        rotary,
        positions,
        query_key_value_bias: bias(family.biases.query_key_value)?,
        attention_out_bias: bias(family.biases.attention_out)?,
        ffn_bias: bias(family.biases.ffn)?,
        attention_softcap,
        logit_softcap,
        parallel: parallel(family, fields)?,
        tied: tied(file, fields, defaults.tied)?,
        padding: match fields.integer("pad_token_id", None)? {
            None => file.integer("pad_token_id", None)?,
            given => given,
        },
        end_tokens: tokens(file, fields)?,
    })
}

/// Whether the head is the embedding: if the file says so at either place, since a checkpoint with a head of its own has the
/// last word.
fn tied(file: Fields<'_>, fields: Fields<'_>, default: bool) -> Result<bool, String> {
    let name = "tie_word_embeddings";
    let given = |fields: Fields<'_>| fields.get(name).map(|_| fields.flag(name, default)).transpose();
    Ok(match (given(file)?, given(fields)?) {
        (None, None) => default,
        (one, other) => one == Some(true) || other == Some(true),
    })
}

fn key_value_heads(family: &Family, fields: Fields<'_>, heads: i64) -> Result<i64, String> {
    let name = "num_key_value_heads";
    // Null means as many as there are heads; a field that is missing means the family's default.
    let default = if fields.has(name) { None } else { family.defaults.key_value_heads };
    let count = fields.size(name, default.or(u64::try_from(heads).ok()))?;
    if heads % count == 0 {
        return Ok(count);
    }
    let needed = format!("a divisor of the {heads} heads (`{}`) is needed", family.fields.heads);
    Err(fields.wrong(name, &Value::from(count), &needed))
}

fn head_width(
    family: &Family,
    fields: Fields<'_>,
    hidden: i64,
    heads: i64,
    joined: bool,
) -> Result<i64, String> {
    let default = if fields.has("head_dim") { None } else { family.defaults.head_width };
    let given = if joined { None } else { fields.get("head_dim") };
    if given.is_some() || default.is_some() {
        return fields.size("head_dim", default);
    }
    if hidden % heads == 0 {
        return Ok(hidden / heads);
    }
    let needed = format!("which {heads} heads (`{}`) do not divide", family.fields.heads);
    Err(fields.wrong(family.fields.hidden, &Value::from(hidden), &needed))
}

/// What each layer has of its own.
fn layers(
    family: &Family,
    fields: Fields<'_>,
    count: usize,
    head_width: i64,
    rotary: usize,
) -> Result<Vec<LayerSpec>, String> {
    let windows = windows(family, fields, count)?;
    #[expect(clippy::cast_precision_loss, reason = "a width of heads is far below 2^52")]
    let width = head_width as f64;
    let width = match family.softcaps {
        Softcaps::None => width,
        // The families that may soften scores also say by what they divide them.
        _ => fields.positive("query_pre_attn_scalar")?.unwrap_or(256.0),
    };
    let gpt2 = family.positions.is_some();
    let scaled = !gpt2 || fields.flag("scale_attn_weights", true)?;
    let by_layer = gpt2 && fields.flag("scale_attn_by_inverse_layer_idx", false)?;
    let scale = if scaled { 1.0 / width.sqrt() } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "there are few layers")]
    let layer = |(index, window): (usize, Option<i64>)| LayerSpec {
        window,
        rotary: usize::from(rotary > 1 && window.is_some()),
        scale: if by_layer { scale / (index + 1) as f64 } else { scale },
    };
    Ok(windows.into_iter().enumerate().map(layer).collect())
}

/// The window of each layer.
fn windows(family: &Family, fields: Fields<'_>, count: usize) -> Result<Vec<Option<i64>>, String> {
    let size = || {
        let default = family.defaults.sliding_window.filter(|_| !fields.has("sliding_window"));
        fields.get("sliding_window").map_or_else(
            || Ok(default.and_then(|n| i64::try_from(n).ok())),
            |_| fields.size("sliding_window", None).map(Some),
        )
    };
    let by_rule = match family.windows {
        Windows::None => return Ok(vec![None; count]),
        Windows::All => {
            if let Some(types) = fields.get("layer_types") {
                return Err(fields.wrong("layer_types", types, "mistral models have none"));
            }
            return Ok(vec![size()?; count]);
        }
        Windows::Upper => {
            let window = if fields.flag("use_sliding_window", false)? { size()? } else { None };
            let first = fields.integer("max_window_layers", Some(28))?.unwrap_or(28);
            let first = usize::try_from(first).unwrap_or(0);
            (0..count).map(|layer| window.filter(|_| layer >= first)).collect()
        }
        Windows::Pattern(default) => {
            let pattern = fields.size("sliding_window_pattern", Some(default))?;
            let pattern = usize::try_from(pattern).unwrap_or(1);
            let window = size()?;
            (0..count).map(|layer| window.filter(|_| (layer + 1) % pattern != 0)).collect()
        }
    };
    let Some(types) = fields.get("layer_types") else { return Ok(by_rule) };
    let [full, sliding] = LAYER_TYPES;
    let wrong = || {
        let needed = format!("a list of {full:?} and {sliding:?} for the {count} layers is needed");
        fields.wrong("layer_types", types, &needed)
    };
    let list = types.as_array().filter(|list| list.len() == count).ok_or_else(wrong)?;
    let switched_on = family.windows != Windows::Upper || fields.flag("use_sliding_window", false)?;
    let window = if switched_on { size()? } else { None };
    list.iter()
        .map(|kind| match kind.as_str() {
            Some(kind) if kind == full => Ok(None),
            Some(kind) if kind == sliding && window.is_some() => Ok(window),
            Some(kind) if kind == sliding => {
                Err(fields.wrong("layer_types", types, "but there is no `sliding_window`"))
            }
            _ => Err(wrong()),
        })
        .collect()
}

/// Of attention scores and of logits.
fn softcaps(family: &Family, fields: Fields<'_>) -> Result<(Option<f64>, Option<f64>), String> {
    let (attention, logits) = ("attn_logit_softcapping", "final_logit_softcapping");
    let read = |name: &str, default: f64| {
        if fields.has(name) { fields.positive(name) } else { Ok(Some(default)) }
    };
    match family.softcaps {
        Softcaps::None => Ok((None, None)),
        Softcaps::Both { attention: a, logits: l } => Ok((read(attention, a)?, read(logits, l)?)),
        Softcaps::Logits => match fields.get(attention) {
            Some(value) => Err(fields.wrong(attention, value, "gemma3 models have none (null)")),
            None => Ok((None, fields.positive(logits)?)),
        },
    }
}

/// Whether attention and feed-forward block read the same: only GPT-NeoX can, and does by default.
fn parallel(family: &Family, fields: Fields<'_>) -> Result<bool, String> {
    if matches!(family.projections, Projections::JoinedByHead(_)) {
        fields.flag("use_parallel_residual", true)
    } else {
        Ok(false)
    }
}

/// The tokens that end a text: a number, or several.
fn tokens(file: Fields<'_>, fields: Fields<'_>) -> Result<Vec<u32>, String> {
    let name = "eos_token_id";
    let (at, Some(value)) = (match file.get(name) {
        Some(value) => (file, Some(value)),
        None => (fields, fields.get(name)),
    }) else {
        return Ok(Vec::new());
    };
    end_tokens(value).ok_or_else(|| {
        at.wrong(name, value, &format!("an integer below {MAX_SIZE}, a list of them or null is needed"))
    })
}

/// The tokens that an `eos_token_id` names; `None` if it is neither number nor list of numbers.
pub(crate) fn end_tokens(value: &Value) -> Option<Vec<u32>> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => list.iter().map(one).collect(),
        value => Some(vec![one(value)?]),
    }
}

/// Longest text that stretched rotary positions are made for.
fn stretched(positions: i64, (factor, trained): (f64, Option<f64>)) -> i64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^30")]
    let tokens = (factor * trained.unwrap_or(positions as f64)).floor();
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let tokens = tokens as i64;
    tokens.clamp(1, 1 << 30)
}
