//! Where files of this process alone may lie.

use std::path::PathBuf;

/// Folders for temporary files, the usual one first: one may be full, or such that nothing in it can be executed.
pub(crate) fn places() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let others = [variable("XDG_RUNTIME_DIR"), cache, Some("/var/tmp".into()), Some("/dev/shm".into())];
    let mut places = vec![std::env::temp_dir()];
    for place in others.into_iter().flatten().filter(|place| place.is_absolute() && place.is_dir()) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}
