//! Which tensors of a program are affine in what is given, once statistics are kept.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::graph::TensorId;

use crate::lens::action::{Action, Binary, Operand, Unary};
use crate::lens::program::Step;
use crate::lens::steps::inputs;

/// How a tensor depends on what is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is affine.
    Affine,
    /// It is a number for each row that is kept: the scale of a norm.
    Kept,
    /// Neither.
    Curved,
}

/// The kind of each tensor that the steps make. `one` has those of one channel.
pub(super) fn kinds(
    given: &[TensorId],
    steps: &[Step],
    one: &BTreeSet<TensorId>,
) -> BTreeMap<TensorId, Kind> {
    let mut kinds: BTreeMap<TensorId, Kind> = given.iter().map(|id| (*id, Kind::Affine)).collect();
    for step in steps {
        let kind = kind(&step.action, &kinds, one);
        // A number of a row that is no linear function of it is a statistic.
        let statistic = kind == Kind::Curved && one.contains(&step.output);
        kinds.insert(step.output, if statistic { Kind::Kept } else { kind });
    }
    kinds
}

fn kind(action: &Action, kinds: &BTreeMap<TensorId, Kind>, one: &BTreeSet<TensorId>) -> Kind {
    let of = |id: &TensorId| kinds.get(id).copied().unwrap_or(Kind::Curved);
    match action {
        Action::Same(id) | Action::Mean(id) | Action::Sum(id) | Action::Unary(Unary::Negative, id) => of(id),
        Action::Part { input, .. } | Action::Linear { input, .. } | Action::Norm { input, .. } => of(input),
        Action::Variance { .. } => Kind::Curved,
        Action::Unary(_, id) => match of(id) {
            Kind::Kept => Kind::Kept,
            _ if one.contains(id) => Kind::Kept,
            _ => Kind::Curved,
        },
        Action::Binary { kind, left, right, .. } => {
            let side = |side: &Operand| match side {
                Operand::Rows(id) => of(id),
                Operand::Constant(_) | Operand::Number(_) => Kind::Kept,
            };
            match (side(left), kind, side(right)) {
                (Kind::Curved, ..) | (.., Kind::Curved) => Kind::Curved,
                (Kind::Kept, _, Kind::Kept) => Kind::Kept,
                (_, Binary::Add | Binary::Subtract, _) => Kind::Affine,
                (Kind::Affine, Binary::Multiply, Kind::Affine) | (_, Binary::Divide, Kind::Affine) => {
                    Kind::Curved
                }
                _ => Kind::Affine,
            }
        }
    }
}

/// Tensors whose numbers have to be known: inputs of norms, kept ones beside affine ones, and all that they are made of.
pub(super) fn needed(steps: &[Step], kinds: &BTreeMap<TensorId, Kind>) -> BTreeSet<TensorId> {
    let is = |id: TensorId, kind| kinds.get(&id) == Some(&kind);
    let mut needed = BTreeSet::new();
    for step in steps.iter().filter(|step| is(step.output, Kind::Affine)) {
        match step.action {
            Action::Norm { input, .. } => {
                needed.insert(input);
            }
            Action::Binary { .. } => needed.extend(inputs(&step.action).filter(|id| is(*id, Kind::Kept))),
            _ => {}
        }
    }
    for step in steps.iter().rev() {
        if needed.contains(&step.output) {
            needed.extend(inputs(&step.action));
        }
    }
    needed
}
