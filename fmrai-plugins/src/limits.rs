//! Numbers of a config that have to lie between 1 and a limit.

use fmrai_core::analyzer::ConfigError;

/// The first of these fields, each with its number and the most that it may be, that is out of bounds.
pub(crate) fn within(
    fields: impl IntoIterator<Item = (&'static str, usize, usize)>,
) -> Result<(), ConfigError> {
    match fields.into_iter().find(|(_, found, most)| !(1..=*most).contains(found)) {
        Some((field, found, most)) => {
            Err(ConfigError { field, found: found.to_string(), valid: format!("1 to {most}") })
        }
        None => Ok(()),
    }
}
