//! Which numbers an integer input may hold: those of rows that tables of the graph have.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::graph::{Graph, Origin, TensorId, Value};
use crate::tensor::DType;

use super::facts::lookup;
use super::operator::{Effect, effect, first_input};

/// Operations looked at behind the ids of a lookup.
const LIMIT: usize = 64;

/// The valid numbers of each input whose elements, all of them and as they are, are looked up in tables of the model.
///
/// Inputs that are computed with or cut before are not among them: what is valid for these is not known.
#[must_use]
pub fn valid_ids(graph: &dyn Graph) -> BTreeMap<String, RangeInclusive<i64>> {
    let mut valid: BTreeMap<String, RangeInclusive<i64>> = BTreeMap::new();
    for operation in graph.operations() {
        let Some((table, ids)) = lookup(operation) else { continue };
        let Some(input) = source(graph, ids) else { continue };
        let axis = operation.argument("dim").and_then(Value::as_int).unwrap_or(0);
        let Some(rows) = usize::try_from(axis).ok().and_then(|axis| rows(graph, table, axis)) else {
            continue;
        };
        // Indexing counts from the end where a number is negative, tables of embeddings do not.
        let first = if operation.base_name() == "index" { -rows } else { 0 };
        let range = valid.entry(input).or_insert(first..=rows - 1);
        *range = (*range.start()).max(first)..=(*range.end()).min(rows - 1);
    }
    valid
}

/// Rows, along `axis`, of a table that is a weight or constant of the model.
fn rows(graph: &dyn Graph, table: TensorId, axis: usize) -> Option<i64> {
    let mut id = table;
    for _ in 0..LIMIT {
        let tensor = graph.tensor(id)?;
        match tensor.origin {
            Origin::Parameter | Origin::Constant => {
                return graph.tensor(table)?.shape.get(axis).copied().filter(|rows| *rows > 0);
            }
            Origin::Input => return None,
            Origin::Operation { .. } => {
                let producer = graph.producer(id)?;
                id = first_input(producer).filter(|_| effect(producer) == Effect::Same)?;
            }
        }
    }
    None
}

/// The name of the integer input whose elements these are.
fn source(graph: &dyn Graph, ids: TensorId) -> Option<String> {
    let mut id = ids;
    if graph.tensor(ids)?.dtype == DType::Bool {
        return None;
    }
    for _ in 0..LIMIT {
        let tensor = graph.tensor(id)?;
        match tensor.origin {
            Origin::Input => {
                let integers = matches!(tensor.dtype, DType::Int64 | DType::Int32);
                return tensor.name.clone().filter(|_| integers);
            }
            Origin::Parameter | Origin::Constant => return None,
            Origin::Operation { .. } => {
                let producer = graph.producer(id)?;
                let whole = matches!(
                    effect(producer),
                    Effect::Same | Effect::Reshape | Effect::Permute | Effect::Broadcast
                );
                id = first_input(producer).filter(|_| whole)?;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Builder;

    #[test]
    fn ids_are_valid_where_every_table_has_their_row() {
        let mut b = Builder::new();
        let lookup = |b: &mut Builder, rows: i64, ids: TensorId| {
            let table = b.parameter(&format!("table{rows}"), &[rows, 4]);
            b.op("aten::embedding", &[("weight", table.into()), ("indices", ids.into())], &[2, 3, 4])
        };
        let ids = b.ids("input_ids", &[2, 3]);
        let flat = b.view(ids, &[6]);
        lookup(&mut b, 9, flat);
        lookup(&mut b, 7, ids);
        // One column is cut off, another input is computed with: what is valid is not known.
        let cut = b.ids("cut", &[2, 3]);
        let part = b.slice(cut, 1, 0, 2);
        lookup(&mut b, 5, part);
        let shifted = b.ids("shifted", &[2, 3]);
        let sum = b.scale(shifted, 2.0);
        lookup(&mut b, 5, sum);
        // A table that is an input has as many rows as the data say.
        let (own, chosen) = (b.input("own", &[8, 4]), b.ids("chosen", &[3]));
        b.op("aten::embedding", &[("weight", own.into()), ("indices", chosen.into())], &[3, 4]);
        let (columns, axis) = (b.parameter("columns", &[4, 6]), b.ids("axis", &[3]));
        let axis_arguments = [("self", columns.into()), ("dim", Value::Int(1)), ("index", axis.into())];
        b.op("aten::index_select", &axis_arguments, &[4, 3]);
        let valid = valid_ids(&b.build());
        let expected = [("axis", 0..=5), ("input_ids", 0..=6)];
        assert_eq!(valid, expected.map(|(name, range)| (name.to_owned(), range)).into());
    }
}
