//! In which order an operation puts the axes of its operand.

use crate::graph::{Operation, Value};

use super::operator::stem;
use super::shape::axis;

/// For each axis of the result, the axis of the operand, of `rank` axes, that it was; `None` for operations that move none.
pub(super) fn permutation(operation: &Operation, rank: usize) -> Option<Vec<usize>> {
    let number = |name: &str| operation.argument(name).and_then(Value::as_int).and_then(|i| axis(i, rank));
    let swapped = |a: usize, b: usize| {
        let mut order: Vec<usize> = (0..rank).collect();
        (a < rank && b < rank).then(|| order.swap(a, b))?;
        Some(order)
    };
    match stem(operation) {
        "permute" | "permute_copy" => {
            let dims = operation.argument("dims")?.as_ints()?;
            let order: Vec<usize> = dims.iter().map(|i| axis(*i, rank)).collect::<Option<_>>()?;
            (order.len() == rank).then_some(order)
        }
        "transpose" | "transpose_copy" | "swapdims" | "swapaxes" => {
            let first = number("dim0").or_else(|| number("axis0"))?;
            swapped(first, number("dim1").or_else(|| number("axis1"))?)
        }
        "movedim" | "moveaxis" => {
            let list = |name: &str| -> Option<Vec<usize>> {
                let all = match operation.argument(name)? {
                    Value::Ints(all) | Value::Sizes(all) => all.clone(),
                    one => vec![one.as_int()?],
                };
                all.into_iter().map(|i| axis(i, rank)).collect()
            };
            let (from, to) = (list("source")?, list("destination")?);
            let mut rest = (0..rank).filter(|i| !from.contains(i));
            (0..rank)
                .map(|i| match to.iter().position(|t| *t == i) {
                    Some(k) => from.get(k).copied(),
                    None => rest.next(),
                })
                .collect()
        }
        "numpy_T" if rank != 2 => Some((0..rank).rev().collect()),
        "t" | "t_copy" | "mT" | "adjoint" | "matrix_H" | "numpy_T" => {
            if rank < 2 {
                return Some((0..rank).collect());
            }
            swapped(rank - 2, rank - 1)
        }
        _ => None,
    }
}
