//! What a file is that is no GGUF file, by its first bytes.

use fmrai_core::file_kind::FileKind;

/// A phrase after "is".
pub(super) fn described(start: &[u8]) -> String {
    if let Some(kind) = FileKind::of(start) {
        return kind.to_string();
    }
    if [b"lmgg", b"fmgg", b"tjgg", b"algg"].into_iter().any(|magic| start.starts_with(magic)) {
        return "a GGML file, from before GGUF: convert it with llama.cpp".to_owned();
    }
    if start.iter().all(|byte| *byte == 0) {
        return "zeros at its start, as of a download that was not finished".to_owned();
    }
    let first = start.get(..start.len().min(16)).unwrap_or_default();
    format!("something that begins with \"{}\"", first.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let cases: [(&[u8], &str); 6] = [
            (b"", "empty"),
            (b"\n<!DOCTYPE html>", "a page of the web"),
            (b"PK\x03\x04", "a zip archive"),
            (b"tjgg\x03\0\0\0", "a GGML file"),
            (b"\0\0\0\0", "zeros at its start"),
            (b"hello \xff\nthere, all of you", "something that begins with \"hello \\xff\\nthere, a\""),
        ];
        for (start, expected) in cases {
            assert!(described(start).starts_with(expected), "{}", described(start));
        }
    }
}
