//! What is told of a graph.

use std::collections::BTreeMap;
use std::fmt::Write;

use fmrai_core::graph::{Graph, fingerprint};

use crate::commands::count;

/// Kinds of operation that are listed; the rest is counted.
const KINDS: usize = 10;

/// `how` says where the graph comes from.
pub(super) fn text(graph: &dyn Graph, how: &str) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for operation in graph.operations() {
        *kinds.entry(&operation.name).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let mut text = format!(
        "graph: {}, {}, {how}, fingerprint {}\n",
        count(graph.operations().len() as u64, "operation"),
        count(graph.tensors().len() as u64, "tensor"),
        fingerprint(graph)
    );
    for (name, n) in kinds.iter().take(KINDS) {
        let _ = writeln!(text, "  {n:>5} {name}");
    }
    if let Some(rest) = kinds.get(KINDS..).filter(|rest| !rest.is_empty()) {
        let operations: u64 = rest.iter().map(|(_, n)| n).sum();
        let _ = writeln!(text, "  {operations:>5} of {}", count(rest.len() as u64, "other kind"));
    }
    text
}
