//! Takes in the operations of a map, walking back from its end.

use std::collections::{BTreeMap, BTreeSet};

use fmrai_core::graph::{Graph, Operation, OperationId, TensorId, Value};

use super::action::{Action, Operand};
use super::error::LensError;
use super::operation::{Form, binary, form, not_understood, permutation, place, shape, slice, stem, unary};
use super::program::{Program, Step};
use super::recipes::Recipes;

/// Operations of a map. The longest known have about thirty.
const LIMIT: usize = 256;

/// A program, and whether the tensor it starts from is met on the way.
pub(super) struct Found {
    pub(super) program: Program,
    pub(super) reaches: bool,
}

/// Walks back from the logits and takes in what is met.
pub(super) struct Builder<'g> {
    graph: &'g dyn Graph,
    sums: &'g BTreeSet<TensorId>,
    start: TensorId,
    /// Further tensors that are given.
    given: &'g [TensorId],
    recipes: Recipes<'g>,
    steps: BTreeMap<OperationId, Step>,
    reaches: bool,
}

impl<'g> Builder<'g> {
    pub(super) fn new(graph: &'g dyn Graph, sums: &'g BTreeSet<TensorId>, start: TensorId) -> Self {
        let recipes = Recipes::new(graph);
        Self { graph, sums, start, given: &[], recipes, steps: BTreeMap::new(), reaches: false }
    }

    /// The same where these are given, too.
    pub(super) fn given(self, given: &'g [TensorId]) -> Self {
        Self { given, ..self }
    }

    pub(super) fn program(mut self, end: TensorId) -> Result<Found, LensError> {
        self.rows(end)?;
        let program = Program {
            start: self.start,
            end,
            constants: self.recipes.into_constants(),
            steps: self.steps.into_values().collect(),
        };
        Ok(Found { program, reaches: self.reaches })
    }

    /// Takes in what makes a tensor of rows.
    fn rows(&mut self, id: TensorId) -> Result<(), LensError> {
        if id == self.start {
            self.reaches = true;
            return Ok(());
        }
        if self.given.contains(&id) {
            return Ok(());
        }
        if self.sums.contains(&id) {
            return Err(LensError::SeveralStreams { first: self.start, second: id });
        }
        let Some(operation) = self.graph.producer(id) else {
            let name = self.graph.tensor(id).and_then(|t| t.name.as_deref()).unwrap_or("an input");
            return Err(LensError::NotUnderstood {
                operation: format!("tensor {id} ({name})"),
                what: "the map reads it beside the stream".to_owned(),
            });
        };
        if self.steps.contains_key(&operation.id) {
            return Ok(());
        }
        if self.steps.len() >= LIMIT {
            return Err(not_understood(operation, format!("the map has more than {LIMIT} operations")));
        }
        if operation.outputs.first() != Some(&id) {
            return Err(not_understood(operation, "the map reads another than its first result"));
        }
        let (action, name) = self.action(operation)?;
        let name = if name { stem(operation).to_owned() } else { String::new() };
        let rounding = match action {
            Action::Same(input) => self.recipes.cast(input, id),
            _ => self.recipes.rounding(id),
        };
        let step = Step { name, action, output: id, rounding };
        self.steps.insert(operation.id, step);
        Ok(())
    }

    /// A tensor that goes into arithmetic.
    fn operand(&mut self, operation: &Operation, value: &Value) -> Result<Operand, LensError> {
        match value {
            Value::Tensor(id) if self.recipes.is_plain(*id) => {
                self.recipes.constant(*id)?;
                Ok(Operand::Constant(*id))
            }
            Value::Tensor(id) => {
                self.rows(*id)?;
                Ok(Operand::Rows(*id))
            }
            other => other
                .as_float()
                .map(Operand::Number)
                .ok_or_else(|| not_understood(operation, format!("an operand is {other}"))),
        }
    }

    fn input(&mut self, operation: &Operation, name: &str) -> Result<TensorId, LensError> {
        let id =
            operation.tensor(name).ok_or_else(|| not_understood(operation, format!("it has no {name}")))?;
        if self.recipes.is_plain(id) {
            return Err(not_understood(operation, format!("its {name} is a weight")));
        }
        self.rows(id)?;
        Ok(id)
    }

    /// What an operation does with rows, and whether that is more than a change of form.
    fn action(&mut self, operation: &Operation) -> Result<(Action, bool), LensError> {
        let name = stem(operation);
        if let Some(kind) = form(name) {
            return self.form(operation, kind);
        }
        if let Some(function) = unary(operation)? {
            return Ok((Action::Unary(function, self.input(operation, "self")?), true));
        }
        if let Some((kind, reversed)) = binary(operation)? {
            let (left, right, alpha) = self.sides(operation, reversed)?;
            return Ok((Action::Binary { kind, left, right, alpha }, true));
        }
        let action = match name {
            "layer_norm" | "native_layer_norm" => self.norm(operation, true)?,
            "rms_norm" | "_fused_rms_norm" => self.norm(operation, false)?,
            "linear" => {
                let input = self.input(operation, "input")?;
                self.linear(operation, input, "weight", 1, "bias")?
            }
            "mm" => {
                let input = self.input(operation, "self")?;
                self.linear(operation, input, "mat2", 0, "")?
            }
            "bmm" => {
                let input = self.input(operation, "self")?;
                self.repeated(operation, input)?
            }
            "matmul" | "linalg_matmul" => {
                let input = self.input(operation, "self")?;
                self.linear(operation, input, "other", 0, "")?
            }
            "addmm" => {
                let factors =
                    ["beta", "alpha"].map(|name| operation.argument(name).and_then(Value::as_float));
                if factors.iter().any(|factor| factor.is_some_and(|factor| factor != 1.0)) {
                    return Err(not_understood(operation, "its factors are not 1"));
                }
                let input = self.input(operation, "mat1")?;
                self.linear(operation, input, "mat2", 0, "self")?
            }
            "mean" => Action::Mean(self.reduced(operation)?),
            "sum" => Action::Sum(self.reduced(operation)?),
            "var" => {
                let correction = match (operation.argument("correction"), operation.argument("unbiased")) {
                    (Some(correction), _) => correction.as_float().unwrap_or(1.0),
                    (None, Some(Value::Bool(false))) => 0.0,
                    _ => 1.0,
                };
                Action::Variance { input: self.reduced(operation)?, correction }
            }
            _ => return Err(not_understood(operation, "it is none of the operations that are known here")),
        };
        Ok((action, true))
    }

    fn sides(&mut self, operation: &Operation, reversed: bool) -> Result<(Operand, Operand, f64), LensError> {
        let side = |name: &str| {
            let value = operation.argument(name).cloned();
            value.ok_or_else(|| not_understood(operation, format!("it has no {name}")))
        };
        let (first, second) = (side("self")?, side("other")?);
        let (first, second) = if reversed { (second, first) } else { (first, second) };
        let alpha = operation.argument("alpha").and_then(Value::as_float).unwrap_or(1.0);
        if reversed && alpha != 1.0 {
            return Err(not_understood(operation, "its factor is not 1"));
        }
        let mut plain = Vec::new();
        for value in [&first, &second] {
            let made = match value {
                Value::Tensor(id) if self.recipes.is_plain(*id) && self.recipes.repeated(*id).is_none() => {
                    self.recipes.constant(*id)?;
                    self.across(operation, *id)?;
                    Operand::Constant(*id)
                }
                Value::Tensor(id) if self.recipes.is_plain(*id) => {
                    Operand::Number(self.recipes.repeated(*id).unwrap_or_default())
                }
                value => self.operand(operation, value)?,
            };
            plain.push(made);
        }
        match plain[..] {
            [first, second] => Ok((first, second, alpha)),
            _ => Err(not_understood(operation, "it has not two sides")),
        }
    }

    /// A weight that is combined with rows has to be the same for each of them.
    fn across(&self, operation: &Operation, id: TensorId) -> Result<(), LensError> {
        let sizes = shape(self.graph, id);
        if sizes.iter().rev().skip(1).all(|n| *n == 1) {
            return Ok(());
        }
        Err(not_understood(operation, format!("a weight of it, {sizes:?}, differs between positions")))
    }

    fn norm(&mut self, operation: &Operation, centred: bool) -> Result<Action, LensError> {
        let axes = operation.argument("normalized_shape").and_then(Value::as_ints);
        if axes.is_none_or(|axes| axes.len() != 1) {
            return Err(not_understood(operation, "it normalises more than the last axis"));
        }
        let eps = operation.argument("eps").or_else(|| operation.argument("epsilon"));
        let eps = match eps {
            // An RMS norm without a number takes the element type's.
            None | Some(Value::None) if !centred => f64::from(f32::EPSILON),
            Some(eps) => {
                eps.as_float().ok_or_else(|| not_understood(operation, format!("its eps is {eps}")))?
            }
            None => return Err(not_understood(operation, "it has no eps")),
        };
        let input = self.input(operation, "input")?;
        let (weight, bias) =
            (self.recipes.weight(operation, "weight")?, self.recipes.weight(operation, "bias")?);
        Ok(Action::Norm { input, centred, eps, weight, bias })
    }

    fn linear(
        &mut self,
        operation: &Operation,
        input: TensorId,
        weight: &str,
        summed: usize,
        bias: &str,
    ) -> Result<Action, LensError> {
        let weight = self.recipes.weight(operation, weight)?;
        let weight = weight.ok_or_else(|| not_understood(operation, "it has no weight"))?;
        if shape(self.graph, weight).len() != 2 {
            return Err(not_understood(operation, "its weight has not two axes"));
        }
        let bias = if bias.is_empty() { None } else { self.recipes.weight(operation, bias)? };
        if let Some(bias) = bias {
            self.across(operation, bias)?;
        }
        Ok(Action::Linear { input, weight, summed, bias })
    }

    /// A product of each sample with the same weight, which is repeated for that.
    fn repeated(&mut self, operation: &Operation, input: TensorId) -> Result<Action, LensError> {
        let whole = operation.tensor("mat2");
        let mut weight = whole.ok_or_else(|| not_understood(operation, "it has no mat2"))?;
        let sizes = shape(self.graph, weight).get(1..).unwrap_or_default();
        while shape(self.graph, weight) != sizes {
            let producer = self.graph.producer(weight);
            let repeats = |name: &str| name.starts_with("expand") || form(name) == Some(Form::View);
            let before = producer.filter(|producer| repeats(stem(producer))).and_then(|p| p.inputs().next());
            weight = before.ok_or_else(|| not_understood(operation, "its weight differs between samples"))?;
        }
        if sizes.len() != 2 || !self.recipes.is_plain(weight) {
            return Err(not_understood(operation, "its mat2 is no weight"));
        }
        self.recipes.constant(weight)?;
        Ok(Action::Linear { input, weight, summed: 0, bias: None })
    }

    /// What is reduced over its last axis, which stays.
    fn reduced(&mut self, operation: &Operation) -> Result<TensorId, LensError> {
        let id = operation.tensor("self").ok_or_else(|| not_understood(operation, "it has no self"))?;
        let rank = shape(self.graph, id).len();
        let last = operation.argument("dim").and_then(Value::as_ints).is_some_and(
            |axes| matches!(axes, [axis] if place(*axis, rank).is_some_and(|axis| axis + 1 == rank)),
        );
        if !last || operation.argument("keepdim") != Some(&Value::Bool(true)) {
            return Err(not_understood(operation, "it reduces more or other axes than the last"));
        }
        self.input(operation, "self")
    }

    fn form(&mut self, operation: &Operation, kind: Form) -> Result<(Action, bool), LensError> {
        let id = operation.inputs().next().ok_or_else(|| not_understood(operation, "it takes no tensor"))?;
        let output = operation.outputs.first().copied().unwrap_or(id);
        let (from, to) = (shape(self.graph, id), shape(self.graph, output));
        let same = || (Action::Same(id), false);
        let found = match kind {
            Form::Dropout => {
                let train = operation.argument("train");
                if train == Some(&Value::Bool(true)) {
                    return Err(not_understood(operation, "it drops numbers at random"));
                }
                same()
            }
            Form::Copy => same(),
            Form::View => {
                if from.last() != to.last() {
                    return Err(not_understood(
                        operation,
                        format!("it splits or joins channels: {from:?} to {to:?}"),
                    ));
                }
                same()
            }
            Form::Permute => {
                let order = permutation(operation, from.len());
                let stays = order.as_ref().is_some_and(|order| order.last() == Some(&(from.len() - 1)));
                if !stays {
                    return Err(not_understood(operation, "it moves the axis of channels"));
                }
                same()
            }
            Form::Slice => {
                let rank = from.len();
                let axis =
                    operation.argument("dim").and_then(Value::as_int).and_then(|axis| place(axis, rank));
                if axis.is_some_and(|axis| axis + 1 == rank) {
                    let (start, end) = slice(operation, from.last().copied().unwrap_or(0))
                        .ok_or_else(|| not_understood(operation, "it leaves channels out in between"))?;
                    (Action::Part { input: id, start, end }, true)
                } else {
                    same() // Some of the positions: each is read as before.
                }
            }
        };
        self.rows(id)?;
        Ok(found)
    }
}
