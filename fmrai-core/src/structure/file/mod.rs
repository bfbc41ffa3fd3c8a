//! What people say a model is made of, where finders are wrong or know nothing of it.
//!
//! A file beside the model lists components as [`StructureFile::write`] writes them: an object with a list for each kind, in
//! which tensors are names (`%linear_3`) or ids (`#123`). A kind that the file has replaces what was found of that kind; kinds
//! that it has not stay as they were found. Of an attention block the tensors and the number of heads are enough, of an
//! addition to a stream its three tensors. What the file says is checked on a pass like anything else.

mod error;
mod names;
mod read;

pub use error::StructureFileError;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::graph::Graph;
use crate::strict_json::Strict;

use super::Structure;
use error::FORMAT;

/// The kinds that a file may list.
const KINDS: [&str; 7] =
    ["attention", "channel_attention", "feed_forward", "norms", "embeddings", "unembedding", "residual"];

/// A file that corrects or adds what the finders say.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureFile {
    kinds: Map<String, Value>,
}

impl StructureFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no JSON object of this format, or has a kind that there is not.
    pub fn parse(text: &str) -> Result<Self, StructureFileError> {
        let document: Strict =
            serde_json::from_str(text).map_err(|error| StructureFileError::Json(error.to_string()))?;
        let document = Value::from(document);
        if document.get("format").is_none() && document.is_object() {
            return Err(StructureFileError::Format { found: "none".to_owned() });
        }
        Self::of(document)
    }

    /// The same from a document, such as a part of a plan, which need not say its format.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn of(document: Value) -> Result<Self, StructureFileError> {
        let Value::Object(mut kinds) = document else {
            return Err(StructureFileError::Json("it holds no object".to_owned()));
        };
        match kinds.remove("format") {
            None => {}
            Some(format) if format.as_u64() == Some(FORMAT) => {}
            Some(found) => return Err(StructureFileError::Format { found: found.to_string() }),
        }
        if let Some(field) = kinds.keys().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(StructureFileError::Field {
                place: "the file".to_owned(),
                field: field.clone(),
                valid: KINDS.join(", "),
            });
        }
        Ok(Self { kinds })
    }

    /// What was found, as such a file: to correct what is wrong in it, and to leave out what is right.
    #[must_use]
    pub fn write(graph: &dyn Graph, structure: &Structure) -> String {
        let mut document = Map::new();
        document.insert("format".to_owned(), FORMAT.into());
        if let Ok(Value::Object(all)) = serde_json::to_value(structure) {
            document.extend(all.into_iter().map(|(kind, mut list)| {
                names::told(graph, &mut list);
                (kind, list)
            }));
        }
        let mut text = serde_json::to_string_pretty(&Value::Object(document)).unwrap_or_default();
        text.push('\n');
        text
    }

    /// What makes `structure` of what was `found` in a graph: the kinds in which they differ; `None` where they are the same. Which keys queries
    /// see is left aside where there are as many blocks of attention.
    #[must_use]
    pub fn between(graph: &dyn Graph, found: &Structure, structure: &Structure) -> Option<Self> {
        let mut found = found.clone();
        if found.attention.len() == structure.attention.len() {
            for (found, block) in found.attention.iter_mut().zip(&structure.attention) {
                found.visible = block.visible;
            }
        }
        let kinds = |structure: &Structure| match serde_json::to_value(structure) {
            Ok(Value::Object(kinds)) => kinds,
            _ => Map::new(),
        };
        let (found, mut kinds) = (kinds(&found), kinds(structure));
        kinds.retain(|kind, list| found.get(kind) != Some(list));
        for list in kinds.values_mut() {
            names::told(graph, list);
        }
        (!kinds.is_empty()).then_some(Self { kinds })
    }

    /// Puts what the file lists in the place of what was found.
    ///
    /// # Errors
    /// It names tensors that the graph has not, or says what cannot be.
    pub fn apply(&self, graph: &dyn Graph, structure: &mut Structure) -> Result<(), StructureFileError> {
        let before = structure.clone();
        for (kind, list) in &self.kinds {
            read::replace(graph, structure, kind, list)?;
        }
        read::complete(graph, &before, structure, self.kinds.contains_key("residual"));
        Ok(())
    }
}

impl Serialize for StructureFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.kinds.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StructureFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
