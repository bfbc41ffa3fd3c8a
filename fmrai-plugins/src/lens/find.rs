//! The operations between the last stream and the logits, found in the graph.

use std::collections::BTreeSet;

use fmrai_core::graph::{Graph, Operation, TensorId};
use fmrai_core::structure::{Embedding, EmbeddingKind, Structure};
use fmrai_core::tensor::DType;

use super::action::{Action, Rounding};
use super::builder::Builder;
use super::constants::{Constant, Recipe};
use super::error::LensError;
use super::map::Lens;
use super::operation::{shape, width};
use super::program::{Program, Step};
use super::settled::settled;
use super::tail;

/// Tensors looked at on the way back to the stream.
const REACH: usize = 4096;

impl Lens {
    /// The model's own map: the last one to a vocabulary.
    ///
    /// # Errors
    /// [`LensError`] says what is missing or not understood.
    pub fn find(graph: &dyn Graph, structure: &Structure) -> Result<Self, LensError> {
        let own = structure.unembedding.iter().rfind(|u| u.vocabulary).ok_or(LensError::NoMap)?;
        let logits = tail::logits(graph, own.output)?;
        between(graph, structure, logits)
    }

    /// The table of the token embedding as a map, in a model that has none of its own: what becomes of the last stream that starts
    /// from it, times the table. It was never trained for that, so what it reads are no predictions of the model.
    ///
    /// # Errors
    /// [`LensError`] says what is missing or not understood.
    pub fn borrowed(graph: &dyn Graph, structure: &Structure) -> Result<Self, LensError> {
        let table = structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        borrowed(graph, structure, table.ok_or(LensError::NoTable)?)
    }
}

/// The map that ends in `logits`.
fn between(graph: &dyn Graph, structure: &Structure, logits: TensorId) -> Result<Lens, LensError> {
    let sums: BTreeSet<TensorId> = structure.residual.iter().map(|write| write.after).collect();
    let sum = last_sum(graph, &sums, logits)?;
    let write = structure.residual.iter().rposition(|write| write.after == sum);
    let write = write.ok_or(LensError::NoStream)?;
    let stream = settled(structure).get(write).copied().unwrap_or(sum);
    let program = |start| Builder::new(graph, &sums, start).program(logits);
    // What blocks read may not lie on the way: then the sum is what the map reads.
    let (stream, from_stream) = match program(stream) {
        Ok(found) if found.reaches => (stream, found.program),
        _ => (sum, program(sum)?.program),
    };
    let incomparable = misaligned(graph, stream, logits);
    Ok(Lens {
        number: structure.residual.get(write).map_or(0, |write| write.stream),
        logits: incomparable.is_none().then_some(logits),
        incomparable,
        channels: width(graph, stream),
        tokens: width(graph, logits),
        from_sum: program(sum)?.program,
        from_stream,
        stream,
        sum,
    })
}

/// What becomes of the last stream that starts from the token embedding, times its table.
fn borrowed(graph: &dyn Graph, structure: &Structure, table: &Embedding) -> Result<Lens, LensError> {
    let lookups = structure.embeddings.iter();
    let lookups = lookups.filter(|e| e.kind == EmbeddingKind::Token && e.weight == table.weight);
    let reached = descendants(graph, lookups.map(|e| e.output));
    let from_words = |stream: usize| {
        let first = structure.residual.iter().find(|write| write.stream == stream);
        first.is_some_and(|write| reached.get(write.before.0 as usize) == Some(&true))
    };
    let write = structure.residual.iter().rposition(|write| from_words(write.stream));
    let write = write.ok_or(LensError::NoStream)?;
    let sum = structure.residual[write].after;
    let stream = settled(structure)[write];
    // The last norm, where blocks normalise what they read.
    let norm = structure.norms.iter().find(|norm| norm.input == sum).map(|norm| norm.output);
    let end = if stream == sum { norm.unwrap_or(sum) } else { stream };
    let sums: BTreeSet<TensorId> = structure.residual.iter().map(|write| write.after).collect();
    let with_table = |start: TensorId| -> Result<Program, LensError> {
        let mut program = Builder::new(graph, &sums, start).program(end)?.program;
        let logits = TensorId(u32::MAX);
        program.constants.push(Constant {
            output: table.weight,
            recipe: Recipe::Parameter,
            rounding: Rounding::None,
        });
        program.steps.push(Step {
            name: "token embedding".to_owned(),
            action: Action::Linear { input: end, weight: table.weight, summed: 1, bias: None },
            output: logits,
            rounding: Rounding::None,
        });
        program.end = logits;
        Ok(program)
    };
    let shape = shape(graph, table.weight);
    let &[rows, columns] = shape else { return Err(LensError::NoTable) };
    if usize::try_from(columns) != Ok(width(graph, end)) {
        return Err(LensError::Channels {
            found: usize::try_from(columns).unwrap_or(0),
            needed: width(graph, end),
        });
    }
    Ok(Lens {
        number: structure.residual[write].stream,
        logits: None,
        incomparable: None,
        channels: width(graph, stream),
        tokens: usize::try_from(rows).unwrap_or(0),
        from_stream: with_table(stream)?,
        from_sum: with_table(sum)?,
        stream,
        sum,
    })
}

/// For each tensor, whether it was computed from one of these.
fn descendants(graph: &dyn Graph, of: impl Iterator<Item = TensorId>) -> Vec<bool> {
    let mut reached = vec![false; graph.tensors().len()];
    let set = |reached: &mut Vec<bool>, id: TensorId| {
        if let Some(place) = reached.get_mut(id.0 as usize) {
            *place = true;
        }
    };
    of.for_each(|id| set(&mut reached, id));
    for operation in graph.operations() {
        if operation.inputs().any(|id| reached.get(id.0 as usize) == Some(&true)) {
            operation.outputs.iter().for_each(|id| set(&mut reached, *id));
        }
    }
    reached
}

/// The one sum that is met first on all ways back.
fn last_sum(graph: &dyn Graph, sums: &BTreeSet<TensorId>, from: TensorId) -> Result<TensorId, LensError> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut stack = vec![from];
    while let Some(id) = stack.pop() {
        if sums.contains(&id) {
            found.insert(id);
            continue;
        }
        if !seen.insert(id) || seen.len() > REACH {
            continue;
        }
        stack.extend(graph.producer(id).into_iter().flat_map(Operation::inputs));
    }
    match found.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Err(LensError::NoStream),
        [one] => Ok(*one),
        [first, second, ..] => Err(LensError::SeveralStreams { first: *first, second: *second }),
    }
}

/// Why the logits cannot be compared with what is read of the stream; `None` if they can.
fn misaligned(graph: &dyn Graph, stream: TensorId, logits: TensorId) -> Option<String> {
    let (of_stream, of_logits) = (shape(graph, stream), shape(graph, logits));
    let positions = |shape: &[i64]| -> i64 { shape.iter().rev().skip(1).product() };
    if positions(of_stream) != positions(of_logits) {
        return Some(format!(
            "the model gives logits {of_logits:?} at other positions than those of the stream {of_stream:?}"
        ));
    }
    let dtype = graph.tensor(logits)?.dtype;
    let plain = matches!(dtype, DType::Float16 | DType::BFloat16 | DType::Float32);
    (!plain).then(|| format!("the model's logits are {dtype}"))
}
