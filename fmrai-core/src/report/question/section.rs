//! A part of an answer.

use serde::{Deserialize, Serialize};

use super::Shown;

/// The rows of a query below a heading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// What stands above the rows. `{layer}` is what the parameter `layer` was told, `{{` a brace.
    pub heading: String,
    /// One `SELECT` over the relations of the store, with the parameters of the question as `:layer`. It can only read.
    pub query: String,
    /// How its columns are shown, in their order: as many as the query gives.
    pub columns: Vec<Shown>,
    /// How its rows are shown.
    #[serde(default)]
    pub form: Form,
    /// What is said where there is no row; the section is left out where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<String>,
}

/// How rows are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Below the names of the columns, a line for each row.
    #[default]
    Table,
    /// A line for each column: for queries that give one row.
    Record,
    /// A card for each row, to leaf through. The column `title` is what it is called; `details` has a JSON list of texts; `passages` a
    /// JSON list of texts with a number for every token: `{"label", "marked", "cut_before", "cut_after", "tokens": [[text, number], ..]}`
    /// as [`Passage`](crate::report::figure::Passage) has them. Other columns are numbers that cards are sorted by; `layer` is also what they are
    /// chosen by.
    Cards,
}

impl Section {
    /// Rows as a table.
    #[must_use]
    pub fn table(heading: &str, query: impl Into<String>, columns: Vec<Shown>) -> Self {
        let (heading, query) = (heading.to_owned(), query.into());
        Self { heading, query, columns, form: Form::Table, none: None }
    }

    /// One row as a list of its columns.
    #[must_use]
    pub fn record(heading: &str, query: impl Into<String>, columns: Vec<Shown>) -> Self {
        Self { form: Form::Record, ..Self::table(heading, query, columns) }
    }

    /// Rows as cards, whose columns [`Form::Cards`] tells.
    #[must_use]
    pub fn cards(heading: &str, query: impl Into<String>, columns: Vec<Shown>) -> Self {
        Self { form: Form::Cards, ..Self::table(heading, query, columns) }
    }

    /// The same, with what is said where there is no row.
    #[must_use]
    pub fn or(self, none: &str) -> Self {
        Self { none: Some(none.to_owned()), ..self }
    }
}
