//! Sites as plans name them.

use std::borrow::Cow;
use std::fmt;

use fmrai_core::analyzer::ConfigError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use fmrai_core::experiment::SiteKind;

/// What one cell of the result is, beside its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// All of the site.
    Layer,
    /// A position of the text.
    Position,
    /// A marked part of the text, by its name in the data.
    Mark,
    /// A head, at all positions.
    Head,
    /// A head at a position.
    HeadPosition,
    /// A head at a marked part of the text.
    HeadMark,
}

impl By {
    /// True where a cell is a single head.
    #[must_use]
    pub fn heads(self) -> bool {
        matches!(self, Self::Head | Self::HeadPosition | Self::HeadMark)
    }

    /// True where a cell is a position.
    #[must_use]
    pub fn positions(self) -> bool {
        matches!(self, Self::Position | Self::HeadPosition)
    }

    /// True where a cell is a marked part.
    #[must_use]
    pub fn marks(self) -> bool {
        matches!(self, Self::Mark | Self::HeadMark)
    }

    /// Names of the axes of its results.
    #[must_use]
    pub fn axes(self) -> &'static [&'static str] {
        match self {
            Self::Layer => &["layer"],
            Self::Position => &["layer", "position"],
            Self::Mark => &["layer", "mark"],
            Self::Head => &["layer", "head"],
            Self::HeadPosition => &["layer", "head", "position"],
            Self::HeadMark => &["layer", "head", "mark"],
        }
    }
}

/// A kind of site with what its cells are: `residual.before` (by layer and position), `residual.before.layer`, `residual.before.mark`,
/// `head` (by layer and head), `head.position`, `head.mark`, `head.layer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteChoice {
    /// The kind.
    pub kind: SiteKind,
    /// What its cells are.
    pub by: By,
}

impl SiteChoice {
    /// A kind with the cells that it has where nothing else is said: positions, or heads.
    #[must_use]
    pub fn of(kind: SiteKind) -> Self {
        Self { kind, by: if kind.of_heads() { By::Head } else { By::Position } }
    }

    fn suffix(self) -> &'static str {
        match self.by {
            By::Layer => ".layer",
            By::Position | By::Head => "",
            By::HeadPosition => ".position",
            By::Mark | By::HeadMark => ".mark",
        }
    }
}

impl fmt::Display for SiteChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.suffix())
    }
}

impl From<SiteChoice> for String {
    fn from(choice: SiteChoice) -> Self {
        choice.to_string()
    }
}

impl TryFrom<String> for SiteChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        for kind in SiteKind::ALL {
            let Some(suffix) = text.strip_prefix(kind.name()) else { continue };
            let by = match (suffix, kind.of_heads()) {
                ("", _) => Self::of(kind).by,
                (".layer", _) => By::Layer,
                (".position", true) => By::HeadPosition,
                (".position", false) => By::Position,
                (".mark", true) => By::HeadMark,
                (".mark", false) => By::Mark,
                _ => continue,
            };
            return Ok(Self { kind, by });
        }
        let names: Vec<&str> = SiteKind::ALL.iter().map(|kind| kind.name()).collect();
        Err(format!(
            "there is no site {text:?}, there are {}; each also with .layer, .position or .mark after it",
            names.join(", ")
        ))
    }
}

impl JsonSchema for SiteChoice {
    fn schema_name() -> Cow<'static, str> {
        "SiteChoice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = SiteKind::ALL
            .iter()
            .flat_map(|kind| ["", ".layer", ".position", ".mark"].map(|suffix| format!("{kind}{suffix}")));
        json_schema!({ "type": "string", "enum": names.collect::<Vec<_>>() })
    }
}

/// Refuses a list of choices that is empty or names one twice.
///
/// # Errors
/// [`ConfigError`] of the field `sites`.
pub fn check_choices(choices: &[SiteChoice]) -> Result<(), ConfigError> {
    let wrong = |found: String| {
        Err(ConfigError {
            field: "sites",
            found,
            valid: "a list of different sites, at least one".to_owned(),
        })
    };
    if choices.is_empty() {
        return wrong("empty".to_owned());
    }
    for (at, choice) in choices.iter().enumerate() {
        if choices[..at].contains(choice) {
            return wrong(format!("a list with {choice} twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let of = |text: &str| SiteChoice::try_from(text.to_owned());
        for text in [
            "residual.before",
            "residual.after.layer",
            "ffn_output.mark",
            "head",
            "key.position",
            "head.mark",
        ] {
            assert_eq!(of(text).unwrap().to_string(), text);
        }
        assert_eq!(of("residual.before.position").unwrap(), of("residual.before").unwrap());
        assert_eq!(of("head").unwrap().by.axes(), ["layer", "head"]);
        let message = of("residual").unwrap_err();
        assert!(message.contains("\"residual\"") && message.contains("residual.between"), "{message}");
    }
}
