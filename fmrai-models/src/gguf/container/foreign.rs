//! What a file is that is no GGUF file, by its first bytes.

/// A phrase after "is".
pub(super) fn described(start: &[u8]) -> String {
    let begins = |magic: &[u8]| start.starts_with(magic);
    let text = start.trim_ascii_start();
    let lower = text.get(..text.len().min(15)).unwrap_or_default().to_ascii_lowercase();
    let known = match () {
        () if start.is_empty() => "empty",
        () if start.get(8) == Some(&b'{') && start.get(5..8) == Some(&[0; 3]) => "a safetensors file",
        () if begins(b"version https://git-lfs.github.com/spec/") => {
            "a pointer of Git LFS in place of the file: fetch it with `git lfs pull`"
        }
        () if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") => {
            "a page of the web in place of the file: the download was answered by a site, not by the file"
        }
        () if begins(b"PK\x03\x04") => "a zip archive, as torch.save writes it",
        () if begins(b"\x80") && matches!(start.get(1), Some(2..=5)) => "a pickle",
        () if [b"lmgg", b"fmgg", b"tjgg", b"algg"].into_iter().any(|magic| begins(magic)) => {
            "a GGML file, from before GGUF: convert it with llama.cpp"
        }
        () if begins(b"\x1f\x8b") => "compressed by gzip: unpack it",
        () if start.iter().all(|byte| *byte == 0) => {
            "zeros at its start, as of a download that was not finished"
        }
        () => return format!("something that begins with \"{}\"", first(start)),
    };
    known.to_owned()
}

fn first(start: &[u8]) -> String {
    start.get(..start.len().min(16)).unwrap_or_default().escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let cases: [(&[u8], &str); 10] = [
            (b"", "empty"),
            (b"\x10\0\0\0\0\0\0\0{\"a\":", "a safetensors file"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
            (b"\n<!DOCTYPE html>", "a page of the web"),
            (b"PK\x03\x04", "a zip archive"),
            (b"\x80\x02}q", "a pickle"),
            (b"tjgg\x03\0\0\0", "a GGML file"),
            (b"\x1f\x8b\x08", "compressed by gzip"),
            (b"\0\0\0\0", "zeros at its start"),
            (b"hello \xff\nthere, all of you", "something that begins with \"hello \\xff\\nthere, a\""),
        ];
        for (start, expected) in cases {
            assert!(described(start).starts_with(expected), "{}", described(start));
        }
    }
}
