//! Answers for people.

use std::fmt::Write;

use fmrai_core::report::{Form, Shown};
use rusqlite::types::Value;
use unicode_width::UnicodeWidthStr;

use super::cards;
use super::cells::{cell, is_number, one_line};
use crate::stores::Answered;

/// Spaces between columns.
const GAP: &str = "  ";

/// All sections, with an empty line between them; those without rows as they say.
pub(super) fn text(answer: &[Answered<'_>]) -> String {
    let sections = answer.iter().filter_map(section);
    let text = sections.collect::<Vec<_>>().join("\n");
    if text.is_empty() { "nothing was found".to_owned() } else { text }
}

fn section(section: &Answered<'_>) -> Option<String> {
    let heading = one_line(&section.heading);
    if section.rows.is_empty() {
        return section.none.map(|none| format!("{heading}: {}\n", one_line(none)));
    }
    let mut text = format!("{heading}\n");
    match section.form {
        Form::Table => table(&mut text, section.columns, &section.rows),
        Form::Record => section.rows.iter().for_each(|row| record(&mut text, section.columns, row)),
        Form::Cards => section.rows.iter().for_each(|row| cards::card(&mut text, section.columns, row)),
    }
    if section.cut {
        let _ = writeln!(text, "{GAP}… and more than these {} rows", section.rows.len());
    }
    Some(text)
}

/// The name of a column and its unit.
fn title(column: &Shown) -> String {
    match &column.unit {
        Some(unit) => one_line(&format!("{} ({unit})", column.name)),
        None => one_line(&column.name),
    }
}

fn table(text: &mut String, columns: &[Shown], rows: &[Vec<Value>]) {
    let cells: Vec<Vec<String>> = std::iter::once(columns.iter().map(title).collect())
        .chain(
            rows.iter()
                .map(|row| columns.iter().zip(row).map(|(column, value)| cell(column, value)).collect()),
        )
        .collect();
    let width =
        |i: usize| cells.iter().filter_map(|row| row.get(i)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let right = |i: usize| rows.iter().filter_map(|row| row.get(i)).any(is_number);
    let right: Vec<bool> = (0..columns.len()).map(right).collect();
    for row in &cells {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            let _ =
                if *right { write!(line, "{GAP}{space}{cell}") } else { write!(line, "{GAP}{cell}{space}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn record(text: &mut String, columns: &[Shown], row: &[Value]) {
    let titles: Vec<String> = columns.iter().map(title).collect();
    let width = titles.iter().map(|title| title.width()).max().unwrap_or(0);
    for ((title, column), value) in titles.iter().zip(columns).zip(row) {
        let space = " ".repeat(width.saturating_sub(title.width()));
        let line = format!("{GAP}{title}{space}{GAP}{}", cell(column, value));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_also_where_characters_are_wide() {
        let columns =
            [Shown::token("token"), Shown::fixed("entropy", 2).unit("nats"), Shown::text("passage")];
        let row = |token: &str, x| {
            vec![Value::Text(token.to_owned()), Value::Real(x), Value::Text("a [b]".to_owned())]
        };
        let answered = |form, none, rows, cut| Answered {
            heading: "layer 3".to_owned(),
            columns: &columns,
            form,
            none,
            rows,
            cut,
        };
        let answer = [
            answered(Form::Table, None, vec![row("東京", 0.5), row("é", 10.25)], true),
            answered(Form::Table, Some("none"), Vec::new(), false),
            answered(Form::Table, None, Vec::new(), false),
            answered(Form::Record, None, vec![row("x", 1.0)], false),
        ];
        let expected = "layer 3\n  token  entropy (nats)  passage\n  東京             0.50  a [b]\n  é               10.25  a [b]\n  \
                        … and more than these 2 rows\n\nlayer 3: none\n\n\
                        layer 3\n  token           x\n  entropy (nats)  1.00\n  passage         a [b]\n";
        assert_eq!(text(&answer), expected);
        assert_eq!(text(&answer[2..3]), "nothing was found");
    }
}
