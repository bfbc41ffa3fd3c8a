//! A program ready to run: values are slots of a frame, operations are prepared calls.

use crate::ffi::call::{Call, Form, Slot};

use super::numbers::{Function, Number};

/// Nodes in execution order, with what goes in and comes out.
pub(super) struct Block {
    pub(super) inputs: Vec<Slot>,
    pub(super) steps: Vec<Step>,
    pub(super) outputs: Vec<Operand>,
}

/// One node.
pub(super) struct Step {
    /// Its name in the program, for messages.
    pub(super) name: String,
    /// What it calls.
    pub(super) target: String,
    pub(super) action: Action,
    /// Slots that nothing reads after it; a call clears them itself.
    pub(super) last_used: Vec<Slot>,
    /// What it makes in the example that was exported; `Err` says why that is not known.
    pub(super) example: Result<Example, String>,
    /// What it looks up, if it takes rows of a table.
    pub(super) lookup: Option<Lookup>,
}

/// A table and the numbers of rows that are taken of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lookup {
    pub(super) table: Slot,
    pub(super) ids: Slot,
    /// The axis of the rows.
    pub(super) axis: usize,
    /// Whether negative numbers count from the end.
    pub(super) from_end: bool,
}

/// What a node makes in the example: forms of its tensors, values of its numbers.
#[derive(Debug, Default, Clone)]
pub(super) struct Example {
    pub(super) forms: Vec<Form>,
    pub(super) numbers: Vec<(Slot, Number)>,
}

/// A value in a frame, or a constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Slot(Slot),
    Number(Number),
    /// Nothing, or something that is no value of a frame, such as a text.
    None,
}

/// Something that the program gives back.
pub(super) struct ProgramOutput {
    pub(super) name: String,
    /// Its name among the values of the program, where it is one.
    pub(super) value: Option<String>,
    pub(super) operand: Operand,
}

/// What a node does.
pub(super) enum Action {
    Call(Call),
    Number {
        function: Function,
        operands: Vec<Operand>,
        into: Slot,
        kind: NumberKind,
    },
    /// Other names for values, e.g. the results of an operation that is replaced by several.
    Alias(Vec<(Operand, Slot)>),
    Inline {
        block: Block,
        operands: Vec<Operand>,
        results: Vec<Slot>,
        mode: Mode,
    },
    Cond {
        condition: Operand,
        yes: Block,
        no: Block,
        operands: Vec<Operand>,
        results: Vec<Slot>,
    },
    While {
        condition: Block,
        body: Block,
        carried: Vec<Operand>,
        extra: Vec<Operand>,
        results: Vec<Slot>,
    },
    /// `carries, ys = combine(carries, x, extra)` for each `x` along the first axis; `ys` are stacked. Without
    /// carries it is a map.
    Scan {
        combine: Block,
        initial: Vec<Operand>,
        over: Vec<Operand>,
        extra: Vec<Operand>,
        results: Vec<Slot>,
    },
}

/// What a number is declared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Int,
    Float,
    Bool,
}

/// Under what a block runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// As what is around it.
    Same,
    /// With gradients on or off.
    Gradients(bool),
    /// With automatic choice of the element type, on or off, for a kind of device.
    Autocast { device: String, dtype: Option<i32>, enabled: bool },
}

impl NumberKind {
    /// The number as it is declared.
    ///
    /// # Errors
    /// If an integer is declared and the arithmetic gives a number that is none: Python would go on with that one.
    pub(super) fn of(self, number: Number) -> Result<Number, String> {
        Ok(match (self, number) {
            (Self::Int, Number::Int(value)) => Number::Int(value),
            (Self::Int, Number::Bool(value)) => Number::Int(i64::from(value)),
            (Self::Int, Number::Float(value)) => number.whole().ok_or_else(|| {
                format!("the program declares an integer of 64 bits, its arithmetic gives {value}")
            })?,
            (Self::Float, value) => Number::Float(value.real()),
            (Self::Bool, value) => Number::Bool(value.truth()),
        })
    }
}
