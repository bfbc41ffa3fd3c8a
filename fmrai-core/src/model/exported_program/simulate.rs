//! The graph of a program that has not run, from what its example was like.

use super::program::{Action, Block, Operand};
use super::run::held;
use crate::capture::call::{Frame, Held};
use crate::capture::{NamedLeaf, Session, simulate};
use crate::graph::RecordedGraph;

/// A value that a program starts from, as it was in the example.
pub(super) struct Leaf<'a> {
    pub(super) name: &'a str,
    pub(super) parameter: bool,
    pub(super) slot: u32,
    pub(super) value: &'a Held,
}

/// What can be known of a program before it runs.
pub(super) struct Foreseen {
    pub(super) graph: RecordedGraph,
    /// For each leaf, whether the program writes into its memory.
    pub(super) written: Vec<bool>,
}

/// Goes through a program without running it.
pub(super) fn foresee(block: &Block, slots: usize, leaves: &[Leaf<'_>]) -> Result<Foreseen, String> {
    let mut frame = Frame::new(slots)?;
    let mut named = Vec::new();
    for leaf in leaves {
        frame.set(leaf.slot, leaf.value)?;
        if let Held::Tensor(tensor) = leaf.value {
            named.push(NamedLeaf { name: leaf.name, parameter: leaf.parameter, tensor });
        }
    }
    let graph = simulate(&named, |session| walk(block, &mut frame, session))?;
    let wrote =
        |leaf: &Leaf<'_>| if let Held::Tensor(tensor) = leaf.value { frame.wrote(tensor) } else { false };
    let written = leaves.iter().map(wrote).collect();
    Ok(Foreseen { graph, written })
}

fn walk(block: &Block, frame: &mut Frame, session: &mut Session) -> Result<(), String> {
    for step in &block.steps {
        let fail = |what: String| format!("node {} ({}): {what}", step.name, step.target);
        let example = step.example.as_ref().map_err(Clone::clone)?;
        match &step.action {
            Action::Call(call) => {
                call.simulate(frame, session, &example.forms).map_err(fail)?;
                for (slot, number) in &example.numbers {
                    frame.set(*slot, &held(*number))?;
                }
                // A number that nothing reads is put down after the call has cleared its slot; it does no harm.
                continue;
            }
            Action::Number { .. } => {
                for (slot, number) in &example.numbers {
                    frame.set(*slot, &held(*number))?;
                }
            }
            Action::Alias(pairs) => pairs.iter().try_for_each(|(from, to)| put(frame, from, *to))?,
            Action::Inline { block, operands, results, .. } => {
                for (operand, slot) in operands.iter().zip(&block.inputs) {
                    put(frame, operand, *slot)?;
                }
                walk(block, frame, session)?;
                for (output, slot) in block.outputs.iter().zip(results) {
                    put(frame, output, *slot)?;
                }
            }
            Action::Cond { .. } | Action::While { .. } | Action::Scan { .. } => {
                return Err(fail("it depends on data".to_owned()));
            }
        }
        frame.clear(&step.last_used)?;
    }
    Ok(())
}

fn put(frame: &mut Frame, operand: &Operand, slot: u32) -> Result<(), String> {
    match operand {
        Operand::Slot(from) => frame.copy(*from, slot),
        Operand::Number(number) => frame.set(slot, &held(*number)),
        Operand::None => frame.set(slot, &Held::Nothing),
    }
}
