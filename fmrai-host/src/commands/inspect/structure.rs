//! What is told of the blocks that were found.

use std::fmt::Write;

use fmrai_core::structure::Structure;
use serde_json::{Value, json};

use crate::commands::count;

pub(super) fn text(structure: &Structure) -> String {
    let mut text = format!("structure: {}\n", count(structure.attention.len() as u64, "attention block"));
    for block in &structure.attention {
        let word = |value: Value| value.as_str().unwrap_or_default().replace('_', " ");
        let (kind, form) = (word(json!(block.kind)), word(json!(block.form)));
        let heads = match block.key_value_heads {
            shared if shared != block.heads => {
                format!("{} heads on {shared} of keys and values", block.heads)
            }
            _ => count(block.heads as u64, "head"),
        };
        let module = if block.module.is_empty() { String::new() } else { format!(" in {}", block.module) };
        let ids = format!("probabilities {}, context {}", block.probabilities, block.context);
        let _ = writeln!(text, "  layer {}: {kind}, {form}, {heads}, {ids}{module}", block.layer);
    }
    text
}
