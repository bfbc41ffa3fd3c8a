//! What is told of a model itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use fmrai_torch::model::Model;

use crate::commands::{count, grouped};

pub(super) fn text(model: &dyn Model) -> String {
    let info = model.info();
    let mut text = format!("model: {} ({}) from {}\n", info.architecture, info.source, info.path.display());
    for file in &info.files {
        let sha = file.sha256.get(..12).unwrap_or(&file.sha256);
        let _ = writeln!(text, "  {}: {} bytes, sha256 {sha}...", file.name, grouped(file.bytes));
    }
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (_, tensor) in model.parameters() {
        let kind = tensor.dtype();
        let bytes = tensor.numel() as u64 * kind.size().unwrap_or(0) as u64;
        let entry = kinds.entry(kind.to_string()).or_default();
        *entry = (entry.0 + 1, entry.1 + bytes);
    }
    let _ = writeln!(text, "parameters: {} weights, computed in {}", grouped(info.parameters), info.dtype);
    if let Some(quantisation) = &info.quantisation {
        let stored: Vec<String> = quantisation
            .weights
            .iter()
            .map(|(kind, weights)| format!("{kind}: {}", grouped(*weights)))
            .collect();
        let (bits, stored) = (quantisation.bits_per_weight, stored.join(", "));
        let _ = writeln!(text, "  quantised, {bits:.2} bits a weight on average; weights by type: {stored}");
    }
    if info.remade_bytes > 0 {
        let bytes = grouped(info.remade_bytes);
        let _ = writeln!(
            text,
            "  {bytes} bytes of them are read from the files again in each pass, for want of memory"
        );
    }
    for (kind, (tensors, bytes)) in kinds {
        // Of exotic types the size is not known here.
        let bytes = if bytes > 0 { format!(", {} bytes", grouped(bytes)) } else { String::new() };
        let _ = writeln!(text, "  {kind}: {}{bytes}", count(tensors, "tensor"));
    }
    let optional = |required| if required { "" } else { ", optional" };
    let inputs: Vec<String> =
        model.inputs().iter().map(|input| format!("  {input}{}\n", optional(input.required))).collect();
    let _ = write!(text, "inputs: {}\n{}", count(inputs.len() as u64, "tensor"), inputs.concat());
    if let Some(longest) = info.max_tokens {
        let _ = writeln!(text, "longest input: {longest} tokens");
    }
    if !info.unused_weights.is_empty() {
        let _ = writeln!(text, "not used: {}", info.unused_weights.join(", "));
    }
    for warning in &info.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for weight in &info.non_finite_weights {
        let (nan, infinite) = (weight.nan, weight.infinite);
        let _ = writeln!(text, "warning: {} holds {nan} NaN and {infinite} infinite numbers", weight.name);
    }
    text
}
