//! Which values a step reads and makes.

use super::program::{Action, Operand};
use crate::ffi::call::{Given, Slot};

/// The slots that a given value reads.
pub(super) fn read(value: &Given) -> Vec<Slot> {
    match value {
        Given::Tensor(slot) | Given::Number(slot) => vec![*slot],
        Given::List(items) => items.iter().flat_map(read).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn slots(operands: &[Operand]) -> Vec<Slot> {
    operands.iter().filter_map(|o| if let Operand::Slot(slot) = o { Some(*slot) } else { None }).collect()
}

impl Action {
    pub(super) fn reads(&self) -> Vec<Slot> {
        match self {
            Self::Call(_) => Vec::new(),
            Self::Number { operands, .. } | Self::Inline { operands, .. } => slots(operands),
            Self::Alias(pairs) => slots(&pairs.iter().map(|(from, _)| from.clone()).collect::<Vec<_>>()),
            Self::Cond { condition, operands, .. } => {
                let mut reads = slots(operands);
                reads.extend(slots(std::slice::from_ref(condition)));
                reads
            }
            Self::While { carried, extra, .. } => [slots(carried), slots(extra)].concat(),
            Self::Scan { initial, over, extra, .. } => [slots(initial), slots(over), slots(extra)].concat(),
        }
    }

    pub(super) fn makes(&self) -> Vec<Slot> {
        match self {
            Self::Call(_) => Vec::new(),
            Self::Number { into, .. } => vec![*into],
            Self::Alias(pairs) => pairs.iter().map(|(_, to)| *to).collect(),
            Self::Inline { results, .. }
            | Self::Cond { results, .. }
            | Self::While { results, .. }
            | Self::Scan { results, .. } => results.clone(),
        }
    }
}

/// Blocks take as many values as they are given, and give as many as are named.
pub(super) fn check_arity(action: &Action) -> Result<(), String> {
    let same = |what: &str, found: usize, needed: usize| {
        if found == needed {
            Ok(())
        } else {
            Err(format!("{what}: {found} values where {needed} are needed"))
        }
    };
    match action {
        Action::Inline { block, operands, results, .. } => {
            same("its graph is given", operands.len(), block.inputs.len())?;
            same("its graph gives", block.outputs.len(), results.len())
        }
        Action::Cond { yes, no, operands, results, .. } => [yes, no].iter().try_for_each(|block| {
            same("a branch is given", operands.len(), block.inputs.len())?;
            same("a branch gives", block.outputs.len(), results.len())
        }),
        Action::While { condition, body, carried, extra, results } => {
            let given = carried.len() + extra.len();
            same("its condition is given", given, condition.inputs.len())?;
            same("its condition gives", condition.outputs.len(), 1)?;
            same("its body is given", given, body.inputs.len())?;
            same("its body gives", body.outputs.len(), carried.len())?;
            same("it carries", results.len(), carried.len())
        }
        Action::Scan { combine, initial, over, extra, results } => {
            same("its graph is given", initial.len() + over.len() + extra.len(), combine.inputs.len())?;
            same("its graph gives", combine.outputs.len(), results.len())?;
            if over.is_empty() {
                return Err("there is nothing to repeat it over".to_owned());
            }
            if initial.len() > results.len() {
                return Err("it carries more values than it gives".to_owned());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
