//! Headings that name parameters.

/// A heading with `{name}` replaced by what `told` has of that name, and `{{` and `}}` by one brace.
///
/// # Errors
/// The first name that `told` does not have, or what follows a brace that is not closed.
pub(super) fn filled(heading: &str, told: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut text = String::with_capacity(heading.len());
    let mut rest = heading;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
        } else if brace == "{" {
            let (name, after) = after.split_once('}').ok_or_else(|| after.to_owned())?;
            text.push_str(&told(name).ok_or_else(|| name.to_owned())?);
            rest = after;
        } else {
            return Err(brace.to_owned());
        }
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn names_in_braces_are_replaced() {
        let told = |name: &str| (name == "layer").then(|| "{3}".to_owned());
        assert_eq!(filled("layer {layer}: {{x}} é", told).unwrap(), "layer {3}: {x} é");
        for (heading, wrong) in [("{neuron}", "neuron"), ("a {layer", "layer"), ("a } b", "}"), ("{", "")] {
            assert_eq!(filled(heading, told).unwrap_err(), wrong, "{heading}");
        }
    }
}
