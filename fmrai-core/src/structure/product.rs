//! Matrix products of all spellings.

use crate::graph::{Graph, Operation, TensorId, Value};

use super::operator::stem;

/// The factors of a product: `left` holds the rows of the result, `right` its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factors {
    pub(super) left: TensorId,
    pub(super) right: TensorId,
}

/// The two factors by the names of the operation's schema, in the order they are multiplied.
fn pair(operation: &Operation) -> Option<(TensorId, TensorId)> {
    let (left, right) = match stem(operation) {
        "matmul" | "linalg_matmul" => ("self", "other"),
        "bmm" | "mm" => ("self", "mat2"),
        "baddbmm" => ("batch1", "batch2"),
        "addmm" => ("mat1", "mat2"),
        "linear" => ("input", "weight"),
        _ => return None,
    };
    Some((operation.tensor(left)?, operation.tensor(right)?))
}

/// The factors of an operation whose result is a matrix in its last two axes.
pub(super) fn factors(graph: &dyn Graph, operation: &Operation) -> Option<Factors> {
    if let Some(einsum) = Einsum::of(operation) {
        return einsum.factors();
    }
    let (left, right) = pair(operation)?;
    let matrix = |id| graph.tensor(id).is_some_and(|t| t.shape.len() >= 2);
    (matrix(left) && matrix(right)).then_some(Factors { left, right })
}

/// The other factor of a product that sums over the last axis of `left`, or over its last but one if `transposed`,
/// and keeps the other of the two.
pub(super) fn summed_with(
    graph: &dyn Graph,
    operation: &Operation,
    left: TensorId,
    transposed: bool,
) -> Option<TensorId> {
    if let Some(einsum) = Einsum::of(operation) {
        return einsum.summed_with(left, transposed);
    }
    let found = factors(graph, operation)?;
    match transposed {
        false if found.left == left => Some(found.right),
        true if found.right == left && stem(operation) != "linear" => Some(found.left),
        _ => None,
    }
}

/// A tensor and the labels of its axes.
pub(super) type Labelled = (TensorId, Vec<char>);

/// The operands of an Einstein sum of two tensors with the labels of their axes, and those of its result.
pub(super) fn equation(operation: &Operation) -> Option<([Labelled; 2], Vec<char>)> {
    let Einsum { operands, result } = Einsum::of(operation)?;
    Some((operands, result))
}

/// An Einstein sum of two tensors; axes under an ellipsis are the label `.`.
struct Einsum {
    operands: [(TensorId, Vec<char>); 2],
    result: Vec<char>,
}

impl Einsum {
    fn of(operation: &Operation) -> Option<Self> {
        let (Some(Value::Text(equation)), Some(Value::Tensors(tensors))) =
            (operation.argument("equation"), operation.argument("tensors"))
        else {
            return None;
        };
        let &[Some(first), Some(second)] = tensors.as_slice() else { return None };
        let equation: String = equation.replace("...", ".").split_whitespace().collect();
        let (inputs, result) = match equation.split_once("->") {
            Some((inputs, result)) => (inputs, Some(result)),
            None => (equation.as_str(), None),
        };
        let (a, b) = inputs.split_once(',')?;
        let result = result.map_or_else(|| implicit(a, b), |r| r.chars().collect());
        Some(Self { operands: [(first, a.chars().collect()), (second, b.chars().collect())], result })
    }

    fn factors(&self) -> Option<Factors> {
        let &[.., row, column] = self.result.as_slice() else { return None };
        let holder = |label: char| match self.operands.each_ref().map(|(_, labels)| labels.contains(&label)) {
            [true, false] => Some(0),
            [false, true] => Some(1),
            _ => None,
        };
        let (row, column) = (holder(row)?, holder(column)?);
        let [(a, first), (_, second)] = &self.operands;
        let summed = first.iter().any(|l| second.contains(l) && !self.result.contains(l));
        let (left, right) = if row == 0 { (*a, self.operands[1].0) } else { (self.operands[1].0, *a) };
        (row != column && summed).then_some(Factors { left, right })
    }

    fn summed_with(&self, left: TensorId, transposed: bool) -> Option<TensorId> {
        let [a, b] = &self.operands;
        [(a, b), (b, a)].into_iter().find_map(|((id, labels), (other, others))| {
            let &[.., row, column] = labels.as_slice() else { return None };
            let (row, column) = if transposed { (column, row) } else { (row, column) };
            let sums = others.contains(&column) && !self.result.contains(&column);
            let keeps = self.result.contains(&row) && !others.contains(&row);
            (*id == left && sums && keeps).then_some(*other)
        })
    }
}

/// The result of an equation without an arrow: labels that occur once, in alphabetical order after the ellipsis.
fn implicit(a: &str, b: &str) -> Vec<char> {
    let all: Vec<char> = a.chars().chain(b.chars()).collect();
    let mut once: Vec<char> =
        all.iter().copied().filter(|l| *l != '.' && all.iter().filter(|m| *m == l).count() == 1).collect();
    once.sort_unstable();
    if all.contains(&'.') {
        once.insert(0, '.');
    }
    once
}
