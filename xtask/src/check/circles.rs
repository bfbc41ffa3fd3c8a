//! Files of a crate do not import each other in a circle: whoever reads one can then read what it stands on first.
//!
//! Files that still do are listed in `circles.txt`. No other file may join them, and one that has left its circle leaves the list.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::modules::{Crate, Edge};
use super::problem::Problem;
use super::tree::Tree;

/// Names told for an arrow of a circle; more would hide the others.
const NAMES_TOLD: usize = 4;

/// The list of files that are in a circle still, from the root.
const LIST: &str = "xtask/src/check/circles.txt";

/// Checks every crate of the tree: each `src/lib.rs`, and each `src/main.rs` with its modules.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let list = if tree.has(LIST) { tree.text(LIST)?.unwrap_or_default() } else { String::new() };
    let known: BTreeSet<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let mut left = known.clone();
    let mut problems = Vec::new();
    for ending in ["/src/lib.rs", "/src/main.rs"] {
        for root in tree.ending_in(ending) {
            let edges = Crate::read(tree, root)?.edges();
            let circles = circles(&edges);
            left.retain(|file| !circles.iter().flatten().any(|other| other == file));
            problems.extend(problems_of(&edges, &circles, &known));
        }
    }
    let done =
        |file| Problem::of_file(LIST, format!("{file} is in no circle any more: take it off the list"));
    problems.extend(left.into_iter().map(done));
    Ok(problems)
}

/// Circles with a file that is not known to be in one.
fn problems_of(edges: &BTreeSet<Edge>, circles: &[Vec<&str>], known: &BTreeSet<&str>) -> Vec<Problem> {
    circles
        .iter()
        .filter(|files| files.iter().any(|file| !known.contains(file)))
        .map(|files| {
            let mut arrows: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
            for edge in
                edges.iter().filter(|e| files.contains(&e.from.as_str()) && files.contains(&e.to.as_str()))
            {
                arrows.entry((&edge.from, &edge.to)).or_default().push(&edge.name);
            }
            let told: Vec<String> = arrows
                .iter()
                .map(|((from, to), names)| {
                    let more = if names.len() > NAMES_TOLD { ", ..." } else { "" };
                    let names = names.iter().take(NAMES_TOLD).copied().collect::<Vec<_>>().join(", ");
                    format!("\n  {from} takes {names}{more} from {to}")
                })
                .collect();
            let text = format!("{} files import each other in a circle:{}", files.len(), told.concat());
            Problem::of_file(files[0], text)
        })
        .collect()
}

/// Each circle as its files, sorted.
fn circles(edges: &BTreeSet<Edge>) -> Vec<Vec<&str>> {
    let mut graph = DiGraph::new();
    let mut nodes = BTreeMap::new();
    for edge in edges {
        let [from, to] =
            [&edge.from, &edge.to].map(|f| *nodes.entry(f).or_insert_with(|| graph.add_node(f.as_str())));
        graph.add_edge(from, to, ());
    }
    let found = tarjan_scc(&graph).into_iter().filter(|nodes| nodes.len() > 1);
    let mut circles: Vec<Vec<&str>> =
        found.map(|nodes| nodes.iter().map(|node| graph[*node]).collect()).collect();
    circles.iter_mut().for_each(|files| files.sort_unstable());
    circles.sort();
    circles
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::tree;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let (_folder, tree) = tree(files);
        check(&tree).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_direction_passes() {
        let files = [
            ("a/src/lib.rs", "mod one; mod two;"),
            ("a/src/one.rs", "use crate::two::g; fn f() { g() }"),
            ("a/src/two.rs", "pub fn g() {}"),
        ];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn a_circle_is_told_with_what_ties_it() {
        let files = [
            ("a/src/lib.rs", "mod one; mod two; mod three; mod apart;"),
            ("a/src/one.rs", "use crate::two::g; pub fn f() { g() }"),
            ("a/src/two.rs", "pub fn g() { super::three::h() }"),
            ("a/src/three.rs", "use super::one; pub fn h() { one::f() }"),
            ("a/src/apart.rs", "use super::one; pub fn h() { one::f() }"),
        ];
        let expected = "a/src/one.rs: 3 files import each other in a circle:\n  \
                        a/src/one.rs takes g from a/src/two.rs\n  \
                        a/src/three.rs takes f from a/src/one.rs\n  \
                        a/src/two.rs takes h from a/src/three.rs";
        assert_eq!(found(&files), [expected]);
    }

    #[test]
    fn files_on_the_list_are_let_alone_until_they_are_in_no_circle() {
        let files = [
            ("a/src/lib.rs", "mod one; mod two; mod three;"),
            ("a/src/one.rs", "pub fn f() { super::two::g() }"),
            ("a/src/two.rs", "pub fn g() { super::one::f() }"),
            ("a/src/three.rs", "pub fn h() {}"),
        ];
        let with = |list| found(&[&files[..], &[(LIST, list)]].concat());
        assert!(with("# why\na/src/one.rs\na/src/two.rs\n").is_empty());
        assert_eq!(with("a/src/one.rs\n").len(), 1);
        let left = with("a/src/one.rs\na/src/three.rs\na/src/two.rs\n");
        assert_eq!(left, [format!("{LIST}: a/src/three.rs is in no circle any more: take it off the list")]);
    }

    #[test]
    fn a_parent_and_its_child_can_be_a_circle() {
        let files = [
            ("a/src/main.rs", "mod child; struct Shared; fn main() { child::run() }"),
            ("a/src/child.rs", "use super::Shared; pub fn run() { let _ = Shared; }"),
        ];
        assert_eq!(found(&files).len(), 1);
    }
}
