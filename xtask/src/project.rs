//! Where things lie in the checkout that xtask works on.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The checkout, by its root folder.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the checkout: through cargo when run as `cargo xtask`, else upwards from the current folder.
    pub(crate) fn find() -> Result<Self> {
        // Asked at run time, not compiled in: a target folder may be shared by several checkouts.
        if let Some(manifest_dir) = env::var_os("CARGO_MANIFEST_DIR")
            && let Some(root) = Path::new(&manifest_dir).parent()
            && is_root(root)
        {
            return Ok(Self::at(root));
        }
        let here = env::current_dir().context("the current folder cannot be read")?;
        match here.ancestors().find(|folder| is_root(folder)) {
            Some(root) => Ok(Self::at(root)),
            None => {
                bail!("{} is not inside an fMRAi checkout: run `cargo xtask` from within one", here.display())
            }
        }
    }

    /// The checkout whose root is `root`.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that set-up fetches; ignored by git.
    pub(crate) fn fetched(&self) -> PathBuf {
        self.root.join(".fmrai")
    }

    /// The libtorch that `.cargo/config.toml` names as the default `LIBTORCH`.
    pub(crate) fn libtorch(&self) -> PathBuf {
        self.fetched().join("libtorch")
    }

    /// A path as a reader at the root would type it.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() && folder.join("xtask/Cargo.toml").is_file()
}
