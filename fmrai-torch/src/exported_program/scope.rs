//! The values of a graph by their names, and what is known of them.

use std::collections::BTreeMap;

use super::numbers::Number;
use super::program::{Example, Operand};
use super::schema::{
    Argument, Graph, Hint, Node, SymBool, SymBoolArgument, SymFloat, SymFloatArgument, SymIntArgument,
};
use super::weights;
use crate::ffi::call::{Form, Slot};

/// Names of the values of a block.
pub(super) struct Scope<'g> {
    pub(super) graph: &'g Graph,
    /// What names of this block begin with in records.
    pub(super) prefix: String,
    pub(super) slots: BTreeMap<&'g str, Slot>,
}

impl<'g> Scope<'g> {
    pub(super) fn define(&mut self, name: &'g str, slot: Slot) -> Result<(), String> {
        match self.slots.insert(name, slot) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is made twice")),
        }
    }

    pub(super) fn slot(&self, name: &str) -> Result<Slot, String> {
        let slot = self.slots.get(name).copied();
        slot.ok_or_else(|| format!("takes {name}, which nothing before it makes"))
    }

    pub(super) fn sym_int(&self, one: &SymIntArgument) -> Result<Operand, String> {
        Ok(match one {
            SymIntArgument::AsName(name) => Operand::Slot(self.slot(name)?),
            SymIntArgument::AsInt(value) => Operand::Number(Number::Int(*value)),
        })
    }

    pub(super) fn sym_float(&self, one: &SymFloatArgument) -> Result<Operand, String> {
        Ok(match one {
            SymFloatArgument::AsName(name) => Operand::Slot(self.slot(name)?),
            SymFloatArgument::AsFloat(value) => Operand::Number(Number::Float(value.0)),
        })
    }

    pub(super) fn sym_bool(&self, one: &SymBoolArgument) -> Result<Operand, String> {
        Ok(match one {
            SymBoolArgument::AsName(name) => Operand::Slot(self.slot(name)?),
            SymBoolArgument::AsBool(value) => Operand::Number(Number::Bool(*value)),
        })
    }

    /// A single value.
    pub(super) fn operand(&self, argument: &Argument) -> Result<Operand, String> {
        Ok(match argument {
            Argument::Tensor(name) => Operand::Slot(self.slot(name)?),
            Argument::Int(value) => Operand::Number(Number::Int(*value)),
            Argument::Float(value) => Operand::Number(Number::Float(*value)),
            Argument::Bool(value) => Operand::Number(Number::Bool(*value)),
            Argument::SymInt(one) => self.sym_int(one)?,
            Argument::SymFloat(one) => self.sym_float(one)?,
            Argument::SymBool(one) => self.sym_bool(one)?,
            Argument::None | Argument::Text(_) => Operand::None,
            other => return Err(format!("a value of kind {} is not supported here", other.kind())),
        })
    }

    pub(super) fn operands(&self, arguments: &[&Argument]) -> Result<Vec<Operand>, String> {
        arguments.iter().map(|argument| self.operand(argument)).collect()
    }

    /// The values of a list; numbers may stand among tensors.
    pub(super) fn list(&self, argument: &Argument) -> Result<Vec<Operand>, String> {
        match argument {
            Argument::Tensors(names) => names.iter().map(|name| self.slot(name).map(Operand::Slot)).collect(),
            Argument::OptionalTensors(names) => names
                .iter()
                .map(|name| {
                    name.as_ref().map_or(Ok(Operand::None), |name| self.slot(name).map(Operand::Slot))
                })
                .collect(),
            Argument::SymInts(all) => all.iter().map(|one| self.sym_int(one)).collect(),
            Argument::Ints(all) => Ok(all.iter().map(|i| Operand::Number(Number::Int(*i))).collect()),
            other => Ok(vec![self.operand(other)?]),
        }
    }

    /// How a tensor lies in memory in the example.
    pub(super) fn form(&self, name: &str) -> Result<Form, String> {
        let meta = self.graph.tensor_values.get(name);
        let meta = meta.ok_or_else(|| format!("the program does not describe {name}"))?;
        weights::form(meta).map_err(|what| format!("{name} {what}"))
    }

    /// The value of a number in the example.
    pub(super) fn number(&self, name: &str) -> Option<Number> {
        let of_hint = |hint: &Option<Hint>| {
            hint.as_ref().map(|hint| match hint {
                Hint::AsInt(value) => Number::Int(*value),
                Hint::AsFloat(value) => Number::Float(value.0),
                Hint::AsBool(value) => Number::Bool(*value),
            })
        };
        if let Some(size) = self.graph.sym_int_values.get(name) {
            return size.hint().map(Number::Int);
        }
        if let Some(value) = self.graph.sym_float_values.get(name) {
            return match value {
                SymFloat::AsFloat(value) => Some(Number::Float(value.0)),
                SymFloat::AsExpr { hint } => of_hint(hint),
            };
        }
        match self.graph.sym_bool_values.get(name)? {
            SymBool::AsBool(value) => Some(Number::Bool(*value)),
            SymBool::AsExpr { hint } => of_hint(hint),
        }
    }
}

/// What a node makes in the example.
pub(super) fn example(scope: &Scope<'_>, node: &Node, makes: &[Slot]) -> Result<Example, String> {
    let mut example = Example::default();
    let names = node.outputs.iter().flat_map(|output| match output {
        Argument::Tensors(names) => names.iter().map(|name| (name.as_str(), true)).collect(),
        Argument::Tensor(name) => vec![(name.as_str(), true)],
        other => other.name().map(|name| (name, false)).into_iter().collect::<Vec<_>>(),
    });
    for ((name, tensor), slot) in names.zip(makes) {
        if tensor {
            example.forms.push(scope.form(name)?);
        } else {
            let number = scope.number(name).ok_or_else(|| format!("{name} depends on data"))?;
            example.numbers.push((*slot, number));
        }
    }
    Ok(example)
}
