//! Cards for people: a heading, lines, and texts with the token that they are about in brackets.

use std::fmt::Write;

use fmrai_core::report::Shown;
use rusqlite::types::Value;

use super::cells::{cell, one_line};

/// Spaces before the lines of a card.
const GAP: &str = "  ";

/// One card.
pub(super) fn card(text: &mut String, columns: &[Shown], row: &[Value]) {
    let of =
        |name: &str| columns.iter().zip(row).find(|(column, _)| column.name == name).map(|(_, value)| value);
    let json = |name: &str| match of(name) {
        Some(Value::Text(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    if let Some(Value::Text(title)) = of("title") {
        let _ = writeln!(text, "{GAP}{}", one_line(title));
    }
    let numbers = columns
        .iter()
        .zip(row)
        .filter(|(column, _)| !["title", "details", "passages"].contains(&column.name.as_str()));
    let numbers: Vec<String> =
        numbers.map(|(column, value)| format!("{} {}", column.name, cell(column, value))).collect();
    if !numbers.is_empty() {
        let _ = writeln!(text, "{GAP}{GAP}{}", one_line(&numbers.join(", ")));
    }
    for line in json("details").as_array().into_iter().flatten().filter_map(|line| line.as_str()) {
        let _ = writeln!(text, "{GAP}{GAP}{}", one_line(line));
    }
    for passage in json("passages").as_array().into_iter().flatten() {
        let _ = writeln!(text, "{GAP}{GAP}{}", self::passage(passage));
    }
}

fn passage(passage: &serde_json::Value) -> String {
    let marked = passage["marked"].as_u64();
    let mut line = String::new();
    for (place, token) in (0..).zip(passage["tokens"].as_array().into_iter().flatten()) {
        let token = token[0].as_str().unwrap_or_default();
        if Some(place) == marked {
            let bare = token.trim_start();
            let space = &token[..token.len() - bare.len()];
            let _ = if bare.is_empty() { write!(line, "[{token}]") } else { write!(line, "{space}[{bare}]") };
        } else {
            line.push_str(token);
        }
    }
    let cut = |side: &str| if passage[side] == true || passage[side] == 1 { "…" } else { "" };
    let label = passage["label"].as_str().unwrap_or_default();
    format!("{}  {}{}{}", one_line(label), cut("cut_before"), one_line(&line), cut("cut_after"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_its_texts_with_the_marked_token_in_brackets() {
        let columns = [
            Shown::text("title"),
            Shown::fixed("strength", 1),
            Shown::text("details"),
            Shown::text("passages"),
        ];
        let passages = r#"[{"label": "4.2", "marked": 1, "cut_before": 1, "cut_after": 0, "tokens": [["the", 0.1], [" dog", 4.2], ["\n", null]]}]"#;
        let row = [
            Value::Text("layer 3, neuron 7".to_owned()),
            Value::Real(4.25),
            Value::Text(r#"["promotes: cat"]"#.to_owned()),
            Value::Text(passages.to_owned()),
        ];
        let mut text = String::new();
        card(&mut text, &columns, &row);
        let expected = "  layer 3, neuron 7\n    strength 4.2\n    promotes: cat\n    4.2  …the [dog]⏎\n";
        assert_eq!(text, expected);
    }
}
