//! Takes in the tensors of a map that are made of weights alone.

use std::collections::BTreeSet;

use fmrai_core::graph::{Graph, Operation, Origin, TensorId, Value};

use super::action::{Operand, Rounding};
use super::constants::{Constant, Recipe};
use super::error::LensError;
use super::operation::{Form, binary, form, not_understood, permutation, place, shape, slice, stem, unary};

/// Tensors of weights in a map.
const LIMIT: usize = 256;

/// How each tensor is made that does not depend on what is read.
pub(super) struct Recipes<'g> {
    graph: &'g dyn Graph,
    /// For each tensor, whether it is made of weights alone.
    plain: Vec<bool>,
    /// In the order they are made.
    constants: Vec<Constant>,
    known: BTreeSet<TensorId>,
}

impl<'g> Recipes<'g> {
    /// Of no tensor yet.
    pub(super) fn new(graph: &'g dyn Graph) -> Self {
        let leaf = |origin| matches!(origin, Origin::Parameter | Origin::Constant);
        let mut plain: Vec<bool> = graph.tensors().iter().map(|t| leaf(t.origin)).collect();
        for operation in graph.operations() {
            let of_weights = operation.inputs().all(|id| plain.get(id.0 as usize) == Some(&true));
            for id in operation.outputs.iter().filter(|_| of_weights) {
                if let Some(place) = plain.get_mut(id.0 as usize) {
                    *place = true;
                }
            }
        }
        Self { graph, plain, constants: Vec::new(), known: BTreeSet::new() }
    }

    /// Those that were taken in, in the order they are made.
    pub(super) fn into_constants(self) -> Vec<Constant> {
        self.constants
    }

    pub(super) fn is_plain(&self, id: TensorId) -> bool {
        self.plain.get(id.0 as usize) == Some(&true)
    }

    pub(super) fn rounding(&self, id: TensorId) -> Rounding {
        self.graph.tensor(id).map_or(Rounding::None, |t| Rounding::to(t.dtype))
    }

    /// The rounding of a copy: none in the same type, where it would only take time and memory.
    pub(super) fn cast(&self, from: TensorId, to: TensorId) -> Rounding {
        let dtype = |id| self.graph.tensor(id).map(|t| t.dtype);
        if dtype(from) == dtype(to) { Rounding::None } else { self.rounding(to) }
    }

    pub(super) fn weight(
        &mut self,
        operation: &Operation,
        name: &str,
    ) -> Result<Option<TensorId>, LensError> {
        let Some(id) = operation.tensor(name) else { return Ok(None) };
        if !self.is_plain(id) {
            return Err(not_understood(operation, format!("its {name} is no weight")));
        }
        self.constant(id)?;
        Ok(Some(id))
    }

    /// The number that a tensor of weights repeats, where it is made of one.
    pub(super) fn repeated(&self, id: TensorId) -> Option<f64> {
        let producer = self.graph.producer(id)?;
        match stem(producer) {
            "full" | "full_like" | "new_full" => producer.argument("fill_value")?.as_float(),
            "scalar_tensor" => producer.argument("s")?.as_float(),
            "ones" | "ones_like" | "new_ones" => Some(1.0),
            "zeros" | "zeros_like" | "new_zeros" => Some(0.0),
            _ => None,
        }
    }

    /// Takes in what makes a tensor of weights.
    pub(super) fn constant(&mut self, id: TensorId) -> Result<(), LensError> {
        if self.known.contains(&id) {
            return Ok(());
        }
        if self.known.len() >= LIMIT {
            return Err(LensError::NotUnderstood {
                operation: format!("tensor {id}"),
                what: format!("it is made of more than {LIMIT} others"),
            });
        }
        let recipe = match self.graph.producer(id) {
            None => Recipe::Parameter,
            Some(operation) => self.recipe(operation)?,
        };
        let rounding = match recipe {
            Recipe::Parameter => Rounding::None,
            Recipe::Same(input) | Recipe::Shape(input, _) | Recipe::Permute(input, _) => self.cast(input, id),
            Recipe::Part { input, .. } => self.cast(input, id),
            Recipe::Number(_) | Recipe::Unary(..) | Recipe::Binary { .. } => self.rounding(id),
        };
        self.known.insert(id);
        self.constants.push(Constant { output: id, recipe, rounding });
        Ok(())
    }

    fn recipe(&mut self, operation: &Operation) -> Result<Recipe, LensError> {
        let output = operation.outputs.first().copied();
        if let Some(number) = output.and_then(|id| self.repeated(id)) {
            return Ok(Recipe::Number(number));
        }
        let name = stem(operation);
        if let Some(function) = unary(operation)? {
            return Ok(Recipe::Unary(function, self.part(operation, "self")?));
        }
        if let Some((kind, reversed)) = binary(operation)? {
            let mut side = |name: &str| match operation.argument(name) {
                Some(Value::Tensor(id)) => {
                    self.constant(*id)?;
                    Ok(Operand::Constant(*id))
                }
                Some(value) => {
                    let number = value.as_float().map(Operand::Number);
                    number.ok_or_else(|| not_understood(operation, format!("an operand is {value}")))
                }
                None => Err(not_understood(operation, format!("it has no {name}"))),
            };
            let (left, right) =
                if reversed { (side("other")?, side("self")?) } else { (side("self")?, side("other")?) };
            let alpha = operation.argument("alpha").and_then(Value::as_float).unwrap_or(1.0);
            if reversed && alpha != 1.0 {
                return Err(not_understood(operation, "its factor is not 1"));
            }
            return Ok(Recipe::Binary { kind, left, right, alpha });
        }
        let kind =
            if name.starts_with("expand") || name == "broadcast_to" { Some(Form::Copy) } else { form(name) };
        let kind = kind.ok_or_else(|| not_understood(operation, "a weight is made by it"))?;
        let id = operation.inputs().next().ok_or_else(|| not_understood(operation, "it takes no tensor"))?;
        self.constant(id)?;
        let from = shape(self.graph, id);
        Ok(match kind {
            Form::Copy => Recipe::Same(id),
            Form::Dropout => return Err(not_understood(operation, "a weight is made by it")),
            Form::View => {
                let shape = output.map(|id| shape(self.graph, id)).unwrap_or_default();
                Recipe::Shape(id, shape.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect())
            }
            Form::Permute => {
                let order = permutation(operation, from.len());
                Recipe::Permute(id, order.ok_or_else(|| not_understood(operation, "its axes are not known"))?)
            }
            Form::Slice => {
                let axis = operation.argument("dim").and_then(Value::as_int);
                let axis = axis.and_then(|axis| place(axis, from.len()));
                let size = axis.and_then(|axis| from.get(axis).copied());
                let part = size.and_then(|size| slice(operation, size));
                let (Some(axis), Some((start, end))) = (axis, part) else {
                    return Err(not_understood(operation, "what it takes of a weight is not known"));
                };
                Recipe::Part { input: id, axis, start, end }
            }
        })
    }

    fn part(&mut self, operation: &Operation, name: &str) -> Result<TensorId, LensError> {
        let id =
            operation.tensor(name).ok_or_else(|| not_understood(operation, format!("it has no {name}")))?;
        self.constant(id)?;
        Ok(id)
    }
}
