//! What selectors select.

use std::fmt::Write;

use fmrai_core::graph::Graph;
use fmrai_core::selector::{Selector, labels, select};
use fmrai_core::structure::Structure;

use crate::commands::count;
use crate::error::Error;

pub(super) fn text(
    graph: &dyn Graph,
    structure: &Structure,
    selectors: &[Selector],
) -> Result<String, Error> {
    let selected = select(graph, structure, selectors)?;
    let mut text = format!("selected: {}\n", count(selected.len() as u64, "tensor"));
    for found in selected {
        let Some(tensor) = graph.tensor(found.tensor) else { continue };
        let sizes: Vec<usize> = tensor.shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
        let labels = match &found.slice {
            Some(_) => {
                let whole = labels(graph, structure, found.tensor).swap_remove(0);
                format!("{} of {whole}", found.name)
            }
            None if found.labels.contains(&found.name) => found.labels.join(", "),
            None => [&[found.name], found.labels.as_slice()].concat().join(", "),
        };
        let part = found.slice.as_ref().and_then(|slice| slice.shape(&sizes)).unwrap_or(sizes);
        let _ = write!(text, "  {} {labels}: {} {part:?}", found.tensor, tensor.dtype);
        match graph.producer(found.tensor) {
            None => text.push_str(", an input"),
            Some(operation) => {
                let _ = write!(text, ", {}", operation.name);
                if !operation.module.is_empty() {
                    let _ = write!(text, " in {}", operation.module);
                }
                if let Some(source) = &operation.source {
                    let _ = write!(text, " at {source}");
                }
            }
        }
        text.push_str(if tensor.on_request { ", made on request\n" } else { "\n" });
    }
    Ok(text)
}
