//! The files that belong to the checkout: tracked by git, or new and not ignored.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Folders that are never part of the sources, for checkouts without git.
const NOT_SOURCES: [&str; 4] = [".git", ".fmrai", "target", "runs"];

/// The checkout as a set of paths from the root, with `/` between the parts.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// Lists the checkout at `root`.
    pub(crate) fn list(root: &Path) -> Result<Self> {
        let files = match git_files(root) {
            Some(files) => files,
            None => walk(root)?,
        };
        // Git still lists what was deleted and not yet committed; and a link to a folder has no text.
        let files: BTreeSet<String> = files.into_iter().filter(|file| root.join(file).is_file()).collect();
        let folders = files
            .iter()
            .flat_map(|file| file.match_indices('/').map(|(end, _)| file[..end].to_owned()))
            .collect();
        Ok(Self { root: root.to_path_buf(), files, folders })
    }

    /// Every file, sorted.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Files whose names end in `ending`.
    pub(crate) fn ending_in(&self, ending: &'static str) -> impl Iterator<Item = &str> {
        self.files().filter(move |file| file.ends_with(ending))
    }

    /// A file or a folder of this path is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.files.contains(path) || self.has_folder(path)
    }

    /// A folder of this path is there.
    pub(crate) fn has_folder(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path)
    }

    /// A file's text; none if it is not text.
    pub(crate) fn text(&self, file: &str) -> Result<Option<String>> {
        let bytes = fs::read(self.root.join(file)).with_context(|| format!("{file} cannot be read"))?;
        Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
    }
}

fn git_files(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(root)
        .output()
        .ok()?;
    // An unpacked archive inside somebody's repository: git then knows none of its files.
    let known = output.status.success() && !output.stdout.is_empty();
    known.then(|| String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect())
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let entries = fs::read_dir(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("{} cannot be read", path.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !entry.path().is_dir() {
                files.push(relative);
            } else if !NOT_SOURCES.contains(&name.as_str()) {
                folders.push(relative);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tree of the given files, in a folder that lives as long as the first part.
    pub(crate) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let tree = Tree::list(folder.path()).unwrap();
        (folder, tree)
    }

    #[test]
    fn files_and_the_folders_above_them() {
        let (_folder, tree) = tree(&[("a/b/c.rs", ""), ("target/x", ""), ("README.md", "")]);
        assert_eq!(tree.files().collect::<Vec<_>>(), ["README.md", "a/b/c.rs"]);
        assert!(tree.has("a/b") && tree.has("a") && tree.has("a/b/c.rs"));
        assert!(tree.has_folder("a/b") && !tree.has_folder("a/b/c.rs"));
        assert!(!tree.has("a/b/d.rs") && !tree.has("target/x"));
    }

    #[test]
    fn what_is_not_text_has_no_text() {
        let (folder, tree) = tree(&[("a.bin", "")]);
        fs::write(folder.path().join("a.bin"), [0xff, 0xfe]).unwrap();
        assert_eq!(tree.text("a.bin").unwrap(), None);
    }
}
