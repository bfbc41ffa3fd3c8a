//! From text to selectors.

use std::str::FromStr;

use super::{HookName, Layers, ModuleGlob, Selector, UnitName};
use crate::graph::TensorId;

/// A text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector `{text}`: {what}")]
pub struct SelectorSyntaxError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub what: String,
}

impl FromStr for Selector {
    type Err = SelectorSyntaxError;

    fn from_str(text: &str) -> Result<Self, SelectorSyntaxError> {
        parse(text.trim()).map_err(|what| SelectorSyntaxError { text: text.to_owned(), what })
    }
}

fn parse(text: &str) -> Result<Selector, String> {
    if text.is_empty() {
        return Err("it is empty, valid is e.g. attention[*].probabilities".to_owned());
    }
    if let Some(id) = text.strip_prefix('#') {
        let id = Some(id).filter(|id| id.bytes().all(|b| b.is_ascii_digit())).and_then(|id| id.parse().ok());
        return id.map(|id| Selector::Id(TensorId(id))).ok_or_else(|| "an id is a number: #123".to_owned());
    }
    if let Some(name) = text.strip_prefix('%') {
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a name has no blanks and is not empty: %linear_3".to_owned());
        }
        return Ok(Selector::Name(name.to_owned()));
    }
    if let Some(hook) = HookName::parse(text) {
        return hook.map(Selector::Hook);
    }
    if let Some(unit) = UnitName::parse(text) {
        return unit.map(Selector::Unit);
    }
    let Some((role, rest)) = text.split_once('[') else {
        return ModuleGlob::parse(text).map(Selector::Module);
    };
    let (layers, part) = rest.split_once(']').ok_or("`]` is missing")?;
    let word = |text: &str, what: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let valid = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(fits);
        valid
            .then(|| text.to_owned())
            .ok_or_else(|| format!("{text:?} is no {what}: letters, digits and `_`"))
    };
    let part = match part {
        "" => None,
        part => Some(part.strip_prefix('.').ok_or("after `]` comes nothing, or `.` and a part")?),
    };
    Ok(Selector::Block {
        role: word(role, "role")?,
        layers: Layers::parse(layers)?,
        part: part.map(|part| word(part, "part")).transpose()?,
    })
}
