//! Paths as people read them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The shortest way to write a path, which may be absent: from the current directory where it lies below, else whole;
/// without links, `.` and `..`.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let Some(whole) = whole(path) else { return path.to_owned() };
    let current = std::env::current_dir().and_then(|d| d.canonicalize());
    match current.ok().and_then(|d| whole.strip_prefix(d).ok().map(Path::to_owned)) {
        Some(below) if !below.as_os_str().is_empty() => below,
        _ => whole,
    }
}

/// The real path of the part that exists, and the rest of it as written.
fn whole(path: &Path) -> Option<PathBuf> {
    let mut absent: Vec<OsString> = Vec::new();
    let mut there = std::path::absolute(path).ok()?;
    loop {
        if let Ok(mut whole) = there.canonicalize() {
            for name in absent.iter().rev() {
                // What does not exist is no link, so `..` takes back the name before it.
                if name == ".." {
                    whole.pop()
                } else {
                    whole.push(name);
                    true
                };
            }
            return Some(whole);
        }
        let last = there.components().next_back()?;
        absent.push(last.as_os_str().to_owned());
        if !there.pop() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_detours() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("plans")).unwrap();
        assert_eq!(shown(&real.join("plans/../runs/a")), real.join("runs/a"));
        assert_eq!(shown(&real.join("absent/../runs/./a")), real.join("runs/a"));
        assert_eq!(shown(&real.join("plans")), real.join("plans"));
        assert_eq!(shown(Path::new("target/../absent")), Path::new("absent"));
    }
}
