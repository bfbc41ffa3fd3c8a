//! Operations, tensors and the values passed between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json_float;
use crate::tensor::DType;

/// Ordinal of a tensor in the recorded order: the same in every run of the same graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TensorId(pub u32);

impl fmt::Display for TensorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Ordinal of an operation in execution order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u32);

/// An argument's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// An optional argument that was not given.
    None,
    /// One tensor.
    Tensor(TensorId),
    /// A list of tensors, with gaps where the schema allows them.
    Tensors(Vec<Option<TensorId>>),
    /// A truth value.
    Bool(bool),
    /// A list of truth values.
    Bools(Vec<bool>),
    /// An integer that is part of the program, e.g. an axis.
    Int(i64),
    /// A list of such integers.
    Ints(Vec<i64>),
    /// A number that may change with the size of the input (`SymInt` in the operation's schema).
    Size(i64),
    /// A list of such numbers.
    Sizes(Vec<i64>),
    /// A real number.
    #[serde(with = "json_float")]
    Float(f64),
    /// A list of real numbers.
    #[serde(with = "json_float")]
    Floats(Vec<f64>),
    /// A text.
    Text(String),
    /// Anything else (generators, devices, ...), by the name of its type.
    Other(String),
}

impl Value {
    /// The tensors in this value, in order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorId> + '_ {
        let (one, many): (Option<TensorId>, &[Option<TensorId>]) = match self {
            Self::Tensor(id) => (Some(*id), &[]),
            Self::Tensors(ids) => (None, ids),
            _ => (None, &[]),
        };
        one.into_iter().chain(many.iter().copied().flatten())
    }

    /// The integer, whether part of the program or a size.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(i) | Self::Size(i) => Some(*i),
            _ => None,
        }
    }

    /// The integers, whether part of the program or sizes.
    #[must_use]
    pub fn as_ints(&self) -> Option<&[i64]> {
        match self {
            Self::Ints(i) | Self::Sizes(i) => Some(i),
            _ => None,
        }
    }

    /// The number as a float; integers are converted.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "constants of a program are small")]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(f) => Some(*f),
            Self::Int(i) | Self::Size(i) => Some(*i as f64),
            _ => None,
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    f.write_str("[")?;
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    f.write_str("]")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Tensor(id) => write!(f, "{id}"),
            Self::Tensors(ids) => {
                list(f, ids.iter().map(|id| id.map_or_else(|| "none".to_owned(), |id| id.to_string())))
            }
            Self::Bool(b) => write!(f, "{b}"),
            Self::Bools(b) => list(f, b),
            Self::Int(i) | Self::Size(i) => write!(f, "{i}"),
            Self::Ints(i) | Self::Sizes(i) => list(f, i),
            Self::Float(x) => write!(f, "{x}"),
            Self::Floats(x) => list(f, x),
            Self::Text(t) => write!(f, "{t:?}"),
            Self::Other(t) => write!(f, "<{t}>"),
        }
    }
}

/// A named argument of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    /// Its name in the operation's schema.
    pub name: String,
    /// What was passed.
    pub value: Value,
}

/// One call of an ATen (or custom) operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Position in execution order.
    pub id: OperationId,
    /// Namespace, name and overload, e.g. `aten::softmax.int`.
    pub name: String,
    /// All arguments of the schema, defaults included, in schema order.
    pub arguments: Vec<Argument>,
    /// Tensors it made, in schema order. Fused attention has one more: its probabilities, made on request only.
    pub outputs: Vec<TensorId>,
    /// Path of the module it ran in, e.g. `encoder.layer.0.attention.self`; empty outside of any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// The line of the model's source that it came from, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Operation {
    /// The name without namespace and overload: `softmax` of `aten::softmax.int`.
    #[must_use]
    pub fn base_name(&self) -> &str {
        let name = self.name.rsplit("::").next().unwrap_or(&self.name);
        name.split('.').next().unwrap_or(name)
    }

    /// The argument called `name`.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.iter().find(|a| a.name == name).map(|a| &a.value)
    }

    /// The tensor passed as the argument called `name`.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorId> {
        self.argument(name)?.tensors().next()
    }

    /// All tensors it was given, in schema order.
    pub fn inputs(&self) -> impl Iterator<Item = TensorId> + '_ {
        self.arguments.iter().flat_map(|a| a.value.tensors())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (i, argument) in self.arguments.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}={}", argument.name, argument.value)?;
        }
        f.write_str(")")?;
        if !self.module.is_empty() {
            write!(f, " in {}", self.module)?;
        }
        Ok(())
    }
}

/// Where a tensor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Given to the model for this batch, e.g. token ids.
    Input,
    /// A named weight or buffer of the model.
    Parameter,
    /// Known neither as an input nor as a parameter, and not made by any recorded operation.
    Constant,
    /// Made by an operation.
    Operation {
        /// The operation.
        operation: OperationId,
        /// Position among its outputs.
        output: u32,
    },
}

/// A tensor of the graph: what is known of it without its elements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorNode {
    /// Position in order of first appearance.
    pub id: TensorId,
    /// Name of an input or parameter, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Element type.
    pub dtype: DType,
    /// Sizes in the recorded batch; later batches may differ.
    pub shape: Vec<i64>,
    /// Where it comes from.
    pub origin: Origin,
    /// The tensor whose memory an in-place operation overwrote to make this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_of: Option<TensorId>,
    /// True for tensors that exist only when asked for, such as the probabilities of fused attention.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_request: bool,
}

/// Something that the model gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphOutput {
    /// Its name, such as `logits`; `output` where it is the only one and has none.
    pub name: String,
    /// The name of the value in an exported program, such as `linear_3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The tensor. Where the last operations of a program change nothing, that is the one before them.
    pub tensor: TensorId,
}
