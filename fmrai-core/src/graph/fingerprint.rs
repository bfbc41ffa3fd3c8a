//! Identity of a graph.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Graph, Origin, Value};

/// SHA-256 over operations, edges and constants of a graph, as lower-case hexadecimal digits.
///
/// Sizes are left out, so a longer text or a larger batch has the same fingerprint. Equal fingerprints mean that
/// a tensor id found in one graph names the same tensor in the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Operations whose bounds are sizes although their schema says number.
pub(crate) fn bounds_are_sizes(base_name: &str) -> bool {
    matches!(base_name, "arange" | "range" | "linspace" | "logspace")
}

/// The fingerprint of a graph.
#[must_use]
pub fn fingerprint(graph: &dyn Graph) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut put = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for operation in graph.operations() {
        put(&operation.name);
        for argument in &operation.arguments {
            let bound = || matches!(argument.name.as_str(), "start" | "end" | "step" | "steps");
            match &argument.value {
                Value::Size(_) | Value::Sizes(_) => put("size"),
                Value::Int(_) | Value::Float(_) if bounds_are_sizes(operation.base_name()) && bound() => {
                    put("size");
                }
                // Devices and the like: the same program runs on any.
                Value::Other(_) => put("other"),
                Value::Float(x) => put(&format!("float {x}")),
                value => put(&value.to_string()),
            }
        }
        for output in &operation.outputs {
            put(&output.to_string());
        }
    }
    for tensor in graph.tensors() {
        let origin = match tensor.origin {
            Origin::Input => "input",
            Origin::Parameter => "parameter",
            Origin::Constant => "constant",
            Origin::Operation { .. } => continue,
        };
        put(origin);
        put(tensor.name.as_deref().unwrap_or(""));
    }
    Fingerprint(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
