//! JSON in which a field may be given once only: serde would let the last one win, silently.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::path::JsonPath;
use super::problem::Problem;

/// The document in `text`.
///
/// # Errors
/// A [`Problem`] with the line and column at which `text` stops being JSON, or gives a field twice.
pub(super) fn parse(text: &str) -> Result<Value, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<Strict>(text).map(|s| s.0).map_err(|error| {
        let message = error.to_string();
        let bare = message.rsplit_once(" at line ").map_or(message.as_str(), |(bare, _)| bare);
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::new(JsonPath::root(), format!("{place}: not valid JSON: {bare}"))
    })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(b.into())
    }
    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(i.into())
    }
    fn visit_u64<E>(self, u: u64) -> Result<Value, E> {
        Ok(u.into())
    }
    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(x.into())
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(element)) = list.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field {name:?} is given twice")));
            }
            let Strict(value) = object.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_line_and_column() {
        assert_eq!(error("{\n  \"a\": 1,\n}"), "line 3, column 1: not valid JSON: trailing comma");
        assert_eq!(error(""), "line 1, column 0: not valid JSON: EOF while parsing a value");
        assert_eq!(
            error("{\"a\": {\"b\": 1,\n\"b\": 2}}"),
            "line 2, column 3: not valid JSON: the field \"b\" is given twice"
        );
        assert!(error(&"[".repeat(100_000)).contains("recursion limit"));
        assert!(error("{} {}").contains("trailing characters"));
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn valid_json_reads_as_serde_reads_it(text in "[\\[\\]{},:\"a0-9. \n]{0,40}") {
            if let Ok(value) = parse(&text) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
