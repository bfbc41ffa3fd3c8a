//! Runs a program on a frame.

use super::compile::NodeError;
use super::numbers::Number;
use super::program::{Action, Block, Lookup, Mode, Operand, Step};
use crate::data::{Outside, outside};
use crate::error::TorchError;
use crate::ffi::autocast::Autocast;
use crate::ffi::call::{Frame, Held, Slot};
use crate::ffi::settings::Gradients;
use crate::ffi::tensor::Tensor;

/// Rounds of a loop after which a program counts as one that does not end.
const LONGEST_LOOP: u64 = 1 << 24;

/// Runs the steps of a block whose inputs are in their slots.
pub(super) fn run(block: &Block, frame: &mut Frame) -> Result<(), NodeError> {
    for step in &block.steps {
        act(step, frame).map_err(|fault| match fault {
            Fault::Here(what) => {
                let what = beyond(step, frame).unwrap_or(what);
                NodeError { node: step.name.clone(), what: format!("{}: {what}", step.target) }
            }
            Fault::Inside(error) => error,
        })?;
    }
    Ok(())
}

enum Fault {
    Here(String),
    Inside(NodeError),
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self::Here(what)
    }
}

impl From<TorchError> for Fault {
    fn from(error: TorchError) -> Self {
        Self::Here(error.to_string())
    }
}

impl From<NodeError> for Fault {
    fn from(error: NodeError) -> Self {
        Self::Inside(error)
    }
}

fn act(step: &Step, frame: &mut Frame) -> Result<(), Fault> {
    match &step.action {
        Action::Call(call) => return Ok(call.run(frame)?),
        Action::Number { function, operands, into, kind } => {
            let numbers = operands.iter().map(|o| number(frame, o)).collect::<Result<Vec<_>, _>>()?;
            let value = kind.of(function.call(&numbers)?)?;
            frame.set(*into, &held(value))?;
        }
        Action::Alias(pairs) => pairs.iter().try_for_each(|(from, to)| put(frame, from, *to))?,
        Action::Inline { block, operands, results, mode } => match mode {
            Mode::Same => apply(block, operands, results, frame)?,
            Mode::Gradients(on) => {
                let _on = Gradients::set(*on);
                apply(block, operands, results, frame)?;
            }
            Mode::Autocast { device, dtype, enabled } => {
                let _on = Autocast::new(device, *dtype, *enabled)?;
                apply(block, operands, results, frame)?;
            }
        },
        Action::Cond { condition, yes, no, operands, results } => {
            let chosen = if truth(frame, condition)? { yes } else { no };
            apply(chosen, operands, results, frame)?;
        }
        Action::While { condition, body, carried, extra, results } => {
            for (operand, slot) in carried.iter().zip(results) {
                put(frame, operand, *slot)?;
            }
            let all: Vec<Operand> =
                results.iter().map(|s| Operand::Slot(*s)).chain(extra.iter().cloned()).collect();
            for round in 0.. {
                if round == LONGEST_LOOP {
                    return Err(format!("the loop has not ended after {LONGEST_LOOP} rounds").into());
                }
                enter(condition, &all, frame)?;
                run(condition, frame)?;
                let go_on = condition.outputs.first().map_or(Ok(false), |output| truth(frame, output))?;
                frame.clear(&own(condition))?;
                if !go_on {
                    break;
                }
                apply(body, &all, results, frame)?;
            }
        }
        Action::Scan { combine, initial, over, extra, results } => {
            scan(combine, [initial, over, extra], results, frame)?;
        }
    }
    Ok(frame.clear(&step.last_used)?)
}

/// Which number of a failed lookup its table has no row for; `None` if that is not why it failed.
fn beyond(step: &Step, frame: &Frame) -> Option<String> {
    let Lookup { table, ids, axis, from_end } = step.lookup?;
    let held = |slot| tensor(frame, &Operand::Slot(slot)).ok().filter(Tensor::is_defined);
    let (table, ids) = (held(table)?, held(ids)?);
    let rows = table.size().get(axis).copied()?;
    let valid = if from_end { -rows } else { 0 }..=rows - 1;
    let Outside { value, at } = outside(&ids, &valid)?;
    let (first, last) = (valid.start(), valid.end());
    Some(format!("its ids hold {value} at {at:?}, its table has rows for {first} to {last}"))
}

/// Binds the inputs of a block.
fn enter(block: &Block, operands: &[Operand], frame: &mut Frame) -> Result<(), Fault> {
    for (operand, slot) in operands.iter().zip(&block.inputs) {
        put(frame, operand, *slot)?;
    }
    Ok(())
}

/// Slots of a block that still hold something after it ran.
fn own(block: &Block) -> Vec<Slot> {
    let outputs = block.outputs.iter().filter_map(|o| if let Operand::Slot(s) = o { Some(*s) } else { None });
    outputs.chain(block.inputs.iter().copied()).collect()
}

/// Runs a block on `operands` and moves what it gives to `results`.
fn apply(block: &Block, operands: &[Operand], results: &[Slot], frame: &mut Frame) -> Result<(), Fault> {
    enter(block, operands, frame)?;
    run(block, frame)?;
    for (output, slot) in block.outputs.iter().zip(results) {
        put(frame, output, *slot)?;
    }
    Ok(frame.clear(&own(block))?)
}

fn scan(
    combine: &Block,
    [initial, over, extra]: [&Vec<Operand>; 3],
    results: &[Slot],
    frame: &mut Frame,
) -> Result<(), Fault> {
    let (carries, stacked) = results.split_at(initial.len());
    for (operand, slot) in initial.iter().zip(carries) {
        put(frame, operand, *slot)?;
    }
    let sequences = over.iter().map(|operand| tensor(frame, operand)).collect::<Result<Vec<_>, _>>()?;
    let length =
        |sequence: &Tensor| if sequence.is_defined() { sequence.size().first().copied() } else { None };
    let rounds = sequences
        .first()
        .and_then(length)
        .ok_or_else(|| "a tensor without axes cannot be scanned".to_owned())?;
    if sequences.iter().any(|sequence| length(sequence) != Some(rounds)) {
        return Err("the tensors to scan are not equally long".to_owned().into());
    }
    if rounds == 0 && !stacked.is_empty() {
        return Err("there is nothing to scan: the first axis has length 0".to_owned().into());
    }
    let mut pieces: Vec<Vec<Tensor>> = stacked.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        let mut inputs = combine.inputs.iter();
        for slot in carries {
            if let Some(input) = inputs.next() {
                frame.copy(*slot, *input)?;
            }
        }
        for sequence in &sequences {
            if let Some(input) = inputs.next() {
                frame.set_tensor(*input, &sequence.select(0, round)?)?;
            }
        }
        for (operand, input) in extra.iter().zip(inputs) {
            put(frame, operand, *input)?;
        }
        run(combine, frame)?;
        let (carried, given) = combine.outputs.split_at(carries.len());
        for (output, slot) in carried.iter().zip(carries) {
            put(frame, output, *slot)?;
        }
        for (output, pieces) in given.iter().zip(&mut pieces) {
            pieces.push(tensor(frame, output)?);
        }
        frame.clear(&own(combine))?;
    }
    for (pieces, slot) in pieces.iter().zip(stacked) {
        frame.set_tensor(*slot, &Tensor::stack(&pieces.iter().collect::<Vec<_>>(), 0)?)?;
    }
    Ok(())
}

/// Puts a value into a slot.
fn put(frame: &mut Frame, operand: &Operand, slot: Slot) -> Result<(), String> {
    match operand {
        Operand::Slot(from) => frame.copy(*from, slot),
        Operand::Number(value) => frame.set(slot, &held(*value)),
        Operand::None => frame.set(slot, &Held::Nothing),
    }
}

pub(super) fn held(number: Number) -> Held {
    match number {
        Number::Int(value) => Held::Int(value),
        Number::Float(value) => Held::Float(value),
        Number::Bool(value) => Held::Bool(value),
    }
}

pub(super) fn number(frame: &Frame, operand: &Operand) -> Result<Number, String> {
    match operand {
        Operand::Number(value) => Ok(*value),
        Operand::Slot(slot) => match frame.get(*slot)? {
            Held::Int(value) => Ok(Number::Int(value)),
            Held::Float(value) => Ok(Number::Float(value)),
            Held::Bool(value) => Ok(Number::Bool(value)),
            Held::Tensor(_) => Err("a tensor is given where a number is needed".to_owned()),
            Held::Nothing | Held::Other => Err("nothing is given where a number is needed".to_owned()),
        },
        Operand::None => Err("nothing is given where a number is needed".to_owned()),
    }
}

fn tensor(frame: &Frame, operand: &Operand) -> Result<Tensor, String> {
    if let Operand::Slot(slot) = operand
        && let Held::Tensor(tensor) = frame.get(*slot)?
    {
        return Ok(tensor);
    }
    Err("a tensor is needed".to_owned())
}

/// Whether a condition holds: a truth value, or a tensor with one element.
fn truth(frame: &Frame, operand: &Operand) -> Result<bool, Fault> {
    if let Operand::Slot(slot) = operand
        && let Held::Tensor(tensor) = frame.get(*slot)?
    {
        if tensor.numel() != 1 {
            return Err(format!("a condition of {} elements, one is needed", tensor.numel()).into());
        }
        return Ok(tensor.truth()?);
    }
    Ok(number(frame, operand)?.truth())
}
