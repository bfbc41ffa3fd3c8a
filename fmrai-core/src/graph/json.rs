//! Graphs as JSON files.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Graph, GraphError, Operation, RecordedGraph, TensorNode, fingerprint};

/// Version of the file format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    fingerprint: Fingerprint,
    operations: &'a [Operation],
    tensors: &'a [TensorNode],
}

#[derive(Deserialize)]
struct Read {
    format: u32,
    operations: Vec<Operation>,
    tensors: Vec<TensorNode>,
}

/// A graph as JSON: `format`, `fingerprint`, `operations`, `tensors`. Non-finite floats are written as text.
///
/// # Errors
/// [`GraphError::Json`] if a value cannot be written.
pub fn to_json(graph: &dyn Graph) -> Result<String, GraphError> {
    let written = Written {
        format: FORMAT,
        fingerprint: fingerprint(graph),
        operations: graph.operations(),
        tensors: graph.tensors(),
    };
    Ok(serde_json::to_string(&written)?)
}

/// The graph that [`to_json`] wrote. The fingerprint is computed again, not read.
///
/// # Errors
/// [`GraphError`] for text that is not a graph, is of another format, or has ids that point nowhere.
pub fn from_json(text: &str) -> Result<RecordedGraph, GraphError> {
    let read: Read = serde_json::from_str(text)?;
    if read.format != FORMAT {
        return Err(GraphError::Format { found: read.format, supported: FORMAT });
    }
    RecordedGraph::new(read.operations, read.tensors)
}

/// JSON has no infinities: they are the texts `inf`, `-inf` and `NaN`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Text(String),
}

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        if x.is_finite() { Self::Finite(x) } else { Self::Text(x.to_string()) }
    }
}

impl Number {
    fn read<E: serde::de::Error>(self) -> Result<f64, E> {
        match self {
            Self::Finite(x) => Ok(x),
            Self::Text(t) => t.parse().map_err(|_| E::custom(format!("{t:?} is not a number"))),
        }
    }
}

pub(super) mod float {
    //! One float.
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Number;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(in super::super) fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
        Number::from(*x).serialize(s)
    }
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Number::deserialize(d)?.read()
    }
}

pub(super) mod floats {
    //! A list of floats.
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Number;

    pub(in super::super) fn serialize<S: Serializer>(x: &[f64], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(x.iter().copied().map(Number::from))
    }
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
        Vec::<Number>::deserialize(d)?.into_iter().map(Number::read).collect()
    }
}
