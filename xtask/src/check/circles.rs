//! Files of a crate never import each other in a circle: whoever reads one can then read what it stands on first.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::modules::{Crate, Edge};
use super::problem::Problem;
use super::tree::Tree;

/// Names told for an arrow of a circle; more would hide the others.
const NAMES_TOLD: usize = 4;

/// Checks every crate of the tree: each `src/lib.rs`, and each `src/main.rs` with its modules.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for ending in ["/src/lib.rs", "/src/main.rs"] {
        for root in tree.ending_in(ending) {
            problems.extend(problems_of(&Crate::read(tree, root)?.edges()));
        }
    }
    Ok(problems)
}

fn problems_of(edges: &BTreeSet<Edge>) -> Vec<Problem> {
    circles(edges)
        .into_iter()
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
    fn a_parent_and_its_child_can_be_a_circle() {
        let files = [
            ("a/src/main.rs", "mod child; struct Shared; fn main() { child::run() }"),
            ("a/src/child.rs", "use super::Shared; pub fn run() { let _ = Shared; }"),
        ];
        assert_eq!(found(&files).len(), 1);
    }
}
