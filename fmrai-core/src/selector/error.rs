//! Selectors that select nothing.

use super::Selector;
use crate::suggest::nearest;

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No block has the role.
    #[error("selector `{selector}`: the model has no {role}{near}; it has {}", listed(roles))]
    Role {
        /// The selector.
        selector: Selector,
        /// The role asked for.
        role: String,
        /// ` (did you mean ...)`, or nothing.
        near: String,
        /// The roles there are.
        roles: Vec<String>,
    },
    /// A layer that does not exist.
    #[error("selector `{selector}`: there is no {role}[{layer}], the layers of {role} are {there}")]
    Layer {
        /// The selector.
        selector: Selector,
        /// The role.
        role: String,
        /// The layer asked for.
        layer: u32,
        /// The layers there are, as a selector has them.
        there: String,
    },
    /// The blocks have no such part.
    #[error("selector `{selector}`: {block} has no {part}{near}; its parts are {}", listed(parts))]
    Part {
        /// The selector.
        selector: Selector,
        /// The first block that lacks it, e.g. `attention[0]`.
        block: String,
        /// The part asked for.
        part: String,
        /// ` (did you mean ...)`, or nothing.
        near: String,
        /// The parts there are.
        parts: Vec<String>,
    },
    /// No module that ran has such a path.
    #[error("selector `{selector}`: no module of this path has run{near}")]
    Module {
        /// The selector.
        selector: Selector,
        /// What is near, or nothing.
        near: String,
    },
    /// No tensor stands for the hook name.
    #[error("selector `{selector}`: {what}")]
    Hook {
        /// The selector.
        selector: Selector,
        /// What the model lacks, or which names there are.
        what: String,
    },
    /// The model has no such head or neuron, or it is not known where it is.
    #[error("selector `{selector}`: {what}")]
    Unit {
        /// The selector.
        selector: Selector,
        /// What the model lacks.
        what: String,
    },
    /// The graph has no tensor with this id.
    #[error("selector `{selector}`: the graph has the tensors #0 to #{last}")]
    Id {
        /// The selector.
        selector: Selector,
        /// The largest id.
        last: usize,
    },
    /// No tensor has this name.
    #[error("selector `{selector}`: no tensor has this name{near}")]
    Name {
        /// The selector.
        selector: Selector,
        /// What is near, or nothing.
        near: String,
    },
    /// It is a weight, which is in the model's file and needs no run.
    #[error("selector `{selector}`: {what} is a weight of the model, not an activation")]
    Weight {
        /// The selector.
        selector: Selector,
        /// What was selected.
        what: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none that is known".to_owned() } else { names.join(", ") }
}

/// ` (did you mean ...?)` for the nearest of `names`, up to three; or nothing where none is near.
pub(super) fn near<'a>(
    found: &str,
    names: impl IntoIterator<Item = &'a str>,
    write: impl Fn(&str) -> String,
) -> String {
    let near = nearest(found, names, 2);
    let near: Vec<String> = near.into_iter().take(3).map(|name| format!("`{}`", write(name))).collect();
    if near.is_empty() { String::new() } else { format!(" (did you mean {}?)", near.join(" or ")) }
}
