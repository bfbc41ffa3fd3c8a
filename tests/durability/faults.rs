//! The program with calls of the system that fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// How the n-th call that touches a folder goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, the disk being full.
    Full,
    /// It fails, and so does all after it that makes something.
    StaysFull,
    /// If it writes, half is written.
    Half,
    /// It fails with an error of the device.
    Device,
    /// The process is killed instead.
    Kill,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::Full, Self::Kill, Self::StaysFull, Self::Half, Self::Device];
}

/// The library that is loaded into the program, built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = (folder.path().join("faults.cpp"), folder.path().join("faults.so"));
        std::fs::write(&source, include_str!("faults.cpp")).unwrap();
        let built = Command::new("c++")
            .args(["-std=c++17", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&path, &source])
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (folder, path)
    });
    path
}

/// Lets call number `at` below a folder go wrong; none if it is 0. How many calls there were is written to `count`.
pub(crate) fn inject(command: &mut Command, below: &Path, fault: Fault, at: u64, count: &Path) {
    let (how, error) = match fault {
        Fault::Full => ("once", "28"),
        Fault::StaysFull => ("on", "28"),
        Fault::Half => ("short", "28"),
        Fault::Device => ("once", "5"),
        Fault::Kill => ("kill", "0"),
    };
    command
        .env("LD_PRELOAD", library())
        .env("FAULTS_BELOW", below)
        .env("FAULTS_AT", at.to_string())
        .env("FAULTS_HOW", how)
        .env("FAULTS_ERROR", error)
        .env("FAULTS_COUNT", count);
}

/// How many calls there were.
pub(crate) fn counted(count: &Path) -> u64 {
    std::fs::read_to_string(count).unwrap_or_default().lines().next().unwrap_or("0").parse().unwrap()
}
