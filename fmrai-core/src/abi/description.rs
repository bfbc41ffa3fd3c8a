//! What an analyzer behind C functions says of itself.

use serde::Deserialize;
use serde_json::Value;

use super::handshake::HandshakeError;

/// What an analyzer says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Description {
    /// The `type` of its config in a plan.
    pub name: String,
    /// One line that says what it answers.
    pub summary: String,
    /// Who made it, with version.
    #[serde(default)]
    pub origin: String,
    /// The config with all fields at their defaults.
    #[serde(default)]
    pub example: Value,
    /// JSON Schema of its config, without the `type` field.
    #[serde(default)]
    pub schema: Value,
    #[serde(default)]
    pub(super) state: StateFormat,
    #[serde(default)]
    pub(super) state_version: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateFormat {
    /// Bytes that only the plugin understands.
    #[default]
    Bytes,
    /// The bytes of [`State::to_bytes`](crate::analyzer::State::to_bytes).
    Fmrai,
}

impl Description {
    /// The description in `text`.
    ///
    /// # Errors
    /// [`HandshakeError::Broken`] says what of it cannot be used.
    pub(super) fn read(text: &str) -> Result<Self, HandshakeError> {
        let description: Self = serde_json::from_str(text)
            .map_err(|e| HandshakeError::Broken(format!("its description cannot be read: {e}")))?;
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let Self { name, .. } = &description;
        if name.is_empty() || name.len() > 100 || !name.chars().all(named) {
            let what = format!("the analyzer name {name:?} is not of letters, digits, `_`, `-` and `.`");
            return Err(HandshakeError::Broken(what));
        }
        Ok(description)
    }
}
