//! Probabilities, values and context of an attention block against each other.

use crate::graph::Graph;
use crate::structure::{Attention, AttentionForm};
use crate::tracker::Activations;

use super::numbers::{Numbers, numbers, tolerance};

/// Rows of probabilities that are looked at.
const ROWS: usize = 64;

/// A tensor seen as `[leading.., row, column]`, where these axes are.
struct Seen<'p> {
    numbers: Numbers<'p>,
    strides: Vec<usize>,
    leading: Vec<usize>,
    row: usize,
    column: usize,
}

impl<'p> Seen<'p> {
    fn of(numbers: Numbers<'p>, names: &[String], [row, column]: [&str; 2]) -> Option<Self> {
        let rank = numbers.shape.len();
        let at = |name: &str| names.iter().position(|n| n == name);
        let (row, column) = if names.len() == rank {
            (at(row)?, at(column)?)
        } else {
            (rank.checked_sub(2)?, rank.checked_sub(1)?)
        };
        let mut strides = vec![1; rank];
        for i in (0..rank.saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * numbers.shape[i + 1];
        }
        let leading = (0..rank).filter(|i| *i != row && *i != column).collect();
        Some(Self { numbers, strides, leading, row, column })
    }

    fn size(&self, axis: usize) -> usize {
        self.numbers.shape.get(axis).copied().unwrap_or(0)
    }

    fn outer(&self) -> Vec<usize> {
        self.leading.iter().map(|axis| self.size(*axis)).collect()
    }

    fn at(&self, outer: &[usize], row: usize, column: usize) -> f64 {
        let front: usize = self.leading.iter().zip(outer).map(|(axis, i)| self.strides[*axis] * i).sum();
        self.numbers.at(front + self.strides[self.row] * row + self.strides[self.column] * column)
    }
}

/// Nothing where the tensors do not tell; what does not hold.
pub(super) fn check(
    graph: &dyn Graph,
    block: &Attention,
    pass: &dyn Activations,
) -> Option<Result<(), String>> {
    let [p, v, c] = [block.probabilities, block.value, block.context].map(|id| numbers(pass, id));
    let p = Seen::of(p?, &block.axes.probabilities, ["query", "key"])?;
    let v = Seen::of(v?, &block.axes.value, ["key", "channel"])?;
    let c = Seen::of(c?, &block.axes.context, ["query", "channel"])?;
    let outer = p.outer();
    let heads: usize = outer.iter().product();
    if block.heads == 0 || !heads.is_multiple_of(block.heads) {
        return Some(Err(format!("{} heads do not go into {heads} matrices of probabilities", block.heads)));
    }
    // A sum of several softmaxes has no sum that is known.
    let mixed = block.form == AttentionForm::Eager && block.scores.is_none();
    let dtype = graph.tensor(block.probabilities).map(|t| t.dtype);
    let (queries, keys) = (p.size(p.row), p.size(p.column));
    let all = heads * queries;
    let places: Vec<(Vec<usize>, usize)> = (0..all)
        .step_by((all / ROWS).max(1))
        .map(|place| {
            let mut rest = place / queries.max(1);
            let mut index = vec![0; outer.len()];
            for (i, size) in index.iter_mut().zip(&outer).rev() {
                (*i, rest) = (rest % size, rest / size);
            }
            (index, place % queries.max(1))
        })
        .collect();
    for (index, query) in places.iter().filter(|_| !mixed) {
        let sum: f64 = (0..keys).map(|key| p.at(index, *query, key)).sum();
        // Rows of queries that see nothing are zero, or no numbers.
        if sum.is_finite() && sum != 0.0 && (sum - 1.0).abs() > tolerance(dtype, 1.0).max(0.02) {
            return Some(Err(format!("a row of its probabilities sums to {sum:.4} instead of 1")));
        }
    }
    context(&p, &v, &c, &places, dtype)
}

/// Context against probabilities times values. Values that several heads share have fewer matrices.
fn context(
    p: &Seen<'_>,
    v: &Seen<'_>,
    c: &Seen<'_>,
    places: &[(Vec<usize>, usize)],
    dtype: Option<crate::tensor::DType>,
) -> Option<Result<(), String>> {
    let (outer, of_values) = (p.outer(), v.outer());
    let channels = c.size(c.column);
    if c.outer() != outer || of_values.len() != outer.len() || v.size(v.column) != channels {
        return None;
    }
    let shared: Option<Vec<usize>> =
        outer.iter().zip(&of_values).map(|(n, m)| (*m > 0 && n % m == 0).then(|| n / m)).collect();
    let shared = shared?;
    let (keys, held) = (p.size(p.column), v.size(v.row));
    let largest = v.numbers.largest().max(c.numbers.largest());
    let limit = tolerance(dtype, largest);
    // Sinks, keys without values, stand before the others or after them.
    let sinks = keys.checked_sub(held)?;
    let starts: Vec<usize> = if sinks == 0 { vec![0] } else { vec![0, sinks] };
    let mut worst: Option<(f64, f64)> = None;
    for start in starts {
        let mut far = None;
        'places: for (index, query) in places {
            let value: Vec<usize> = index.iter().zip(&shared).map(|(i, times)| i / times).collect();
            for channel in 0..channels {
                let products =
                    (0..held).map(|key| p.at(index, *query, start + key) * v.at(&value, key, channel));
                let (wanted, found) = (products.sum::<f64>(), c.at(index, *query, channel));
                let difference = (wanted - found).abs();
                if difference.is_finite() && difference > limit {
                    far = Some((wanted, found));
                    break 'places;
                }
            }
        }
        match far {
            None => return Some(Ok(())),
            Some(found) => worst = Some(found),
        }
    }
    let (wanted, found) = worst?;
    Some(Err(format!(
        "its context is {found:.4} where its probabilities times its values are {wanted:.4}: something else happens between"
    )))
}
