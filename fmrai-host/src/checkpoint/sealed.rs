//! Documents that carry their own hash.

use serde_json::Value;
use sha2::{Digest, Sha256};

const FIELD: &str = "sha256";

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The document with the hash of its compact text in one more field, `sha256`.
pub(super) fn seal(mut document: Value) -> Value {
    let hash = sha256(document.to_string().as_bytes());
    if let Value::Object(fields) = &mut document {
        fields.insert(FIELD.to_owned(), hash.into());
    }
    document
}

/// Takes the hash out again; false if there is none.
///
/// # Errors
/// A sentence, if the document is not the one that was sealed.
pub(super) fn unseal(document: &mut Value) -> Result<bool, String> {
    let Some(hash) = document.as_object_mut().and_then(|fields| fields.shift_remove(FIELD)) else {
        return Ok(false);
    };
    let found = sha256(document.to_string().as_bytes());
    if hash == found.as_str() {
        return Ok(true);
    }
    Err(format!("has been changed since it was written: its SHA-256 is {found}, it says {hash}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sealed_document_is_told_from_any_other() {
        let document = json!({"b": 1.5e-300, "a": [1, null, "x\u{e9}"], "n": u64::MAX});
        let sealed = seal(document.clone());
        let text = serde_json::to_string_pretty(&sealed).unwrap();
        let mut read: Value = serde_json::from_str(&text).unwrap();
        assert!(unseal(&mut read).unwrap());
        assert_eq!(read, document);
        assert!(!unseal(&mut read).unwrap(), "it has no seal any more");
        let mut other: Value = serde_json::from_str(&text.replace("1.5e-300", "1.5e-301")).unwrap();
        assert!(unseal(&mut other).unwrap_err().starts_with("has been changed since it was written"));
    }
}
