//! `fmrai inspect`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use fmrai_core::data::{DataContext, DataSource};
use fmrai_core::graph::{DotOptions, Graph, fingerprint, to_dot, to_json};
use fmrai_core::model::{LoadContext, Model, ModelSource};
use fmrai_core::structure::Structure;
use serde_json::{Value, json};
use tch::{Device, Kind};

use super::{count, grouped};
use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue, Parity};
use crate::results::write;
use crate::run::Watched;
use crate::terminal;

/// What a model is run on where nothing else is asked for.
pub(crate) const PROBE: &str = "The quick brown fox jumps over the lazy dog.";
/// Kinds of operation that are listed; the rest is counted.
const KINDS: usize = 10;
/// Depth of the module tree that is shown.
const DEPTH: usize = 4;

/// Runs a model on a short text and tells what it is made of.
pub(crate) fn inspect(
    path: &Path,
    dot: Option<&Path>,
    json: Option<&Path>,
    text: &str,
) -> Result<Exit, Error> {
    let model = load(path)?;
    let inputs = probe(model.as_ref(), text)?;
    let graph = Watched::new(model.as_ref(), Parity::Off)?.discover(&inputs)?;
    let structure = Structure::of(graph.as_ref());
    if let Some(file) = dot {
        let info = model.info();
        let title = format!("{} {}", info.architecture, info.path.display());
        let options = DotOptions { title, structure: Some(structure.clone()), ..DotOptions::default() };
        write(file, to_dot(graph.as_ref(), &options).as_bytes())?;
    }
    if let Some(file) = json {
        let document =
            to_json(graph.as_ref()).map_err(|e| Error::Internal(format!("the graph as JSON: {e}")))?;
        write(file, document.as_bytes())?;
    }
    terminal::answer(
        &[of_model(model.as_ref()), of_graph(graph.as_ref()), of_structure(&structure), tree(graph.as_ref())]
            .concat(),
    )?;
    Ok(Exit::Success)
}

/// The model in a folder, or that of a plan.
fn load(path: &Path) -> Result<Box<dyn Model>, Error> {
    if path.is_dir() {
        let source = json!({ "type": "hf_checkpoint", "path": path });
        let source: Box<dyn ModelSource> =
            serde_json::from_value(source).map_err(|e| Error::Internal(e.to_string()))?;
        return Ok(source.load(&LoadContext { base: Path::new(""), device: Device::Cpu })?);
    }
    let plan = plan::read(path, &Catalogue::linked()?)?;
    Ok(plan.model.load(&LoadContext { base: &plan.base, device: Device::Cpu })?)
}

/// The inputs that a data source makes of one text.
fn probe(model: &dyn Model, text: &str) -> Result<fmrai_core::model::NamedTensors, Error> {
    let internal = |e: std::io::Error| Error::Internal(format!("the probe text: {e}"));
    let folder = tempfile::tempdir().map_err(internal)?;
    std::fs::write(folder.path().join("probe.txt"), text.replace(['\r', '\n'], " ")).map_err(internal)?;
    let source: Box<dyn DataSource> = serde_json::from_value(json!({ "type": "text", "path": "probe.txt" }))
        .map_err(|e| Error::Internal(e.to_string()))?;
    let context = DataContext {
        base: folder.path(),
        tokenizer: model.tokenizer(),
        max_tokens: model.info().max_tokens,
    };
    let first = source.open(&context)?.next_batch()?;
    first.map(|batch| batch.inputs).ok_or_else(|| Error::Usage("--text has no tokens in it".to_owned()))
}

fn of_model(model: &dyn Model) -> String {
    let info = model.info();
    let mut text = format!("model: {} ({}) from {}\n", info.architecture, info.source, info.path.display());
    for file in &info.files {
        let sha = file.sha256.get(..12).unwrap_or(&file.sha256);
        let _ = writeln!(text, "  {}: {} bytes, sha256 {sha}...", file.name, grouped(file.bytes));
    }
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (_, tensor) in model.parameters() {
        let kind = tensor.kind();
        let bytes = tensor.numel() as u64 * kind.elt_size_in_bytes() as u64;
        let entry = kinds.entry(dtype(kind)).or_default();
        *entry = (entry.0 + 1, entry.1 + bytes);
    }
    let _ = writeln!(text, "parameters: {} weights, computed in {}", grouped(info.parameters), info.dtype);
    for (kind, (tensors, bytes)) in kinds {
        let _ = writeln!(text, "  {kind}: {}, {} bytes", count(tensors, "tensor"), grouped(bytes));
    }
    if let Some(longest) = info.max_tokens {
        let _ = writeln!(text, "longest input: {longest} tokens");
    }
    if !info.unused_weights.is_empty() {
        let _ = writeln!(text, "not used: {}", info.unused_weights.join(", "));
    }
    for weight in &info.non_finite_weights {
        let (nan, infinite) = (weight.nan, weight.infinite);
        let _ = writeln!(text, "warning: {} holds {nan} NaN and {infinite} infinite numbers", weight.name);
    }
    text
}

/// The name of an element type, as PyTorch has it.
fn dtype(kind: Kind) -> String {
    let name = match kind {
        Kind::Half => "float16",
        Kind::Float => "float32",
        Kind::Double => "float64",
        Kind::Int => "int32",
        other => return format!("{other:?}").to_lowercase(),
    };
    name.to_owned()
}

fn of_graph(graph: &dyn Graph) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for operation in graph.operations() {
        *kinds.entry(&operation.name).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let mut text = format!(
        "graph: {}, {}, fingerprint {}\n",
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

fn of_structure(structure: &Structure) -> String {
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

/// The modules that ran, each with the number of operations in it and below it.
fn tree(graph: &dyn Graph) -> String {
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
