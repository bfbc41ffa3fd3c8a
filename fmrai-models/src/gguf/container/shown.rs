//! Texts of a file as messages show them: whatever they hold, on one line and of a bounded length.

/// Longest name that is shown whole.
const NAME: usize = 120;

/// Longest other text that is shown whole.
const TEXT: usize = 60;

/// A key or the name of a tensor, in quotes.
pub(super) fn name(name: &str) -> String {
    quoted(name, NAME)
}

/// A text that may be a long one, in quotes.
pub(super) fn text(text: &str) -> String {
    quoted(text, TEXT)
}

fn quoted(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_strange_ones_escaped() {
        assert_eq!(text("blk.0\n\u{1b}[1m"), r#""blk.0\n\u{1b}[1m""#);
        assert_eq!(text(&"ä".repeat(60)), format!("{:?}", "ä".repeat(60)));
        assert_eq!(text(&"ä".repeat(61)), format!("{:?}…", "ä".repeat(60)));
        assert_eq!(name(&"a".repeat(1000)).chars().count(), 123);
    }
}
