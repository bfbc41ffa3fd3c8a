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

/// A product with a name for each axis of its operands and its result; axes under an ellipsis are named by their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contraction {
    pub(super) operands: [(TensorId, Vec<u32>); 2],
    pub(super) result: Vec<u32>,
}

impl Contraction {
    /// The axes that are summed over.
    pub(super) fn summed(&self) -> Vec<u32> {
        let [(_, one), (_, other)] = &self.operands;
        one.iter().copied().filter(|l| other.contains(l) && !self.result.contains(l)).collect()
    }
}

const ROW: u32 = 0;
const SUMMED: u32 = 1;
const COLUMN: u32 = 2;

/// The axes of a matrix product or an Einstein sum of two tensors.
pub(super) fn contraction(graph: &dyn Graph, operation: &Operation) -> Option<Contraction> {
    let rank = |id: TensorId| graph.tensor(id).map(|t| t.shape.len());
    // Places of axes before the last two, counted from the back.
    let place = |back: usize| u32::try_from(back).map_or(u32::MAX, |back| back.saturating_add(1 << 16));
    if let Some(Einsum { operands, result }) = Einsum::of(operation) {
        let expand = |labels: &[char], rank: usize| -> Vec<u32> {
            let hidden = (rank + 1).saturating_sub(labels.len());
            let all = labels.iter().flat_map(|&label| match label {
                '.' => (0..hidden).rev().map(place).collect::<Vec<u32>>(),
                label => vec![u32::from(label)],
            });
            all.collect()
        };
        let [(first, a), (second, b)] = operands;
        let output = rank(*operation.outputs.first()?)?;
        return Some(Contraction {
            operands: [(first, expand(&a, rank(first)?)), (second, expand(&b, rank(second)?))],
            result: expand(&result, output),
        });
    }
    let found = factors(graph, operation)?;
    let (left, right) = (rank(found.left)?, rank(found.right)?);
    let labels = |rank: usize, last: [u32; 2]| -> Vec<u32> {
        (0..rank.saturating_sub(2)).rev().map(place).chain(last).collect()
    };
    if stem(operation) == "linear" {
        // `input` has any number of axes before the last.
        let (input, mut result) = (labels(left, [ROW, SUMMED]), labels(left, [ROW, COLUMN]));
        result.truncate(left);
        return (right == 2).then(|| Contraction {
            operands: [(found.left, input), (found.right, vec![COLUMN, SUMMED])],
            result,
        });
    }
    Some(Contraction {
        operands: [(found.left, labels(left, [ROW, SUMMED])), (found.right, labels(right, [SUMMED, COLUMN]))],
        result: labels(left.max(right), [ROW, COLUMN]),
    })
}
