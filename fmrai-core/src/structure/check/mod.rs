//! What is claimed of a graph, checked once more on the tensors of a pass.
//!
//! Finders read operations and shapes. A pass tells whether what they say holds: rows of probabilities sum to 1, a context is
//! probabilities times values for as many heads as are claimed, and what is added to a stream is the difference of the stream after
//! and before. What does not hold is taken out of the structure, with the reason.

mod attention;
mod numbers;
mod sum;
mod without;

use serde::{Deserialize, Serialize};

use crate::graph::{Graph, TensorId};
use crate::tracker::{Activations, CaptureRequest};

use super::{Attention, Structure};

/// A claim that a pass contradicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The component as selectors name it: `attention[3]`.
    pub component: String,
    /// The module it runs in; empty where not known.
    pub module: String,
    /// What does not hold, with numbers.
    pub what: String,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let module = if self.module.is_empty() { String::new() } else { format!(" in {}", self.module) };
        write!(f, "{}{module} is not claimed: {}", self.component, self.what)
    }
}

/// What of a structure was checked on a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Claims that hold.
    pub hold: usize,
    /// Claims that cannot be checked, since tensors of the claim were not kept, or have no plain layout.
    pub open: usize,
    /// Claims that do not hold.
    pub doubts: Vec<Doubt>,
}

/// One claim with the tensors that tell whether it holds.
#[derive(Debug, Clone, Copy)]
enum Claim<'a> {
    Attention(&'a Attention),
    Addition(&'a super::Residual),
}

impl Claim<'_> {
    fn tensors(&self) -> [TensorId; 3] {
        match self {
            Self::Attention(block) => [block.probabilities, block.value, block.context],
            Self::Addition(write) => [write.before, write.written, write.after],
        }
    }
}

/// The claims about tokens in the order of execution, and what a pass has to keep for them: as many as fit into `budget` bytes of
/// 4 for each element. The others stay open.
#[must_use]
pub fn needed(graph: &dyn Graph, structure: &Structure, budget: u64) -> CaptureRequest {
    let mut request = CaptureRequest::none();
    let mut left = budget;
    for claim in claims(structure) {
        let new = claim.tensors().into_iter().filter(|id| !request.contains(*id));
        let new: Vec<TensorId> = new.collect();
        let size = |id: &TensorId| {
            let shape = graph.tensor(*id).map_or(&[][..], |t| &t.shape);
            shape.iter().fold(4_u64, |n, size| n.saturating_mul(u64::try_from(*size).unwrap_or(0)))
        };
        let bytes = new.iter().map(size).fold(0, u64::saturating_add);
        let known = new.iter().all(|id| graph.tensor(*id).is_some_and(|t| t.dtype.is_float()));
        if known && bytes <= left {
            left -= bytes;
            new.into_iter().for_each(|id| request.add(id));
        }
    }
    request
}

fn claims(structure: &Structure) -> impl Iterator<Item = Claim<'_>> {
    let attention = structure.attention.iter().chain(&structure.channel_attention).map(Claim::Attention);
    attention.chain(structure.residual.iter().map(Claim::Addition))
}

impl Structure {
    /// Checks what is claimed on the tensors of a pass, and takes out what does not hold.
    pub fn check(&mut self, graph: &dyn Graph, pass: &dyn Activations) -> Checked {
        let mut checked = Checked::default();
        let mut wrong = Vec::new();
        for component in self.components() {
            let (role, layer) = (component.role, component.layer);
            let found = match role {
                "attention" | "cross_attention" | "channel_attention" => {
                    let mut blocks = self.attention.iter().chain(&self.channel_attention);
                    let Some(block) = blocks.find(|b| b.role() == role && b.layer == layer) else { continue };
                    attention::check(graph, block, pass)
                }
                "addition" => match self.residual.iter().find(|write| write.layer == layer) {
                    Some(write) => sum::check(graph, write, pass),
                    None => continue,
                },
                _ => continue,
            };
            match found {
                None => checked.open += 1,
                Some(Ok(())) => checked.hold += 1,
                Some(Err(what)) => {
                    wrong.push((role, layer));
                    let (component, module) = (format!("{role}[{layer}]"), component.module.to_owned());
                    checked.doubts.push(Doubt { component, module, what });
                }
            }
        }
        self.take_out(&wrong);
        checked
    }
}

#[cfg(test)]
mod tests;
