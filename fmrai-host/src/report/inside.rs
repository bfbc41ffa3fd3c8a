//! Files of a results folder. What summaries name is read only below the folder, whatever they say: they may come from anywhere.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::error::ReadError;

/// A JSON file; `None` if it is absent.
pub(super) fn json(path: &Path) -> Result<Option<Value>, ReadError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let read = serde_json::from_slice(&bytes);
            read.map(Some).map_err(|source| ReadError::Json { path: path.to_owned(), source })
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(ReadError::Io { path: path.to_owned(), source }),
    }
}

/// The fields of an object; none of anything else.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The file that a summary names, if it is below the folder, links followed.
pub(super) fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let relative = Path::new(name);
    if name.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let path = folder.join(relative).canonicalize().ok()?;
    path.starts_with(folder.canonicalize().ok()?).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(folder.join("a/x.csv"), "x").unwrap();
        std::fs::write(place.path().join("secret"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(place.path().join("secret"), folder.join("a/link")).unwrap();
        assert!(below(&folder, "a/x.csv").is_some());
        let absolute = place.path().join("secret");
        for name in ["../secret", "a/../../secret", absolute.to_str().unwrap(), "", "a/none", "a/link"] {
            assert_eq!(below(&folder, name), None, "{name}");
        }
    }
}
