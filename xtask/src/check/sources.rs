//! Tidiness of the sources: module docs, length, blanks, where `unsafe` may be, settings of property tests, and lints that
//! every member inherits.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cargo::Metadata;
use crate::project::Project;

use super::problem::Problem;
use super::tree::Tree;

/// A file that is longer has more than one reason to exist.
const MAX_LINES: usize = 600;

/// The only places for `unsafe`: calls into libtorch, the way between its two handles, an address on a device, the ABI of plugins, and
/// the call that loads one.
const UNSAFE_ALLOWED: [&str; 6] = [
    "fmrai-torch/src/ffi/",
    "fmrai-models/src/convert.rs",
    "fmrai-core/src/tensor/device.rs",
    "fmrai-core/src/abi/",
    "fmrai-host/src/plugins/library.rs",
    "fmrai-python/src/boundary.rs",
];

/// In two parts, so that this file passes its own check.
const UNSAFE: &str = concat!("uns", "afe");
const PROPERTIES: &str = concat!("prop", "test! {");

/// Checks every .rs and .md file.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.files() {
        let rust = file.ends_with(".rs");
        if !rust && !file.ends_with(".md") {
            continue;
        }
        let Some(text) = tree.text(file)? else {
            problems.push(Problem::of_file(file, "is not UTF-8 text"));
            continue;
        };
        problems.extend(check_blanks(file, &text));
        if rust {
            problems.extend(check_rust(file, &text));
        }
    }
    Ok(problems)
}

fn check_blanks(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.trim_end() != line {
            problems.push(Problem::in_line(file, index, "blanks at the end of the line"));
        }
        if line.contains('\t') {
            problems.push(Problem::in_line(file, index, "a tab: use spaces"));
        }
    }
    problems
}

fn check_rust(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        let text = "must begin with a //! line that says what the file is for";
        problems.push(Problem::in_line(file, 0, text));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let text = format!("{lines} lines, {MAX_LINES} are allowed: split it by reason to exist");
        problems.push(Problem::of_file(file, text));
    }
    if !UNSAFE_ALLOWED.iter().any(|allowed| file.starts_with(allowed)) {
        for (index, line) in text.lines().enumerate() {
            if has_unsafe(line) {
                let text = format!("{UNSAFE} is allowed in {} alone", UNSAFE_ALLOWED.join(", "));
                problems.push(Problem::in_line(file, index, text));
            }
        }
    }
    problems.extend(check_properties(file, text));
    problems
}

/// Property tests have fixed random numbers and keep what failed.
fn check_properties(file: &str, text: &str) -> Vec<Problem> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &str| line.trim_start().ends_with(PROPERTIES) && !line.contains("//");
    let without = |(index, pair): (usize, &[&str])| {
        let wrong = begins(pair[0]) && !pair[1].contains("property_config!(");
        wrong.then(|| {
            let text = "property tests begin with #![proptest_config(fmrai_core::property_config!(CASES))]";
            Problem::in_line(file, index, text)
        })
    };
    lines.windows(2).enumerate().filter_map(without).collect()
}

/// The keyword in code: a word of its own, before a comment, and followed by what may follow it in code. So prose in a
/// string passes, and so does the name of the lint.
fn has_unsafe(line: &str) -> bool {
    const FOLLOWS: [&str; 6] = ["{", "(", "fn ", "impl", "extern ", "trait "];
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(UNSAFE).any(|(start, word)| {
        let before = code[..start].chars().next_back();
        let after = &code[start + word.len()..];
        let rest = after.trim_start();
        let begins = before.is_none_or(|character| !is_name(character));
        let ends = !after.starts_with(is_name);
        begins && ends && (rest.is_empty() || FOLLOWS.iter().any(|next| rest.starts_with(next)))
    })
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[derive(Deserialize)]
struct Manifest {
    lints: Option<Lints>,
}

#[derive(Deserialize)]
struct Lints {
    workspace: Option<bool>,
}

/// Every member inherits the lints of the workspace.
pub(crate) fn check_manifests(project: &Project, metadata: &Metadata) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for package in &metadata.packages {
        let shown = project.relative(&package.manifest_path).display().to_string();
        let text = std::fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("{shown} cannot be read"))?;
        problems.extend(check_manifest(&shown, &text)?);
    }
    Ok(problems)
}

fn check_manifest(file: &str, text: &str) -> Result<Option<Problem>> {
    let manifest: Manifest = toml::from_str(text).with_context(|| format!("{file} is not a manifest"))?;
    let inherits = manifest.lints.and_then(|lints| lints.workspace) == Some(true);
    Ok((!inherits).then(|| {
        Problem::of_file(
            file,
            "must have `workspace = true` under [lints], to inherit the lints of the workspace",
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    fn found(file: &str, content: &str) -> Vec<String> {
        let (_folder, tree) = tree(&[(file, content)]);
        check(&tree).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tidy_file_passes() {
        assert!(found("a/lib.rs", "//! Doc.\n\nfn main() {}\n").is_empty());
        assert!(found("a.md", "# Title\n").is_empty());
        assert!(found("a.py", "x = 1 \t\n").is_empty());
    }

    #[test]
    fn each_untidiness_is_found() {
        for (file, content, expected) in [
            ("a.rs", "fn main() {}\n", "a.rs:1: must begin with"),
            ("a.rs", "", "a.rs:1: must begin with"),
            ("a.rs", "//! Doc.\nfn a() {} \n", "a.rs:2: blanks"),
            ("a.rs", "//! Doc.\n\tfn a() {}\n", "a.rs:2: a tab"),
            ("a.md", "text  \n", "a.md:1: blanks"),
            ("a.md", "text\r\n", "a.md:1: blanks"),
        ] {
            let problems = found(file, content);
            assert_eq!(problems.len(), 1, "{content:?}: {problems:?}");
            assert!(problems[0].starts_with(expected), "{problems:?}");
        }
    }

    #[test]
    fn property_tests_without_our_settings_are_found() {
        let text = |config: &str| format!("//! Doc.\n\n{PROPERTIES}\n    {config}\n}}\n");
        assert!(found("a.rs", &text("#![proptest_config(fmrai_core::property_config!(8))]")).is_empty());
        let problems = found("a.rs", &text("#[test]"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("a.rs:3: property tests begin with"), "{problems:?}");
    }

    #[test]
    fn long_files_are_found() {
        let fits = format!("//! Doc.\n{}", "\n".repeat(MAX_LINES - 1));
        assert!(found("a.rs", &fits).is_empty());
        let problems = found("a.rs", &format!("{fits}\n"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("601 lines"), "{problems:?}");
    }

    #[test]
    fn the_keyword_is_found_in_code_only() {
        for (code, expected) in [
            ("KEY { f() }", true),
            ("let x = KEY{f()};", true),
            ("pub KEY fn f() {}", true),
            ("KEY impl<T> Send for T {}", true),
            ("#[KEY(no_mangle)]", true),
            ("    KEY", true),
            ("#![deny(KEY_code)]", false),
            ("// KEY { }", false),
            ("\"pickles are KEY to load\"", false),
            ("not_KEY(1)", false),
        ] {
            let line = code.replace("KEY", UNSAFE);
            assert_eq!(has_unsafe(&line), expected, "{line}");
        }
    }

    #[test]
    fn the_keyword_is_allowed_in_its_places() {
        let content = format!("//! Doc.\n{UNSAFE} fn f() {{}}\n");
        assert!(found("fmrai-torch/src/ffi/call.rs", &content).is_empty());
        let problems = found("fmrai-core/src/graph.rs", &content);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("fmrai-core/src/graph.rs:2: "));
    }

    #[test]
    fn lints_have_to_be_inherited() {
        let good = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
        assert_eq!(check_manifest("Cargo.toml", good).unwrap(), None);
        for bad in [
            "[package]\nname = \"a\"\n",
            "[lints]\nworkspace = false\n",
            "[lints.rust]\nmissing_docs = \"warn\"\n",
        ] {
            assert!(check_manifest("Cargo.toml", bad).unwrap().is_some());
        }
        assert!(check_manifest("Cargo.toml", "[").is_err());
    }
}
