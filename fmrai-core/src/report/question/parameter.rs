//! What a question can be told.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A parameter: `layer` is `:layer` in queries, `{layer}` in headings and `--layer` on the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name: lower-case letters, digits and `_`, a letter first.
    pub name: String,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// One sentence that says what it means, for help texts.
    pub about: String,
    /// What it is unless it is told; it has to be told where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Argument>,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Integer,
    Number,
    Text,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
        }
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Argument {
    Integer(i64),
    Number(f64),
    Text(String),
}

impl Argument {
    /// The type of parameters that it is made for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Integer(_) => Kind::Integer,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
        }
    }

    /// True if a parameter of that type takes it: whole numbers are numbers too.
    #[must_use]
    pub fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Integer(_) => kind != Kind::Text,
            Self::Number(x) => kind == Kind::Number && x.is_finite(),
            Self::Text(_) => kind == Kind::Text,
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(i) => i.fmt(f),
            Self::Number(x) => x.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<i64> for Argument {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Argument {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
