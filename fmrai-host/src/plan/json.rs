//! The text of a plan as JSON.

use fmrai_core::strict_json::Strict;
use serde_json::Value;

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
