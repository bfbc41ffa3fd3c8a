//! What somebody may have meant who wrote a name that there is not.

/// Those of `names` that are near `found`, the nearest first, each once: at most a third of its characters differ, or `least`
/// where that is more. Case does not count.
#[must_use]
pub fn nearest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>, least: usize) -> Vec<&'a str> {
    let limit = (found.chars().count() / 3).max(least);
    let lower = found.to_lowercase();
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first() {
        let names = ["values", "value", "keys", "value"];
        assert_eq!(nearest("Valeu", names, 2), ["value", "values"]);
        assert_eq!(nearest("valu", names, 1), ["value"]);
        assert!(nearest("", names, 1).is_empty());
    }
}
