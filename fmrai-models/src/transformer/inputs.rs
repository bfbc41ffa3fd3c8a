//! Inputs of token models, checked before libtorch sees them.

use std::ops::RangeInclusive;

use tch::{Device, Tensor};

use fmrai_core::tensor::DType;
use fmrai_torch::model::{Axis, InputSpec, ModelError, NamedTensors};

use crate::convert::{OfModel, to_tch};

const NAMES: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];

fn wrong(needed: impl Into<String>, found: impl Into<String>) -> ModelError {
    ModelError::Inputs { found: found.into(), needed: needed.into() }
}

/// Checked inputs, all int64 and on the device of the weights.
pub(crate) struct Inputs {
    /// `[batch, token]`.
    pub(crate) ids: Tensor,
    /// `[batch, token]`, 1 for tokens and 0 for padding.
    pub(crate) mask: Tensor,
    /// `[batch, token]`; all 0 where not given.
    pub(crate) token_types: Option<Tensor>,
    /// `[batch, token]` or `[1, token]`.
    pub(crate) positions: Option<Tensor>,
}

/// What a model takes.
pub(crate) struct Limits<'a> {
    /// For messages.
    pub(crate) model_type: &'a str,
    /// Number of tokens it knows.
    pub(crate) vocabulary: i64,
    /// Number of token types; `None` if it has none.
    pub(crate) token_types: Option<i64>,
    /// Longest input, in tokens.
    pub(crate) tokens: i64,
    /// Position ids are below this.
    pub(crate) positions: i64,
}

/// What [`check`] accepts.
pub(crate) fn specs(limits: &Limits<'_>) -> Vec<InputSpec> {
    let axes = vec![Axis::Range { min: 1, max: None }, Axis::Range { min: 1, max: Some(limits.tokens) }];
    let known = NAMES.iter().filter(|name| limits.token_types.is_some() || **name != "token_type_ids");
    known
        .map(|name| InputSpec {
            name: (*name).to_owned(),
            dtype: Some(DType::Int64),
            axes: Some(axes.clone()),
            required: NAMES[..2].contains(name),
            values: Some(0..=largest(name, limits)),
        })
        .collect()
}

/// The largest number that an input may hold.
fn largest(name: &str, limits: &Limits<'_>) -> i64 {
    match name {
        "input_ids" => limits.vocabulary - 1,
        "attention_mask" => 1,
        "token_type_ids" => limits.token_types.unwrap_or(1) - 1,
        _ => limits.positions - 1,
    }
}

/// The inputs on `device`, or what is wrong with them.
///
/// Values are looked at without running an operation, so that nothing but the model itself is recorded.
pub(crate) fn check(
    inputs: &NamedTensors,
    limits: &Limits<'_>,
    device: Device,
) -> Result<Inputs, ModelError> {
    for (index, (name, _)) in inputs.0.iter().enumerate() {
        if !NAMES.contains(&name.as_str()) {
            return Err(wrong(NAMES.join(", "), name));
        }
        if inputs.0.iter().take(index).any(|(other, _)| other == name) {
            return Err(wrong(format!("`{name}` once"), "it twice"));
        }
    }
    if limits.token_types.is_none() && inputs.get("token_type_ids").is_some() {
        return Err(wrong("no `token_type_ids`", format!("some: {} has no token types", limits.model_type)));
    }
    let ids = inputs.get("input_ids").ok_or_else(|| wrong("`input_ids`", given(inputs)))?;
    let mask = inputs.get("attention_mask").ok_or_else(|| wrong("`attention_mask`", given(inputs)))?;

    let shape = shape("input_ids", ids)?;
    let longest = limits.tokens;
    if shape.1 > longest {
        return Err(wrong(format!("at most {longest} tokens"), format!("{} tokens", shape.1)));
    }
    let input = |name, tensor| integers(name, tensor, shape, 0..=largest(name, limits), device);
    let optional = |name| inputs.get(name).map(|tensor| input(name, tensor)).transpose();
    Ok(Inputs {
        ids: input("input_ids", ids)?,
        mask: input("attention_mask", mask)?,
        token_types: optional("token_type_ids")?,
        positions: optional("position_ids")?,
    })
}

fn given(inputs: &NamedTensors) -> String {
    let names: Vec<_> = inputs.0.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "nothing".to_owned() } else { format!("only {}", names.join(", ")) }
}

/// Batch size and tokens of `input_ids`.
fn shape(name: &str, tensor: &fmrai_torch::Tensor) -> Result<(i64, i64), ModelError> {
    let needed = || format!("`{name}` [batch, token] of int64, at least one of each");
    if !tensor.is_defined() {
        return Err(wrong(needed(), "an undefined tensor"));
    }
    match tensor.size().as_slice() {
        &[batch, tokens] if batch > 0 && tokens > 0 => Ok((batch, tokens)),
        other => Err(wrong(needed(), format!("shape {other:?}"))),
    }
}

/// The tensor on `device`, if it is `shape` and holds nothing but int64 numbers of the `valid` range.
fn integers(
    name: &str,
    tensor: &fmrai_torch::Tensor,
    shape: (i64, i64),
    valid: RangeInclusive<i64>,
    device: Device,
) -> Result<Tensor, ModelError> {
    let found = self::shape(name, tensor)?;
    if found != shape {
        return Err(wrong(
            format!("`{name}` of the shape of `input_ids`, [{}, {}]", shape.0, shape.1),
            format!("[{}, {}]", found.0, found.1),
        ));
    }
    if tensor.dtype() != DType::Int64 || tensor.address().is_none() {
        let found = match tensor.dtype() {
            DType::Int64 => "a sparse tensor".to_owned(),
            other => other.to_string(),
        };
        return Err(wrong(format!("`{name}` of dense int64"), found));
    }
    let values = tensor.to_vec::<i64>()?;
    if let Some(value) = values.iter().find(|value| !valid.contains(value)) {
        return Err(wrong(format!("`{name}` from {} to {}", valid.start(), valid.end()), format!("{value}")));
    }
    // No operation for a tensor that is contiguous and in CPU memory, as those of data sources are.
    let tensor = to_tch(tensor).f_contiguous().of_model()?;
    if tensor.device() == device { Ok(tensor) } else { tensor.f_to_device(device).of_model() }
}
