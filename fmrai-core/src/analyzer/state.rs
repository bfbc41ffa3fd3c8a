//! What an analyzer has absorbed, as a value.

mod parts;

pub use parts::StateNumber;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::tensor::{TensorValue, from_safetensors, to_safetensors};

/// A stored, mergeable state: named tensors for the numbers, JSON for everything else.
///
/// Numbers belong into tensors: they keep every bit, and JSON has no NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Name of the analyzer that made it.
    pub analyzer: String,
    /// Version of the state's layout.
    pub version: u32,
    /// What is not a number: names, ids, counts.
    pub document: Value,
    /// The numbers.
    pub tensors: BTreeMap<String, TensorValue>,
}

/// A state that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It was made by another analyzer, or another version of it.
    #[error("the state is of {found}, needed {needed}")]
    Foreign {
        /// Analyzer and version that made it.
        found: String,
        /// Analyzer and version that read it.
        needed: String,
    },
    /// A part is missing or has another form.
    #[error("the state's {part:?} is {found}, needed {needed}")]
    Part {
        /// Name of the tensor or field.
        part: String,
        /// What there is.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// The bytes are not a stored state.
    #[error("not a stored state: {0}")]
    Bytes(String),
}

impl State {
    /// An empty state of an analyzer.
    #[must_use]
    pub fn new(analyzer: &str, version: u32, document: Value) -> Self {
        Self { analyzer: analyzer.to_owned(), version, document, tensors: BTreeMap::new() }
    }

    /// Checks that `analyzer` in this `version` made the state.
    ///
    /// # Errors
    /// [`StateError::Foreign`] otherwise.
    pub fn expect(&self, analyzer: &str, version: u32) -> Result<(), StateError> {
        if self.analyzer == analyzer && self.version == version {
            return Ok(());
        }
        Err(StateError::Foreign {
            found: format!("{} version {}", self.analyzer, self.version),
            needed: format!("{analyzer} version {version}"),
        })
    }

    /// Checks that `analyzer` in one of these versions made the state.
    ///
    /// # Errors
    /// As [`expect`](Self::expect), with the last of them as the one that is needed.
    pub fn expect_one_of(&self, analyzer: &str, versions: RangeInclusive<u32>) -> Result<(), StateError> {
        let known = versions.contains(&self.version);
        self.expect(analyzer, if known { self.version } else { *versions.end() })
    }

    /// The tensor called `name`, which has to have this shape.
    ///
    /// # Errors
    /// [`StateError::Part`] otherwise.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&TensorValue, StateError> {
        let part = |found: String| StateError::Part {
            part: name.to_owned(),
            found,
            needed: format!("a tensor of shape {shape:?}"),
        };
        let tensor = self.tensors.get(name).ok_or_else(|| part("absent".to_owned()))?;
        if tensor.shape() == shape { Ok(tensor) } else { Err(part(format!("of shape {:?}", tensor.shape()))) }
    }

    /// The state as the bytes of a safetensors file, its document in the metadata.
    ///
    /// # Errors
    /// [`StateError::Bytes`] if the tensors cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        let metadata = HashMap::from([
            ("analyzer".to_owned(), self.analyzer.clone()),
            ("version".to_owned(), self.version.to_string()),
            ("document".to_owned(), self.document.to_string()),
        ]);
        to_safetensors(self.tensors.iter().map(|(n, t)| (n.as_str(), t)), metadata).map_err(StateError::Bytes)
    }

    /// The state that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`StateError::Bytes`] says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let (tensors, mut metadata) = from_safetensors(bytes).map_err(StateError::Bytes)?;
        let mut field =
            |name: &str| metadata.remove(name).ok_or_else(|| StateError::Bytes(format!("no {name:?} in it")));
        let (analyzer, version, document) = (field("analyzer")?, field("version")?, field("document")?);
        Ok(Self {
            analyzer,
            version: version.parse().map_err(|_| StateError::Bytes(format!("version {version:?}")))?,
            document: serde_json::from_str(&document).map_err(|e| StateError::Bytes(e.to_string()))?,
            tensors: tensors.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;

    #[test]
    fn bytes_keep_every_bit() {
        let mut state = State::new("norms", 3, serde_json::json!({"texts": 7}));
        let numbers = vec![0.1, f64::NEG_INFINITY, 1e-310, -0.0];
        state.tensors.insert("sums".into(), TensorValue::new([2, 2], TensorData::F64(numbers)).unwrap());
        state
            .tensors
            .insert("counts".into(), TensorValue::new([1], TensorData::I64(vec![i64::MIN])).unwrap());
        assert_eq!(State::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
    }

    #[test]
    fn foreign_states_and_broken_bytes_are_refused() {
        let state = State::new("norms", 3, Value::Null);
        assert_eq!(
            state.expect("norms", 4).unwrap_err().to_string(),
            "the state is of norms version 3, needed norms version 4"
        );
        assert!(state.tensor("sums", &[2]).unwrap_err().to_string().contains("absent"));
        let bytes = state.to_bytes().unwrap();
        for cut in 0..bytes.len() {
            assert!(State::from_bytes(&bytes[..cut]).is_err());
        }
    }
}
