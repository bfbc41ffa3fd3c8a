//! The module tree.

use std::collections::BTreeMap;
use std::fmt::Write;

use fmrai_core::graph::Graph;

use crate::commands::count;

/// Depth of the tree that is shown.
const DEPTH: usize = 4;

/// The modules that ran, each with the number of operations in it and below it.
pub(super) fn text(graph: &dyn Graph) -> String {
    let mut modules: BTreeMap<Vec<ModulePart>, u64> = BTreeMap::new();
    for operation in graph.operations().iter().filter(|o| !o.module.is_empty()) {
        let parts: Vec<ModulePart> = operation.module.split('.').map(ModulePart::of).collect();
        for depth in 1..=parts.len().min(DEPTH) {
            *modules.entry(parts[..depth].to_vec()).or_default() += 1;
        }
    }
    if modules.is_empty() {
        return "modules: the model does not tell\n".to_owned();
    }
    let mut text = "modules:\n".to_owned();
    for (parts, operations) in &modules {
        let name = parts.last().map(|p| p.1.as_str()).unwrap_or_default();
        let _ = writeln!(text, "{}{name}: {}", "  ".repeat(parts.len()), count(*operations, "operation"));
    }
    text
}

/// A part of a module path; numbers sort as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ModulePart(Option<u64>, String);

impl ModulePart {
    fn of(part: &str) -> Self {
        Self(part.parse().ok(), part.to_owned())
    }
}
