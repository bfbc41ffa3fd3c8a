//! The graph of a program that has not run, from what its example was like.

use fmrai_core::graph::RecordedGraph;

use super::program::{Action, Block, Operand, ProgramOutput};
use super::run::{held, number};
use crate::capture::{ModelOutput, NamedLeaf, simulate};
use crate::ffi::call::{Frame, Held};
use crate::ffi::session::Session;

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
pub(super) fn foresee(
    block: &Block,
    slots: usize,
    leaves: &[Leaf<'_>],
    outputs: &[ProgramOutput],
) -> Result<Foreseen, String> {
    let mut frame = Frame::new(slots)?;
    let mut named = Vec::new();
    for leaf in leaves {
        frame.set(leaf.slot, leaf.value)?;
        if let Held::Tensor(tensor) = leaf.value {
            named.push(NamedLeaf { name: leaf.name, parameter: leaf.parameter, tensor });
        }
    }
    let graph = simulate(&named, |session| {
        walk(block, &mut frame, session)?;
        given(&frame, outputs)
    })?;
    let wrote =
        |leaf: &Leaf<'_>| if let Held::Tensor(tensor) = leaf.value { frame.wrote(tensor) } else { false };
    let written = leaves.iter().map(wrote).collect();
    Ok(Foreseen { graph, written })
}

/// What the program gives back, as far as these are tensors.
fn given(frame: &Frame, outputs: &[ProgramOutput]) -> Result<Vec<ModelOutput>, String> {
    let mut given = Vec::new();
    for ProgramOutput { name, value, operand } in outputs {
        if let Operand::Slot(slot) = operand
            && let Held::Tensor(tensor) = frame.get(*slot)?
        {
            given.push(ModelOutput { name: name.clone(), value: value.clone(), tensor });
        }
    }
    Ok(given)
}

fn walk(block: &Block, frame: &mut Frame, session: &mut Session) -> Result<(), String> {
    for step in &block.steps {
        let fail = |what: String| format!("node {} ({}): {what}", step.name, step.target);
        let known = || step.example.as_ref().map_err(Clone::clone);
        match &step.action {
            Action::Call(call) => {
                let example = known()?;
                call.simulate(frame, session, &example.forms).map_err(fail)?;
                for (slot, number) in &example.numbers {
                    frame.set(*slot, &held(*number))?;
                }
                // A number that nothing reads is put down after the call has cleared its slot; it does no harm.
                continue;
            }
            Action::Number { function, operands, into, kind } => {
                // Truths have no value in the example, but what they are computed from has.
                let numbers: Result<Vec<_>, _> = operands.iter().map(|o| number(frame, o)).collect();
                match numbers.and_then(|numbers| kind.of(function.call(&numbers)?)) {
                    Ok(value) => frame.set(*into, &held(value))?,
                    Err(_) => {
                        for (slot, number) in &known()?.numbers {
                            frame.set(*slot, &held(*number))?;
                        }
                    }
                }
            }
            Action::Alias(pairs) => pairs.iter().try_for_each(|(from, to)| put(frame, from, *to))?,
            Action::Inline { block, operands, results, .. } => {
                inline(block, operands, results, frame, session)?;
            }
            Action::Cond { condition, yes, no, operands, results } => {
                // A choice by sizes can be foreseen, as the example made it.
                let Ok(chosen) = number(frame, condition) else { return known().map(|_| ()) };
                inline(if chosen.truth() { yes } else { no }, operands, results, frame, session)?;
            }
            Action::While { .. } | Action::Scan { .. } => return known().map(|_| ()),
        }
        frame.clear(&step.last_used)?;
    }
    Ok(())
}

fn inline(
    block: &Block,
    operands: &[Operand],
    results: &[u32],
    frame: &mut Frame,
    session: &mut Session,
) -> Result<(), String> {
    for (operand, slot) in operands.iter().zip(&block.inputs) {
        put(frame, operand, *slot)?;
    }
    walk(block, frame, session)?;
    block.outputs.iter().zip(results).try_for_each(|(output, slot)| put(frame, output, *slot))
}

fn put(frame: &mut Frame, operand: &Operand, slot: u32) -> Result<(), String> {
    match operand {
        Operand::Slot(from) => frame.copy(*from, slot),
        Operand::Number(number) => frame.set(slot, &held(*number)),
        Operand::None => frame.set(slot, &Held::Nothing),
    }
}
