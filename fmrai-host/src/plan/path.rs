//! Places in a JSON document, written as people write them: `analyses[1].smoothing`.

use std::fmt;

use serde_json::Value;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a field of an object.
    Field(String),
    /// Into an element of a list.
    Element(usize),
}

/// A place in a document; empty for the document itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// The document itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of the object at this place.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    /// An element of the list at this place.
    #[must_use]
    pub fn element(&self, index: usize) -> Self {
        self.step(Step::Element(index))
    }

    pub(super) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// True when this place is `other` or lies in it.
    #[must_use]
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Position in the order of the document, for sorting; what is absent comes after what is there.
    #[must_use]
    pub fn position(&self, document: &Value) -> Vec<usize> {
        let mut here = Some(document);
        let mut position = Vec::with_capacity(self.0.len());
        for step in &self.0 {
            let (index, next) = match (step, here) {
                (Step::Field(name), Some(Value::Object(fields))) => {
                    (fields.keys().position(|k| k == name), fields.get(name))
                }
                (Step::Element(i), Some(Value::Array(elements))) => (Some(*i), elements.get(*i)),
                _ => (None, None),
            };
            position.push(index.unwrap_or(usize::MAX));
            here = next;
        }
        position
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Element(index) => write!(f, "[{index}]")?,
                Step::Field(name) if plain(name) => write!(f, "{}{name}", if i > 0 { "." } else { "" })?,
                Step::Field(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

fn plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_code() {
        let path = JsonPath::root().field("analyses").element(1).field("smoothing");
        assert_eq!(path.to_string(), "analyses[1].smoothing");
        assert_eq!(JsonPath::root().field("we ird").field("x").to_string(), "[\"we ird\"].x");
        assert_eq!(JsonPath::root().to_string(), "");
    }

    #[test]
    fn positions_follow_the_document() {
        let document = serde_json::json!({"z": 1, "a": [0, {"k": 1}]});
        let root = JsonPath::root();
        let mut paths =
            [root.field("missing"), root.field("a").element(1).field("k"), root.field("a"), root.field("z")];
        paths.sort_by_key(|p| p.position(&document));
        assert_eq!(paths.map(|p| p.to_string()), ["z", "a", "a[1].k", "missing"]);
    }
}
