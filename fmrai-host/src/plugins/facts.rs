//! What can be told of any file: its hash, and who may write it.

use std::path::Path;

use sha2::{Digest, Sha256};

/// SHA-256 in lower-case hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(unix)]
pub(super) fn writable_by_all(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(path.metadata()?.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
pub(super) fn writable_by_all(_: &Path) -> std::io::Result<bool> {
    Ok(false)
}
