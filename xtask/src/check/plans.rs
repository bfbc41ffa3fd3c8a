//! The example plans are JSON. That they are good plans is for the tests of the host.

use anyhow::Result;
use serde::de::IgnoredAny;

use super::problem::Problem;
use super::tree::Tree;

/// Parses every .json file under examples.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.ending_in(".json").filter(|file| file.starts_with("examples/")) {
        let Some(text) = tree.text(file)? else {
            problems.push(Problem::of_file(file, "is not text"));
            continue;
        };
        if let Err(error) = serde_json::from_str::<IgnoredAny>(&text) {
            let index = error.line().saturating_sub(1);
            problems.push(Problem::in_line(file, index, format!("is not JSON: {error}")));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    #[test]
    fn a_broken_plan_is_found_with_its_line() {
        let (_folder, tree) = tree(&[
            ("examples/good.json", r#"{"format": 1}"#),
            ("examples/bad.json", "{\n  \"format\": 1,\n}\n"),
            ("tests/elsewhere.json", "{"),
        ]);
        let problems = check(&tree).unwrap();
        assert_eq!(problems.len(), 1);
        let text = problems[0].to_string();
        assert!(text.starts_with("examples/bad.json:3: is not JSON"), "{text}");
    }
}
