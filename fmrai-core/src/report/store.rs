//! Relational data: tables with keys and indexes, which the host writes as a database.

use serde::{Deserialize, Serialize};

use super::{Question, Table};

/// Relations that belong together, under a schema with a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// Name of the schema, e.g. `ffn_key_value`.
    pub schema: String,
    /// Its version: it grows when a column goes away or changes its meaning.
    pub version: u32,
    /// The relations; those that others refer to come first.
    pub relations: Vec<Relation>,
    /// What can be asked of these relations; written with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
}

/// A table with keys. Columns that another relation has as its key carry the same names there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// One line that says what a row is.
    pub about: String,
    /// The columns and rows. NaN is written as a missing number.
    pub table: Table,
    /// Names of the columns that tell rows apart.
    pub key: Vec<String>,
    /// What else rows are looked up by.
    #[serde(default)]
    pub indexes: Vec<Index>,
}

/// A way to look rows up fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name, unique in the store.
    pub name: String,
    /// Names of the columns, the first one first.
    pub columns: Vec<String>,
}

impl Relation {
    /// A table whose rows are told apart by the columns `key`, without further indexes.
    #[must_use]
    pub fn new(about: &str, table: Table, key: &[&str]) -> Self {
        let key = key.iter().map(|&c| c.to_owned()).collect();
        Self { about: about.to_owned(), table, key, indexes: Vec::new() }
    }

    /// The same with one more index.
    #[must_use]
    pub fn index(mut self, name: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&c| c.to_owned()).collect();
        self.indexes.push(Index { name: name.to_owned(), columns });
        self
    }
}
