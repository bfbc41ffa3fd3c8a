//! What a program takes from its user.

use std::collections::BTreeMap;

use super::program::NumberKind;
use super::schema::{RangeConstraint, SymInt, TensorMeta};
use crate::ffi::call::{Held, Slot};
use crate::model::{Axis, InputSpec, ModelError, NamedTensors};

/// An input of a program.
pub(super) struct UserInput {
    /// Its name in the data, element type and axes.
    pub(super) spec: InputSpec,
    pub(super) slot: Slot,
    /// What it is, if it is no tensor.
    pub(super) number: Option<NumberKind>,
    /// For each axis, the symbol of its size: axes of one symbol are equally long.
    pub(super) symbols: Vec<Option<String>>,
    /// Its value in the example.
    pub(super) example: Held,
    /// Whether the program writes into it.
    pub(super) written: bool,
}

/// Sizes that may be beyond this have no limit.
const UNLIMITED: i64 = 1 << 40;

/// How long the axes of a tensor may be, and their symbols.
///
/// An axis that was dynamic at export takes length 1 as well, although PyTorch writes 2 as its least size: it tells
/// sizes 0 and 1 apart from all others while it traces, and programs hold for size 1 nevertheless.
pub(super) fn axes(
    meta: &TensorMeta,
    ranges: &BTreeMap<String, RangeConstraint>,
) -> (Vec<Axis>, Vec<Option<String>>) {
    let axis = |size: &SymInt| match size {
        SymInt::AsInt(size) => (Axis::Fixed(*size), None),
        SymInt::AsExpr { expr_str, .. } => {
            let symbol = symbol(expr_str);
            let range = symbol.and_then(|symbol| ranges.get(symbol));
            let min = range.and_then(|range| range.min_val).unwrap_or(1);
            let min = if min <= 2 { min.clamp(0, 1) } else { min };
            let max = range.and_then(|range| range.max_val).filter(|max| *max < UNLIMITED);
            (Axis::Range { min, max }, symbol.map(str::to_owned))
        }
    };
    meta.sizes.iter().map(axis).unzip()
}

/// The name in an expression that is nothing but `Symbol('name', ...)`.
fn symbol(expression: &str) -> Option<&str> {
    let (name, rest) = expression.strip_prefix("Symbol('")?.split_once('\'')?;
    let end = rest.find(')')?;
    (end + 1 == rest.len()).then_some(name)
}

/// The inputs by their names in the data, each once.
pub(super) fn specs(inputs: &[UserInput]) -> Vec<InputSpec> {
    let mut specs: Vec<InputSpec> = Vec::new();
    for input in inputs {
        if !specs.iter().any(|spec| spec.name == input.spec.name) {
            specs.push(input.spec.clone());
        }
    }
    specs
}

fn wrong(needed: String, found: String) -> ModelError {
    ModelError::Inputs { found, needed }
}

fn describe(spec: &InputSpec) -> String {
    let axes: Vec<String> = spec.axes.iter().flatten().map(ToString::to_string).collect();
    let dtype = spec.dtype.map(|dtype| format!(" of {dtype}")).unwrap_or_default();
    format!("`{}` [{}]{dtype}", spec.name, axes.join(", "))
}

/// Checks names, element types and shapes, without running an operation.
pub(super) fn check(inputs: &[UserInput], given: &NamedTensors) -> Result<(), ModelError> {
    for (index, (name, _)) in given.0.iter().enumerate() {
        if !inputs.iter().any(|input| input.spec.name == *name) {
            let names: Vec<String> = specs(inputs).iter().map(|spec| format!("`{}`", spec.name)).collect();
            return Err(wrong(names.join(", "), format!("`{name}`")));
        }
        if given.0.iter().take(index).any(|(other, _)| other == name) {
            return Err(wrong(format!("`{name}` once"), "it twice".to_owned()));
        }
    }
    let mut sizes: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
    for input in inputs {
        let spec = &input.spec;
        let Some(tensor) = given.get(&spec.name) else {
            let names: Vec<&str> = given.0.iter().map(|(name, _)| name.as_str()).collect();
            let found =
                if names.is_empty() { "nothing".to_owned() } else { format!("only {}", names.join(", ")) };
            return Err(wrong(describe(spec), found));
        };
        if !tensor.is_defined() {
            return Err(wrong(describe(spec), "an undefined tensor".to_owned()));
        }
        let dtype = tensor.dtype();
        if spec.dtype.is_some_and(|needed| needed != dtype) || !tensor.is_strided() {
            let found = if !tensor.is_strided() { "a sparse tensor".to_owned() } else { format!("{dtype}") };
            return Err(wrong(describe(spec), found));
        }
        let shape = tensor.size();
        let axes = spec.axes.as_deref().unwrap_or_default();
        let fits =
            shape.len() == axes.len() && axes.iter().zip(&shape).all(|(axis, size)| axis.accepts(*size));
        if !fits {
            return Err(wrong(describe(spec), format!("shape {shape:?}")));
        }
        for (symbol, size) in input.symbols.iter().zip(&shape) {
            let Some(symbol) = symbol else { continue };
            match sizes.insert(symbol, (*size, &spec.name)) {
                Some((other, name)) if other != *size => {
                    let needed = format!("axes of one length in `{name}` and `{}`", spec.name);
                    return Err(wrong(needed, format!("{other} and {size}")));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

impl UserInput {
    /// What the program gets of the data.
    pub(super) fn value(&self, given: &NamedTensors) -> Result<Held, ModelError> {
        let Some(tensor) = given.get(&self.spec.name) else {
            return Err(wrong(describe(&self.spec), "nothing".to_owned()));
        };
        let Some(kind) = self.number else { return Ok(Held::Tensor(tensor.clone())) };
        // Read without an operation, so that nothing but the program itself is recorded.
        Ok(match kind {
            NumberKind::Int => Held::Int(tensor.item()?),
            NumberKind::Float => Held::Float(tensor.item()?),
            NumberKind::Bool => Held::Bool(tensor.item()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_symbols_are_symbols() {
        assert_eq!(symbol("Symbol('s77', positive=True, integer=True)"), Some("s77"));
        assert_eq!(symbol("Mul(Integer(2), Symbol('s77', positive=True))"), None);
        assert_eq!(symbol("Symbol('s77', positive=True) + Symbol('s1')"), None);
        assert_eq!(symbol("Symbol('s77"), None);
    }
}
