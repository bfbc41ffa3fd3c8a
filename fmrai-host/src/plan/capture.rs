//! The part of a plan that says which activations are written to disk.

use fmrai_core::activations::StoredAs;
use fmrai_core::selector::Selector;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Activations that a run writes into the folder `activations` of its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// What is captured; each selector selects something.
    pub select: Vec<Selector>,
    /// Element types of the files.
    #[serde(default)]
    pub dtype: StoredAs,
}

/// Its schema.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["select"],
        "properties": {
            "select": {
                "type": "array",
                "minItems": 1,
                "items": { "type": "string", "minLength": 1 },
                "description": "tensors by role and layer (attention[3].probabilities), module path, id (#123) or name (%x)"
            },
            "dtype": {
                "enum": ["stored", "float32"],
                "default": "stored",
                "description": "element types: those of the model, or float16 and bfloat16 widened to float32"
            }
        },
        "description": "activations to write into the folder `activations` of the output"
    })
}
