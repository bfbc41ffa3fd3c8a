//! Smoothing of attention, as configs have it.

use fmrai_core::analyzer::ConfigError;

/// Smoothing has to leave something of the attention.
pub(crate) fn check_smoothing(smoothing: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&smoothing) {
        return Ok(());
    }
    Err(ConfigError {
        field: "smoothing",
        found: smoothing.to_string(),
        valid: "a number from 0 to less than 1".to_owned(),
    })
}
