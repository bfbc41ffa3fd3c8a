//! What an analysis may be called: its name is a folder's name.

/// What an analysis may be called: [`is_name`] without the reserved names, for schemas.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$";

/// Names that an analysis cannot have, whatever their case: files of the run itself, and devices of Windows.
const RESERVED: &[&str] =
    &["activations", "plan.json", "run.json", "summary.json", "aux", "con", "nul", "prn"];

/// True if no folder of results can have this name, though it has the form of one.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name.to_lowercase().as_str()) || name.ends_with('.')
}

/// True if an analysis may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    first && name.len() <= 100 && name.chars().all(plain) && !is_reserved(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_pattern_that_are_not_reserved() {
        let schema = serde_json::json!({ "pattern": NAME_PATTERN });
        let validator = jsonschema::draft202012::options().build(&schema).unwrap();
        let long = "x".repeat(100);
        for name in
            ["a", "0", "heads_2.x-y", long.as_str(), "", ".a", "a b", "ä", "a/b", "-a", &long.repeat(2)]
        {
            assert_eq!(is_name(name), validator.is_valid(&serde_json::json!(name)), "{name}");
        }
        for reserved in ["Activations", "nul", "plan.json", "a."] {
            assert!(!is_name(reserved), "{reserved}");
        }
    }
}
