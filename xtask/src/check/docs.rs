//! Paths that the documentation names must exist.
//!
//! Checked are README.md, ARCHITECTURE.md, CHANGELOG.md and every .md file under docs and examples, outside fenced blocks:
//!
//! - the target of a link or picture that has no scheme: relative to its file, as a reader's browser takes it, or from the
//!   root if it begins with a slash; what follows `#` is not looked at;
//! - a code span that looks like a path: only letters, digits, `_`, `-`, `.` and `/`, with a slash inside, and either its
//!   first part is a file or folder of the root, or it begins with `./` or `../`, or it ends like a source file
//!   (see [`SOURCE_ENDINGS`]). It may be relative to the root or to its file; `:12` at the end is taken as a line.
//!
//! Not looked at is what a run or a build produces (see [`PRODUCED`]). Globs and placeholders have characters that no
//! path-like span has, and so need no rule.

use anyhow::Result;

use super::markdown::{self, Mention};
use super::problem::Problem;
use super::tree::Tree;

/// Endings that make a span with a slash a path wherever it begins.
const SOURCE_ENDINGS: [&str; 9] = [".rs", ".toml", ".md", ".py", ".c", ".cc", ".cpp", ".h", ".sh"];

/// Folders that set-up, runs and builds make.
const PRODUCED: [&str; 4] = [".fmrai", "runs", "target", "examples/runs"];

/// Checks every document of the tree.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.ending_in(".md").filter(|file| is_document(file)) {
        if let Some(text) = tree.text(file)? {
            problems.extend(check_text(tree, file, &text));
        }
    }
    Ok(problems)
}

fn is_document(file: &str) -> bool {
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].contains(&file)
        || file.starts_with("docs/")
        || file.starts_with("examples/")
}

fn check_text(tree: &Tree, file: &str, text: &str) -> Vec<Problem> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    markdown::mentions(text)
        .into_iter()
        .filter_map(|(line, mention)| {
            let (named, candidates) = match mention {
                Mention::Link(target) => {
                    let candidate = link_path(folder, &target)?;
                    (target, vec![candidate])
                }
                Mention::Code(span) => {
                    let candidates = span_paths(tree, folder, &span)?;
                    (span, candidates)
                }
            };
            let exists = candidates.iter().any(|path| is_produced(path) || exists(tree, path));
            (!exists)
                .then(|| Problem::in_line(file, line, format!("{named} does not exist in this checkout")))
        })
        .collect()
}

/// The path from the root of a link's target; none if it is not one of ours.
fn link_path(folder: &str, target: &str) -> Option<String> {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains(':') {
        return None;
    }
    Some(match path.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None => join(folder, path),
    })
}

/// The paths from the root that a code span may mean; none if it does not look like a path.
fn span_paths(tree: &Tree, folder: &str, span: &str) -> Option<Vec<String>> {
    let path = match span.rsplit_once(':') {
        Some((path, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => path,
        _ => span,
    };
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    // Three dots stand for something left out.
    if !plain || !path.contains('/') || path.starts_with('/') || path.contains("...") {
        return None;
    }
    let first = path.split('/').next().unwrap_or_default();
    let looks_like_a_path = [".", ".."].contains(&first)
        || tree.has(first)
        || SOURCE_ENDINGS.iter().any(|ending| path.ends_with(ending));
    looks_like_a_path.then(|| vec![join("", path), join(folder, path)])
}

/// A path that ends in a slash has to be a folder.
fn exists(tree: &Tree, path: &str) -> bool {
    match path.strip_suffix('/') {
        Some(folder) => tree.has_folder(folder),
        None => tree.has(path),
    }
}

fn is_produced(path: &str) -> bool {
    PRODUCED.iter().any(|produced| {
        path.strip_prefix(produced).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Joins and resolves `.` and `..`; keeps a slash at the end, and a `..` that would leave the root.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut joined = parts.join("/");
    if path.ends_with('/') && !joined.is_empty() {
        joined.push('/');
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    const FILES: [(&str, &str); 5] = [
        ("README.md", ""),
        ("fmrai-core/src/graph/mod.rs", ""),
        ("docs/plan.md", ""),
        ("docs/figures/a.svg", ""),
        ("examples/minilm.json", "{}"),
    ];

    fn dead(file: &str, text: &str) -> Vec<String> {
        let (_folder, tree) = tree(&FILES);
        check_text(&tree, file, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn living_paths_pass() {
        for text in [
            "`fmrai-core/src/graph/mod.rs`, `fmrai-core/src/`, `examples/minilm.json`",
            "`fmrai-core/src/graph/mod.rs:12`",
            "[plan](plan.md#format) and [it](../README.md) and [root](/docs/plan.md)",
            "`figures/a.svg` ![a](figures/a.svg) [figures](figures/) [top](#top)",
            "[web](https://example.org/x.md) <https://example.org> [m](mailto:a@b.c)",
        ] {
            assert!(dead("docs/x.md", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn dead_paths_are_named_with_their_line() {
        for (text, named) in [
            ("`fmrai-core/src/gone.rs`", "fmrai-core/src/gone.rs"),
            ("`gone/src/lib.rs`", "gone/src/lib.rs"),
            ("`examples/gone.json`", "examples/gone.json"),
            ("`./gone`", "./gone"),
            ("[plan](gone.md)", "gone.md"),
            ("[plan](docs/plan.md)", "docs/plan.md"),
            ("![a](figures/gone.svg)", "figures/gone.svg"),
            ("`docs/plan.md/`", "docs/plan.md/"),
            ("[out](../../gone.md)", "../../gone.md"),
        ] {
            let problems = dead("docs/x.md", &format!("first line\n{text}\n"));
            let expected = format!("docs/x.md:2: {named} does not exist in this checkout");
            assert_eq!(problems, [expected], "{text}");
        }
    }

    #[test]
    fn what_is_no_path_of_ours_is_let_alone() {
        for text in [
            "`runs/minilm/summary.json` `.fmrai/libtorch` `target/release/fmrai`",
            "`examples/runs/x` [report](../examples/runs/minilm/report.html)",
            "`examples/*.json` `docs/<name>.md` `fmrai-core/.../mod.rs` `docs/{a,b}.md`",
            "`application/json` `and/or` `aten::linear` `summary.json` `/usr/lib/libtorch.so`",
            "`tables/heads.csv` `cargo test -p fmrai-core/x`",
            "```\n`fmrai-core/src/gone.rs`\n```",
        ] {
            assert!(dead("docs/x.md", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn only_documents_are_read() {
        for (file, expected) in [
            ("README.md", true),
            ("docs/deep/a.md", true),
            ("examples/plugin/README.md", true),
            ("fmrai-core/NOTES.md", false),
        ] {
            assert_eq!(is_document(file), expected, "{file}");
        }
    }

    #[test]
    fn a_whole_tree_is_checked() {
        let (_folder, tree) = tree(&[("README.md", "see `docs/gone.md`"), ("docs/a.md", "")]);
        assert_eq!(check(&tree).unwrap().len(), 1);
    }
}
