//! What draws knows the report types of the core alone: a figure is data, whatever was measured and however.

use anyhow::Result;

use super::problem::Problem;
use super::tree::Tree;

/// Where the rule holds.
const SOURCES: &str = "fmrai-draw/src/";
/// What may be named of the core; the macro is for tests.
const ALLOWED: [&str; 2] = ["report", "property_config!"];

/// In two parts, so that a file with tests of this rule is not taken for one that breaks it.
const CORE: &str = concat!("fmrai", "_core::");

/// Checks every file that draws.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.files().filter(|file| file.starts_with(SOURCES) && file.ends_with(".rs")) {
        let text = tree.text(file)?.unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let named = line.split(CORE).skip(1);
            if named.into_iter().any(|name| !ALLOWED.iter().any(|allowed| name.starts_with(allowed))) {
                problems.push(Problem::in_line(
                    file,
                    index,
                    "what draws knows the report types of the core alone",
                ));
            }
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    #[test]
    fn other_parts_of_the_core_are_found() {
        let line = |name: &str| format!("//! Doc.\nuse {CORE}{name};\n");
        let found = |file: &str, name: &str| {
            let (_folder, tree) = tree(&[(file, &line(name))]);
            check(&tree).unwrap().len()
        };
        assert_eq!(found("fmrai-draw/src/a.rs", "report::Figure"), 0);
        assert_eq!(found("fmrai-draw/src/a.rs", "graph::Graph"), 1);
        assert_eq!(found("fmrai-draw/src/a.rs", "{report, graph}"), 1);
        assert_eq!(found("fmrai-host/src/a.rs", "graph::Graph"), 0);
    }
}
