//! What may be wrong with a structure file.

/// The version of the format.
pub(super) const FORMAT: u64 = 1;

/// What is wrong with such a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StructureFileError {
    /// It is no JSON, or has a field twice.
    #[error("not a structure file: {0}")]
    Json(String),
    /// Another version wrote it.
    #[error("structure format {found}, this version reads format {FORMAT}")]
    Format {
        /// The version in the file, as it stands there.
        found: String,
    },
    /// A field that there is not.
    #[error("{place}: unknown field `{field}`, valid fields: {valid}")]
    Field {
        /// Where it stands.
        place: String,
        /// The field.
        field: String,
        /// The fields there are.
        valid: String,
    },
    /// A tensor that the graph has not.
    #[error("{place}: the graph has no tensor {tensor}{near}")]
    Tensor {
        /// Where it stands.
        place: String,
        /// The name or id.
        tensor: String,
        /// Names like it.
        near: String,
    },
    /// An entry that cannot be one of its kind.
    #[error("{place}: {what}")]
    Entry {
        /// Where it stands.
        place: String,
        /// What is wrong.
        what: String,
    },
}
