//! What a plan or a caller names tensors by.
//!
//! | form | selects |
//! | --- | --- |
//! | `attention[3].probabilities` | a part of a block of the structure, by role and layer |
//! | `ffn[*].activation`, `attention[0-5,7].context` | the same of all layers, of some layers |
//! | `attention[3]` | the main output of a block: its part `output`, else its last activation, e.g. `context` |
//! | `residual[5].before`, `.middle`, `.after` | the stream at layer 5: before it, between its attention and its feed-forward block, after it |
//! | `addition[11].written` | a part of the 12th addition to a stream, whatever layer it is in |
//! | `L5H1`, `L5H1.query` | what belongs to head 1 of `attention[5]`: of its probabilities, or of another part |
//! | `L3N17`, `L3N17.pre_activation` | what belongs to neuron 17 of `ffn[3]`: of its activation, or of another part |
//! | `logits` | the output of this name; else the scores of the vocabulary |
//! | `output`, `%linear_3` | everything that the model gives back; the output of this name |
//! | `encoder.layer.*.attention.self` | what leaves the modules of these paths; `*` is one part, `**` any number |
//! | `blocks.3.attn.hook_pattern`, `blocks.*.hook_resid_pre` | hook names of `TransformerLens`, as aliases |
//! | `#123` | the tensor with this id |
//! | `%linear_3` | the tensor of this name: a value of an exported program, or an input of the model |
//!
//! Roles, layers and parts are those of [`Structure::components`](crate::structure::Structure::components), whatever finder
//! they come from. A tensor *leaves* a module if it is made in the module or below it, and is used outside of it or not
//! at all; what exists on request only, such as the probabilities of fused attention, does not count. Weights are
//! never selected.
//!
//! ```
//! use fmrai_core::selector::Selector;
//!
//! let selector: Selector = "attention[0-5,7].context".parse()?;
//! assert_eq!(selector.to_string(), "attention[0-5,7].context");
//! let error = "attention[7-5]".parse::<Selector>().unwrap_err();
//! assert_eq!(error.to_string(), "selector `attention[7-5]`: layers 7-5 run backwards");
//! # Ok::<(), fmrai_core::selector::SelectorSyntaxError>(())
//! ```

mod error;
mod glob;
mod hook;
mod labels;
mod layers;
mod parse;
mod select;
mod slice;
mod stream;
#[cfg(test)]
mod tests;
mod unit;

pub use error::SelectError;
pub use glob::ModuleGlob;
pub use hook::HookName;
pub use labels::{labels, selectors_for};
pub use layers::Layers;
pub use parse::SelectorSyntaxError;
pub use select::{Selected, select};
pub use slice::{Cut, Slice};
pub use unit::{UnitKind, UnitName};

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::graph::TensorId;

/// Names one or more tensors of a graph. Written as text, in plans too; see the [module](self).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// Parts of blocks of the structure.
    Block {
        /// The role, e.g. `attention`.
        role: String,
        /// The layers.
        layers: Layers,
        /// The part, e.g. `probabilities`; the main output where absent.
        part: Option<String>,
    },
    /// What leaves the modules whose paths match.
    Module(ModuleGlob),
    /// A hook name of `TransformerLens`.
    Hook(HookName),
    /// A head or a neuron.
    Unit(UnitName),
    /// The tensor with this id.
    Id(TensorId),
    /// The tensor with this name.
    Name(String),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block { role, layers, part } => {
                write!(f, "{role}[{layers}]")?;
                part.as_ref().map_or(Ok(()), |part| write!(f, ".{part}"))
            }
            Self::Module(glob) => write!(f, "{glob}"),
            Self::Hook(hook) => write!(f, "{hook}"),
            Self::Unit(unit) => write!(f, "{unit}"),
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "%{name}"),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "tensors by role and layer (`attention[3].probabilities`), head or neuron (`L5H1`), module path \
                            (`encoder.layer.*`), id (`#123`) or name (`%linear_3`)"
        })
    }
}
