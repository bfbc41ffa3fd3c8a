//! Libraries that lie beside a plugin and that it links: found as the system's loader finds them, by `$ORIGIN`.
//!
//! A plugin is loaded from a private copy, where nothing lies beside it; so what it needs of its own folder is read, hashed
//! and copied with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use object::Endianness;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH};
use object::read::elf::ElfFile64;

use super::error::PluginError;
use super::facts::{hash, writable_by_all};

/// A library beside a plugin.
pub(super) struct Neighbour {
    /// Its place, from the plugin's folder.
    pub(super) place: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: String,
}

/// The hashes of neighbours by their places, as a plan names them.
pub(super) fn hashes(neighbours: &[Neighbour]) -> BTreeMap<String, String> {
    neighbours.iter().map(|n| (n.place.display().to_string(), n.sha256.clone())).collect()
}

/// What a library asks of the system's loader.
#[derive(Default)]
struct Asks {
    needed: Vec<String>,
    /// Where it looks, as it is written.
    own: Vec<String>,
    /// Where what it needs looks as well.
    handed_on: Vec<String>,
}

/// Everything that the plugin with these bytes, in `folder`, needs of that folder and of those below it. `allowed` is the
/// folder that the user trusts.
pub(super) fn of(
    path: &Path,
    bytes: &[u8],
    folder: &Path,
    allowed: &Path,
) -> Result<Vec<Neighbour>, PluginError> {
    let mut found: Vec<Neighbour> = Vec::new();
    let mut seen = BTreeSet::new();
    let first = asks(bytes);
    let inherited = first.handed_on.clone();
    let mut open = vec![(PathBuf::new(), first)];
    while let Some((from, Asks { needed, own, .. })) = open.pop() {
        let places: Vec<(String, PathBuf)> = own
            .iter()
            .map(|written| (written, from.as_path()))
            .chain(inherited.iter().map(|written| (written, Path::new(""))))
            .filter_map(|(written, from)| Some((written.clone(), from.join(origin(written)?))))
            .collect();
        for name in &needed {
            let there = places.iter().find(|(_, place)| folder.join(place).join(name).is_file());
            let Some((written, place)) = there else { continue };
            let Some(place) = below(&place.join(name)) else {
                return Err(PluginError::Unfit {
                    path: path.to_owned(),
                    what: format!(
                        "it links {name} and looks for it in {written}, above its own folder, and a plugin is loaded from a \
                         private copy of that: put {name} beside it or into a folder below, and link it with \
                         -Wl,-rpath,'$ORIGIN' or '$ORIGIN/FOLDER', or link it statically"
                    ),
                });
            };
            if seen.insert(place.clone()) {
                let neighbour = read(&place, folder, allowed)?;
                let from = place.parent().unwrap_or(Path::new("")).to_owned();
                open.push((from, asks(&neighbour.bytes)));
                found.push(neighbour);
            }
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(found)
}

fn read(place: &Path, folder: &Path, allowed: &Path) -> Result<Neighbour, PluginError> {
    let path = folder.join(place);
    let io = |source| PluginError::Io { path: path.clone(), source };
    let real = path.canonicalize().map_err(io)?;
    if !real.starts_with(allowed) {
        let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
        return Err(PluginError::NotAllowed { path: real, folder });
    }
    for place in real.ancestors().take_while(|place| place.starts_with(allowed)) {
        if writable_by_all(place).map_err(io)? {
            return Err(PluginError::Writable { path: place.to_owned() });
        }
    }
    let bytes = std::fs::read(&real).map_err(io)?;
    let sha256 = hash(&bytes);
    Ok(Neighbour { place: place.to_owned(), bytes, sha256 })
}

/// The rest of a path that starts from the library's own folder.
fn origin(written: &str) -> Option<&str> {
    let rest = written.strip_prefix("$ORIGIN").or_else(|| written.strip_prefix("${ORIGIN}"))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/').map(|rest| rest.trim_start_matches('/')) }
}

/// A relative path without detours; `None` where it leaves its folder.
fn below(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir if clean.pop() => {}
            _ => return None,
        }
    }
    Some(clean)
}

/// What a library asks for; nothing where it is of another form, which the system's loader will tell.
fn asks(bytes: &[u8]) -> Asks {
    let mut asks = Asks::default();
    let Ok(file) = ElfFile64::<Endianness>::parse(bytes) else { return asks };
    let Ok(table) = file.elf_dynamic_table() else { return asks };
    let (mut run, mut old) = (Vec::new(), Vec::new());
    for entry in &table {
        let text = || table.string(entry).ok().and_then(|text| std::str::from_utf8(text).ok());
        let list = || text().into_iter().flat_map(|text| text.split(':')).map(str::to_owned);
        match entry.tag {
            DT_NEEDED => asks.needed.extend(text().filter(|name| !name.contains('/')).map(str::to_owned)),
            DT_RUNPATH => run.extend(list()),
            DT_RPATH => old.extend(list()),
            _ => {}
        }
    }
    // The old list is ignored where there is a new one; it alone is handed on to what is needed.
    if run.is_empty() {
        asks.own.clone_from(&old);
        asks.handed_on = old;
    } else {
        asks.own = run;
    }
    asks
}

/// What may help where the system's loader says that it has not found a library.
pub(super) fn advice(said: &str, folder: &Path) -> Option<String> {
    let (before, _) = said.split_once(": cannot open shared object file")?;
    let name = before.rsplit(['/', ' ']).next().filter(|name| !name.is_empty())?;
    Some(if folder.join(OsStr::new(name)).is_file() {
        format!(
            "{name} lies beside the plugin, which does not look there: link the plugin with -Wl,-rpath,'$ORIGIN'"
        )
    } else {
        format!(
            "put {name} beside the plugin and link that with -Wl,-rpath,'$ORIGIN', link it statically, or name its folder in \
             LD_LIBRARY_PATH"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_start_from_the_library() {
        assert_eq!(origin("$ORIGIN"), Some(""));
        assert_eq!(origin("${ORIGIN}/lib"), Some("lib"));
        assert_eq!(origin("$ORIGINAL/lib"), None);
        assert_eq!(origin("/usr/lib"), None);
        assert_eq!(below(Path::new("a/../b/./c")), Some(PathBuf::from("b/c")));
        assert_eq!(below(Path::new("../c")), None);
        assert!(asks(b"no library").needed.is_empty());
    }

    #[test]
    fn advice_names_the_library_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let said = "libx.so.1: cannot open shared object file: No such file or directory";
        assert!(advice(said, folder.path()).unwrap().starts_with("put libx.so.1 beside"));
        std::fs::write(folder.path().join("libx.so.1"), "").unwrap();
        assert!(advice(said, folder.path()).unwrap().starts_with("libx.so.1 lies beside"));
        assert_eq!(advice("undefined symbol: f", folder.path()), None);
    }
}
