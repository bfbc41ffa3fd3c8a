//! Words that must not get into the repository: where it happened to be written, and hosts that a user's own settings choose.

use anyhow::Result;

use super::problem::Problem;
use super::tree::Tree;

/// Put together by the compiler, so that this file does not hold them.
const FORBIDDEN: [&str; 6] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("../sh", "ared"),
    concat!("py", "pi.org"),
    concat!("files.python", "hosted"),
    concat!("static.cra", "tes.io"),
];

/// Looks through every text file.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.files() {
        if let Some(text) = tree.text(file)? {
            problems.extend(check_text(file, &text));
        }
    }
    Ok(problems)
}

fn check_text(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.to_ascii_lowercase();
        for word in FORBIDDEN {
            if line.contains(word) {
                let text = format!("{word:?} must not be in the repository");
                problems.push(Problem::in_line(file, index, text));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    #[test]
    fn every_word_is_found_in_any_text_file() {
        for word in FORBIDDEN {
            let content = format!("fine\nsee {}\n", word.to_ascii_uppercase());
            let (_folder, tree) = tree(&[("data/a.py", &content)]);
            let problems = check(&tree).unwrap();
            assert_eq!(problems.len(), 1, "{word}");
            assert!(problems[0].to_string().starts_with("data/a.py:2: "));
        }
    }

    #[test]
    fn this_file_is_clean() {
        assert!(check_text("words.rs", include_str!("words.rs")).is_empty());
    }
}
