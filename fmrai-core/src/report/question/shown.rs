//! How a column of an answer is shown.

use serde::{Deserialize, Serialize};

/// A column of an answer, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What stands above it. Unique in the section.
    pub name: String,
    /// Unit of its numbers, e.g. `nats`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How its cells are written.
    #[serde(default)]
    pub format: Format,
    /// Digits after the point, at most 17: 4 for `fixed`, 3 for `scientific` and 1 for `percent` where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
}

/// How cells are written. In JSON answers all are as the query gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Numbers with as many digits as tell them apart; texts as `text`.
    #[default]
    Plain,
    /// `0.0713`
    Fixed,
    /// `7.130e-2`
    Scientific,
    /// A share as `7.1 %`.
    Percent,
    /// On one line: line breaks are `⏎`.
    Text,
    /// As it is, or in quotes where it could not be seen: a space is `" "`.
    Token,
}

impl Shown {
    fn new(name: &str, format: Format, digits: Option<u8>) -> Self {
        Self { name: name.to_owned(), unit: None, format, digits }
    }

    /// Numbers or texts without further ado.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self::new(name, Format::Plain, None)
    }

    /// Numbers with that many digits after the point.
    #[must_use]
    pub fn fixed(name: &str, digits: u8) -> Self {
        Self::new(name, Format::Fixed, Some(digits))
    }

    /// Numbers with an exponent.
    #[must_use]
    pub fn scientific(name: &str) -> Self {
        Self::new(name, Format::Scientific, None)
    }

    /// Shares of one.
    #[must_use]
    pub fn percent(name: &str) -> Self {
        Self::new(name, Format::Percent, None)
    }

    /// Texts.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self::new(name, Format::Text, None)
    }

    /// Tokens.
    #[must_use]
    pub fn token(name: &str) -> Self {
        Self::new(name, Format::Token, None)
    }

    /// The same with a unit.
    #[must_use]
    pub fn unit(self, unit: &str) -> Self {
        Self { unit: Some(unit.to_owned()), ..self }
    }
}
