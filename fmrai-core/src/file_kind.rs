//! What a file is by its first bytes, for messages: users have a pointer of Git LFS, a page of an error or an archive where they
//! think they have weights.

use std::fmt;
use std::io::Read;
use std::path::Path;

/// Bytes that [`FileKind::of`] wants to see.
pub const ENOUGH: usize = 512;

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Nothing is in it.
    Empty,
    /// The pointer that Git LFS leaves where a file was not fetched, with the size of that file in bytes.
    LfsPointer(Option<u64>),
    /// A page of the web.
    Html,
    /// JSON.
    Json,
    /// Text in UTF-16, with a byte order mark or without one.
    Utf16,
    /// Text in UTF-32.
    Utf32,
    /// A pickle as `torch.save` wrote it before version 1.6, or any other.
    Pickle,
    /// A zip archive: `.pt`, `.pt2`, `.npz`.
    Zip,
    /// An archive of tar.
    Tar,
    /// Compressed by gzip.
    Gzip,
    /// Compressed by zstd.
    Zstd,
    /// Compressed by xz.
    Xz,
    /// Compressed by bzip2.
    Bzip2,
    /// A safetensors file.
    Safetensors,
    /// A `.npy` file of NumPy.
    Npy,
    /// Weights of llama.cpp.
    Gguf,
    /// HDF5, as Keras writes it.
    Hdf5,
    /// A table of Apache Parquet.
    Parquet,
    /// A table of Apache Arrow.
    Arrow,
    /// An ONNX model or another message of protobuf that names its producer.
    Onnx,
    /// A PDF document.
    Pdf,
    /// A program or library.
    Executable,
}

impl FileKind {
    /// What a file that begins with `start` is; `None` where the bytes do not tell. At least [`ENOUGH`] bytes should be
    /// given, unless the file is shorter.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| start.starts_with(magic);
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        let lower = text.get(..text.len().min(15)).unwrap_or_default().to_ascii_lowercase();
        Some(match () {
            () if start.is_empty() => Self::Empty,
            // First of all: its length could begin as any of the others do.
            () if is_safetensors(start) => Self::Safetensors,
            () if begins(b"version https://git-lfs.github.com/spec/") => Self::LfsPointer(lfs_size(start)),
            () if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") => Self::Html,
            () if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") => Self::Zip,
            () if begins(b"\x93NUMPY") => Self::Npy,
            () if begins(b"GGUF") => Self::Gguf,
            () if begins(b"\x89HDF\r\n") => Self::Hdf5,
            () if begins(b"PAR1") => Self::Parquet,
            () if begins(b"ARROW1") => Self::Arrow,
            () if begins(b"%PDF-") => Self::Pdf,
            () if begins(b"\x7fELF") || begins(b"MZ\x90") => Self::Executable,
            () if begins(b"\x1f\x8b") => Self::Gzip,
            () if begins(b"\x28\xb5\x2f\xfd") => Self::Zstd,
            () if begins(b"\xfd7zXZ") => Self::Xz,
            () if begins(b"BZh") && start.get(4..10) == Some(b"\x31\x41\x59\x26\x53\x59") => Self::Bzip2,
            () if start.get(257..262) == Some(b"ustar") => Self::Tar,
            () if begins(b"\xff\xfe\0\0") || begins(b"\0\0\xfe\xff") => Self::Utf32,
            () if begins(b"\xff\xfe") || begins(b"\xfe\xff") => Self::Utf16,
            () if start.first() == Some(&0x80) && matches!(start.get(1), Some(2..=5)) => Self::Pickle,
            () if begins(b"\x08") && start.windows(7).any(|w| w == b"pytorch") => Self::Onnx,
            () if text.starts_with(b"{") || text.starts_with(b"[") => Self::Json,
            () if half_is_nul(start) => Self::Utf16,
            () => return None,
        })
    }

    /// What the file at `path` is; `None` where that cannot be told, or read.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        let mut start = Vec::new();
        std::fs::File::open(path).ok()?.take(ENOUGH as u64).read_to_end(&mut start).ok()?;
        Self::of(&start)
    }
}

/// A phrase after "is", with what to do about it where that is one thing.
impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::LfsPointer(size) = self {
            let size = size.map(|size| format!(" of {size} bytes")).unwrap_or_default();
            return write!(
                f,
                "a pointer of Git LFS in place of the file{size}: fetch it with `git lfs pull`"
            );
        }
        f.write_str(match self {
            Self::LfsPointer(_) => "a pointer of Git LFS",
            Self::Empty => "empty",
            Self::Html => "a page of the web in place of the file: the download was answered by a site, not by the file",
            Self::Json => "JSON",
            Self::Utf16 => "text in UTF-16: convert it, e.g. with `iconv -f UTF-16 -t UTF-8`",
            Self::Utf32 => "text in UTF-32: convert it, e.g. with `iconv -f UTF-32 -t UTF-8`",
            Self::Pickle => {
                "a pickle, as torch.save wrote it before version 1.6, which is never read: export the model with \
                 torch.export.save, or save its weights as safetensors"
            }
            Self::Zip => "a zip archive",
            Self::Tar => "an archive of tar: unpack it",
            Self::Gzip => "compressed by gzip: unpack it",
            Self::Zstd => "compressed by zstd: unpack it",
            Self::Xz => "compressed by xz: unpack it",
            Self::Bzip2 => "compressed by bzip2: unpack it",
            Self::Safetensors => "a safetensors file, which holds tensors alone",
            Self::Npy => "a .npy file of NumPy",
            Self::Gguf => "a GGUF file of llama.cpp, which is a model by itself: give it as a model of type gguf",
            Self::Hdf5 => "an HDF5 file, as Keras writes it, which is not read: save the model as safetensors",
            Self::Parquet => "a Parquet table: as data of a plan its type is `parquet`",
            Self::Arrow => "an Arrow table, which is not read: write the texts as JSON lines or CSV",
            Self::Onnx => "an ONNX model, which is not read: export the model with torch.export.save",
            Self::Pdf => "a PDF document",
            Self::Executable => "a program or library",
        })
    }
}

/// The bytes of a text file without a byte order mark.
///
/// # Errors
/// What the file is, where it is no text in UTF-8 or stands in for another file.
pub fn plain(bytes: &[u8]) -> Result<&[u8], String> {
    match FileKind::of(bytes) {
        None | Some(FileKind::Json | FileKind::Empty) => {
            Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        }
        Some(kind) => Err(format!("is {kind}")),
    }
}

fn lfs_size(pointer: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(pointer).ok()?;
    text.lines().find_map(|line| line.strip_prefix("size "))?.trim().parse().ok()
}

/// A length of 8 bytes and then JSON that begins at once.
fn is_safetensors(start: &[u8]) -> bool {
    start.get(8) == Some(&b'{') && start.get(5..8) == Some(&[0, 0, 0])
}

/// Text whose every other byte is 0.
fn half_is_nul(start: &[u8]) -> bool {
    let pairs = start.as_chunks::<2>().0;
    let nul = |at: usize| pairs.iter().filter(|pair| pair[at] == 0 && pair[1 - at] != 0).count();
    pairs.len() >= 4 && (nul(0) * 10 >= pairs.len() * 9 || nul(1) * 10 >= pairs.len() * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 548105171\n";
        let utf16: Vec<u8> = "the keeper".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], Option<FileKind>); 18] = [
            (b"", Some(FileKind::Empty)),
            (lfs, Some(FileKind::LfsPointer(Some(548_105_171)))),
            (b"\n <!DOCTYPE html><html>", Some(FileKind::Html)),
            (b"<HTML>", Some(FileKind::Html)),
            (b"\xef\xbb\xbf {\"a\": 1}", Some(FileKind::Json)),
            (b"\xff\xfea\0", Some(FileKind::Utf16)),
            (&utf16, Some(FileKind::Utf16)),
            (b"\xff\xfe\0\0a\0\0\0", Some(FileKind::Utf32)),
            (b"\x80\x02ccollections", Some(FileKind::Pickle)),
            (b"PK\x03\x04", Some(FileKind::Zip)),
            (&tar, Some(FileKind::Tar)),
            (b"\x1f\x8b\x08", Some(FileKind::Gzip)),
            (b"\x10\0\0\0\0\0\0\0{\"__metadata__\"", Some(FileKind::Safetensors)),
            (b"\x93NUMPY\x01\0", Some(FileKind::Npy)),
            (b"\x08\x08\x12\x07pytorch\x1a", Some(FileKind::Onnx)),
            (b"The keeper writes.", None),
            (b"a\0", None),
            (b"\0\0\0\0\0\0\0\0\0\0", None),
        ];
        for (start, kind) in cases {
            assert_eq!(FileKind::of(start), kind, "{:?}", String::from_utf8_lossy(start));
        }
        let said = FileKind::LfsPointer(Some(7)).to_string();
        assert_eq!(
            said,
            "a pointer of Git LFS in place of the file of 7 bytes: fetch it with `git lfs pull`"
        );
    }
}
