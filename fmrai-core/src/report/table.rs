//! Tables.

use serde::{Deserialize, Serialize};

use crate::json_float;

/// The cells of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "values", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Values {
    Int(Vec<i64>),
    Float(#[serde(with = "json_float")] Vec<f64>),
    Text(Vec<String>),
}

impl Values {
    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// True when there are no cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A named column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its header, e.g. `entropy`.
    pub name: String,
    /// Unit of the numbers, e.g. `nats`; `None` for plain numbers and texts.
    #[serde(default)]
    pub unit: Option<String>,
    /// Its cells.
    #[serde(flatten)]
    pub values: Values,
}

impl Column {
    /// A column of numbers or texts.
    #[must_use]
    pub fn new(name: &str, unit: Option<&str>, values: Values) -> Self {
        Self { name: name.to_owned(), unit: unit.map(str::to_owned), values }
    }

    /// A column of whole numbers without a unit.
    #[must_use]
    pub fn whole(name: &str, values: impl IntoIterator<Item = i64>) -> Self {
        Self::new(name, None, Values::Int(values.into_iter().collect()))
    }

    /// A column of numbers in a unit, or of plain ones.
    #[must_use]
    pub fn float(name: &str, unit: Option<&str>, values: impl IntoIterator<Item = f64>) -> Self {
        Self::new(name, unit, Values::Float(values.into_iter().collect()))
    }

    /// A column of texts.
    #[must_use]
    pub fn text(name: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self::new(name, None, Values::Text(values.into_iter().collect()))
    }
}

/// Columns of equal length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Columns")]
pub struct Table {
    name: String,
    columns: Vec<Column>,
}

/// Columns that may have any length.
#[derive(Deserialize)]
struct Columns {
    name: String,
    columns: Vec<Column>,
}

impl TryFrom<Columns> for Table {
    type Error = TableError;

    fn try_from(Columns { name, columns }: Columns) -> Result<Self, TableError> {
        Self::new(&name, columns)
    }
}

/// Columns that do not form a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table {table:?}: column {column:?} has {found} cells, the first column has {expected}")]
pub struct TableError {
    table: String,
    column: String,
    found: usize,
    expected: usize,
}

impl Table {
    /// A table; `name` becomes the name of its file.
    ///
    /// # Errors
    /// [`TableError`] names the first column whose length differs from the first one's.
    pub fn new(name: &str, columns: Vec<Column>) -> Result<Self, TableError> {
        let expected = columns.first().map_or(0, |c| c.values.len());
        match columns.iter().find(|c| c.values.len() != expected) {
            None => Ok(Self { name: name.to_owned(), columns }),
            Some(column) => Err(TableError {
                table: name.to_owned(),
                column: column.name.clone(),
                found: column.values.len(),
                expected,
            }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.values.len())
    }
}
