//! Cells as people read them.

use fmrai_core::report::{Format, Shown};
use rusqlite::types::Value;

pub(super) use crate::terminal::one_line;

/// What stands where there is nothing.
const NOTHING: &str = "–";

/// A cell as its column is shown.
pub(super) fn cell(column: &Shown, value: &Value) -> String {
    let digits = |usual: u8| usize::from(column.digits.unwrap_or(usual));
    let number = match value {
        Value::Integer(i) if column.format == Format::Plain => return i.to_string(),
        #[expect(clippy::cast_precision_loss, reason = "digits that are not shown")]
        Value::Integer(i) => *i as f64,
        Value::Real(x) => *x,
        Value::Null => return NOTHING.to_owned(),
        Value::Text(text) if column.format == Format::Token => return visible(text),
        Value::Text(text) => return one_line(text),
        Value::Blob(bytes) => return format!("{} bytes", bytes.len()),
    };
    match column.format {
        Format::Plain | Format::Text | Format::Token => number.to_string(),
        Format::Fixed => format!("{number:.*}", digits(4)),
        Format::Scientific => format!("{number:.*e}", digits(3)),
        Format::Percent => format!("{:.*} %", digits(1), 100.0 * number),
    }
}

/// True for what stands on the right of its column.
pub(super) fn is_number(value: &Value) -> bool {
    matches!(value, Value::Integer(_) | Value::Real(_))
}

/// A token that can be seen in a list: spaces and line breaks in quotes.
fn visible(token: &str) -> String {
    let hidden = token.trim().is_empty() || token.chars().any(char::is_control);
    if hidden { format!("{token:?}") } else { token.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_shown_as_their_column_says() {
        let shown = |column: Shown, value: f64| cell(&column, &Value::Real(value));
        assert_eq!(shown(Shown::plain("x"), 0.1), "0.1");
        assert_eq!(shown(Shown::fixed("x", 2), 0.125), "0.12");
        assert_eq!(shown(Shown::scientific("x"), 0.071_3), "7.130e-2");
        assert_eq!(shown(Shown::percent("x"), 0.071_3), "7.1 %");
        assert_eq!(cell(&Shown::fixed("x", 1), &Value::Integer(3)), "3.0");
        assert_eq!(cell(&Shown::plain("x"), &Value::Integer(i64::MAX)), i64::MAX.to_string());
        assert_eq!(cell(&Shown::percent("x"), &Value::Null), "–");
        let shown = |column: Shown, value: &str| cell(&column, &Value::Text(value.to_owned()));
        assert_eq!(shown(Shown::text("x"), "  a\r\n\u{1b}[31m b"), "a⏎\\u{1b}[31m b");
        assert_eq!(
            ["é", " ", "\n", ""].map(|t| shown(Shown::token("x"), t)),
            ["é", "\" \"", "\"\\n\"", "\"\""]
        );
    }
}
