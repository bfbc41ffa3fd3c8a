//! What selectors select.

use std::fmt::Write;

use fmrai_core::graph::Graph;
use fmrai_core::selector::{Selector, select};
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
        let labels = found.labels.join(", ");
        let _ = write!(text, "  {} {labels}: {} {:?}", found.tensor, tensor.dtype, tensor.shape);
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
