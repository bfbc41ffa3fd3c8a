//! Which axes of a tensor are heads and their channels, followed through views.

use crate::graph::{Operation, Value};
use crate::structure::operator::stem;
use crate::structure::shape::axis;

/// What runs along a part of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Head,
    Channel,
    /// Batch and positions.
    Other,
}

/// The axes of a tensor, each as its factors, outermost first; factors of size 1 are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heads(Vec<Vec<(Label, i64)>>);

impl Heads {
    /// Of a context `[batch, head, query, channel]`, of one with batch and heads in one axis, or with groups of heads apart.
    pub(super) fn of_context(shape: &[i64], heads: usize) -> Option<Self> {
        let (&[query, channel], outer) = (shape.last_chunk::<2>()?, shape.get(..shape.len() - 2)?);
        let mut rest = i64::try_from(heads).ok()?;
        if shape.iter().any(|size| *size <= 0) || rest < 1 {
            return None;
        }
        let mut axes = vec![vec![(Label::Channel, channel)], vec![(Label::Other, query)]];
        for &size in outer.iter().rev() {
            if rest % size == 0 {
                axes.push(vec![(Label::Head, size)]);
                rest /= size;
            } else if size % rest == 0 {
                axes.push(vec![(Label::Other, size / rest), (Label::Head, rest)]);
                rest = 1;
            } else {
                return None;
            }
        }
        axes.reverse();
        axes.iter_mut().for_each(|factors| factors.retain(|(_, size)| *size != 1));
        (rest == 1).then_some(Self(axes))
    }

    /// After a reshape.
    pub(super) fn reshaped(&self, shape: &[i64]) -> Option<Self> {
        let mut left = self.0.iter().flatten().copied();
        let mut open = None;
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape {
            let (mut factors, mut rest) = (Vec::new(), size);
            while rest > 1 {
                let (label, n): (Label, i64) = open.take().or_else(|| left.next())?;
                if rest % n == 0 {
                    factors.push((label, n));
                    rest /= n;
                } else if n % rest == 0 {
                    factors.push((label, rest));
                    (open, rest) = (Some((label, n / rest)), 1);
                } else {
                    return None;
                }
            }
            axes.push(factors);
        }
        (open.is_none() && left.next().is_none()).then_some(Self(axes))
    }

    /// After axes were moved.
    pub(super) fn permuted(&self, operation: &Operation) -> Option<Self> {
        let rank = self.0.len();
        let number =
            |name: &str| operation.argument(name).and_then(Value::as_int).and_then(|i| axis(i, rank));
        let mut axes = self.0.clone();
        match stem(operation) {
            "permute" | "permute_copy" => {
                let dims = operation.argument("dims")?.as_ints()?;
                axes = dims.iter().map(|i| self.0.get(axis(*i, rank)?).cloned()).collect::<Option<_>>()?;
            }
            "transpose" | "transpose_copy" | "swapdims" | "swapaxes" => {
                let first = number("dim0").or_else(|| number("axis0"))?;
                axes.swap(first, number("dim1").or_else(|| number("axis1"))?);
            }
            "t" | "t_copy" | "mT" | "numpy_T" if rank == 2 => axes.swap(0, 1),
            "mT" if rank > 2 => axes.swap(rank - 2, rank - 1),
            _ => return None,
        }
        (axes.len() == rank).then_some(Self(axes))
    }

    /// True if the last axis is all heads one after the other, and nothing else.
    pub(super) fn side_by_side(&self, shape: &[i64]) -> bool {
        let Some((last, outer)) = self.0.split_last() else { return false };
        let product = last.iter().fold(1_i64, |n, (_, size)| n.saturating_mul(*size));
        let whole = shape.last() == Some(&product);
        let channels = last.iter().skip_while(|(label, _)| *label == Label::Head);
        let in_order = channels.into_iter().all(|(label, _)| *label == Label::Channel);
        whole && in_order && outer.iter().flatten().all(|(label, _)| *label == Label::Other)
    }
}
