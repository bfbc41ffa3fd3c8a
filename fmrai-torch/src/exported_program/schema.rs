//! The JSON of an exported program: schema 8 of `torch.export`, as `torch/_export/serde/schema.py` defines it.
//!
//! Unknown fields are ignored, as PyTorch does, since minor versions add some. An unknown kind of argument is kept as
//! [`Argument::Unknown`], so that it is an error of the node that has it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// `models/NAME.json`.
#[derive(Debug, Deserialize)]
pub(super) struct ExportedProgram {
    pub(super) graph_module: GraphModule,
    #[serde(default)]
    pub(super) range_constraints: BTreeMap<String, RangeConstraint>,
}

/// Only this much is read before the version is known to be right.
#[derive(Debug, Deserialize)]
pub(super) struct Versions {
    pub(super) schema_version: SchemaVersion,
    #[serde(default)]
    pub(super) torch_version: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct SchemaVersion {
    pub(super) major: i64,
    pub(super) minor: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct RangeConstraint {
    pub(super) min_val: Option<i64>,
    pub(super) max_val: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GraphModule {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
    #[serde(default)]
    pub(super) module_call_graph: Vec<ModuleCall>,
    #[serde(default)]
    pub(super) treespec_namedtuple_fields: BTreeMap<String, NamedTupleDef>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct NamedTupleDef {
    pub(super) field_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModuleCall {
    pub(super) fqn: String,
    #[serde(default)]
    pub(super) signature: Option<CallSignature>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CallSignature {
    #[serde(default)]
    pub(super) in_spec: Option<String>,
    #[serde(default)]
    pub(super) out_spec: Option<String>,
    #[serde(default)]
    pub(super) forward_arg_names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Graph {
    pub(super) inputs: Vec<Argument>,
    pub(super) outputs: Vec<Argument>,
    pub(super) nodes: Vec<Node>,
    #[serde(default)]
    pub(super) tensor_values: BTreeMap<String, TensorMeta>,
    #[serde(default)]
    pub(super) sym_int_values: BTreeMap<String, SymInt>,
    #[serde(default)]
    pub(super) sym_float_values: BTreeMap<String, SymFloat>,
    #[serde(default)]
    pub(super) sym_bool_values: BTreeMap<String, SymBool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) target: String,
    pub(super) inputs: Vec<NamedArgument>,
    pub(super) outputs: Vec<Argument>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NamedArgument {
    #[serde(default)]
    pub(super) name: String,
    pub(super) arg: Argument,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TensorName {
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TensorMeta {
    pub(super) dtype: i64,
    pub(super) sizes: Vec<SymInt>,
    pub(super) strides: Vec<SymInt>,
    pub(super) storage_offset: SymInt,
    pub(super) layout: i64,
}

/// A size: a number, or an expression over symbols with its value in the example that was exported.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymInt {
    AsInt(i64),
    AsExpr { expr_str: String, hint: Option<Hint> },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymFloat {
    AsFloat(Float),
    AsExpr { hint: Option<Hint> },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymBool {
    AsBool(bool),
    AsExpr { hint: Option<Hint> },
}

/// The value of an expression in the example.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "they are named as in the file")]
pub(super) enum Hint {
    AsInt(i64),
    AsFloat(Float),
    AsBool(bool),
}

impl SymInt {
    /// The number, or its value in the example.
    pub(super) fn hint(&self) -> Option<i64> {
        match self {
            Self::AsInt(value) | Self::AsExpr { hint: Some(Hint::AsInt(value)), .. } => Some(*value),
            Self::AsExpr { .. } => None,
        }
    }
}

/// A number computed when the program runs, or one that is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymIntArgument {
    AsName(String),
    AsInt(i64),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymFloatArgument {
    AsName(String),
    AsFloat(Float),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymBoolArgument {
    AsName(String),
    AsBool(bool),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OptionalTensor {
    AsTensor(TensorName),
    AsNone(IgnoredAny),
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Device {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Complex {
    pub(super) real: Float,
    pub(super) imag: Float,
}

#[derive(Debug, Deserialize)]
pub(super) struct GraphArgument {
    pub(super) name: String,
    pub(super) graph: Box<Graph>,
}

/// A number; those that JSON cannot write are the texts `Infinity`, `-Infinity` and `NaN`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float(pub(super) f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Float;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or one of the texts Infinity, -Infinity, NaN")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Float, E> {
                Ok(Float(value))
            }
            #[expect(clippy::cast_precision_loss, reason = "Python does the same")]
            fn visit_i64<E>(self, value: i64) -> Result<Float, E> {
                Ok(Float(value as f64))
            }
            #[expect(clippy::cast_precision_loss, reason = "Python does the same")]
            fn visit_u64<E>(self, value: u64) -> Result<Float, E> {
                Ok(Float(value as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Float, E> {
                match text {
                    "Infinity" => Ok(Float(f64::INFINITY)),
                    "-Infinity" => Ok(Float(f64::NEG_INFINITY)),
                    "NaN" => Ok(Float(f64::NAN)),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A value that a node takes or makes.
#[derive(Debug)]
pub(super) enum Argument {
    None,
    Tensor(String),
    Tensors(Vec<String>),
    OptionalTensors(Vec<Option<String>>),
    Int(i64),
    Ints(Vec<i64>),
    Float(f64),
    Floats(Vec<f64>),
    Bool(bool),
    Bools(Vec<bool>),
    Text(String),
    Texts(Vec<String>),
    Complex(f64, f64),
    SymInt(SymIntArgument),
    SymInts(Vec<SymIntArgument>),
    SymFloat(SymFloatArgument),
    SymFloats(Vec<SymFloatArgument>),
    SymBool(SymBoolArgument),
    SymBools(Vec<SymBoolArgument>),
    ScalarType(i64),
    Layout(i64),
    MemoryFormat(i64),
    Device(Device),
    Graph(GraphArgument),
    Operator(String),
    /// A kind that this version does not know, or cannot run.
    Unknown(String),
}

impl Argument {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::None => "as_none",
            Self::Tensor(_) => "as_tensor",
            Self::Tensors(_) => "as_tensors",
            Self::OptionalTensors(_) => "as_optional_tensors",
            Self::Int(_) => "as_int",
            Self::Ints(_) => "as_ints",
            Self::Float(_) => "as_float",
            Self::Floats(_) => "as_floats",
            Self::Bool(_) => "as_bool",
            Self::Bools(_) => "as_bools",
            Self::Text(_) => "as_string",
            Self::Texts(_) => "as_strings",
            Self::Complex(..) => "as_complex",
            Self::SymInt(_) => "as_sym_int",
            Self::SymInts(_) => "as_sym_ints",
            Self::SymFloat(_) => "as_sym_float",
            Self::SymFloats(_) => "as_sym_floats",
            Self::SymBool(_) => "as_sym_bool",
            Self::SymBools(_) => "as_sym_bools",
            Self::ScalarType(_) => "as_scalar_type",
            Self::Layout(_) => "as_layout",
            Self::MemoryFormat(_) => "as_memory_format",
            Self::Device(_) => "as_device",
            Self::Graph(_) => "as_graph",
            Self::Operator(_) => "as_operator",
            Self::Unknown(kind) => kind,
        }
    }

    /// The name of the value it is, if it is a single one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Tensor(name)
            | Self::SymInt(SymIntArgument::AsName(name))
            | Self::SymFloat(SymFloatArgument::AsName(name))
            | Self::SymBool(SymBoolArgument::AsName(name)) => Some(name),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;
        impl<'de> Visitor<'de> for OneKey {
            type Value = Argument;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one key, such as {\"as_tensor\": ...}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Argument, A::Error> {
                let key: String = map.next_key()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let argument = value(&key, &mut map)?;
                if map.next_key::<IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(2, &self));
                }
                Ok(argument)
            }
        }
        deserializer.deserialize_map(OneKey)
    }
}

fn value<'de, A: MapAccess<'de>>(key: &str, map: &mut A) -> Result<Argument, A::Error> {
    let numbers = |list: Vec<Float>| list.into_iter().map(|f| f.0).collect();
    let names = |list: Vec<TensorName>| list.into_iter().map(|t| t.name).collect();
    Ok(match key {
        "as_none" => {
            map.next_value::<IgnoredAny>()?;
            Argument::None
        }
        "as_tensor" => Argument::Tensor(map.next_value::<TensorName>()?.name),
        "as_tensors" => Argument::Tensors(names(map.next_value()?)),
        "as_optional_tensor" => match map.next_value::<OptionalTensor>()? {
            OptionalTensor::AsTensor(tensor) => Argument::Tensor(tensor.name),
            OptionalTensor::AsNone(_) => Argument::None,
        },
        "as_optional_tensors" => {
            let list: Vec<OptionalTensor> = map.next_value()?;
            let name = |tensor| match tensor {
                OptionalTensor::AsTensor(tensor) => Some(tensor.name),
                OptionalTensor::AsNone(_) => None,
            };
            Argument::OptionalTensors(list.into_iter().map(name).collect())
        }
        "as_int" => Argument::Int(map.next_value()?),
        "as_ints" => Argument::Ints(map.next_value()?),
        "as_float" => Argument::Float(map.next_value::<Float>()?.0),
        "as_floats" => Argument::Floats(numbers(map.next_value()?)),
        "as_bool" => Argument::Bool(map.next_value()?),
        "as_bools" => Argument::Bools(map.next_value()?),
        "as_string" => Argument::Text(map.next_value()?),
        "as_strings" => Argument::Texts(map.next_value()?),
        "as_complex" => {
            let Complex { real, imag } = map.next_value()?;
            Argument::Complex(real.0, imag.0)
        }
        "as_sym_int" => Argument::SymInt(map.next_value()?),
        "as_sym_ints" => Argument::SymInts(map.next_value()?),
        "as_sym_float" => Argument::SymFloat(map.next_value()?),
        "as_sym_floats" => Argument::SymFloats(map.next_value()?),
        "as_sym_bool" => Argument::SymBool(map.next_value()?),
        "as_sym_bools" => Argument::SymBools(map.next_value()?),
        "as_scalar_type" => Argument::ScalarType(map.next_value()?),
        "as_layout" => Argument::Layout(map.next_value()?),
        "as_memory_format" => Argument::MemoryFormat(map.next_value()?),
        "as_device" => Argument::Device(map.next_value()?),
        "as_graph" => Argument::Graph(map.next_value()?),
        "as_operator" => Argument::Operator(map.next_value()?),
        other => {
            map.next_value::<IgnoredAny>()?;
            Argument::Unknown(other.to_owned())
        }
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct Signature {
    pub(super) input_specs: Vec<InputSpec>,
    pub(super) output_specs: Vec<OutputSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InputSpec {
    Parameter { arg: TensorName, parameter_name: String },
    Buffer { arg: TensorName, buffer_name: String, persistent: bool },
    TensorConstant { arg: TensorName, tensor_constant_name: String },
    CustomObj(IgnoredAny),
    Token(IgnoredAny),
    UserInput { arg: Argument },
    ConstantInput { name: String, value: Argument },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutputSpec {
    UserOutput(IgnoredAny),
    LossOutput(IgnoredAny),
    BufferMutation { buffer_name: String },
    ParameterMutation { parameter_name: String },
    UserInputMutation(IgnoredAny),
    GradientToParameter(IgnoredAny),
    GradientToUserInput(IgnoredAny),
    Token(IgnoredAny),
}

/// `data/weights/NAME_weights_config.json` and `data/constants/NAME_constants_config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PayloadConfig {
    pub(super) config: BTreeMap<String, PayloadMeta>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PayloadMeta {
    pub(super) path_name: String,
    #[serde(default)]
    pub(super) use_pickle: bool,
    #[serde(default)]
    pub(super) tensor_meta: Option<TensorMeta>,
}

/// A tree of nested containers, as `torch.utils._pytree` writes it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct TreeSpec {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) context: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) children_spec: Vec<TreeSpec>,
}
