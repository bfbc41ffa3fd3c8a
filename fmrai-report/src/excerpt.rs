//! What fits into one file: the parts that grow with the data are cut, and the document says what was left out.

use fmrai_core::report::figure::{HeatMap, Plot};
use fmrai_core::report::{Column, Table, Values};

use crate::document::Document;

/// Most cells of all tables together.
const TABLE_CELLS: usize = 300_000;
/// Most rows of one table.
const TABLE_ROWS: usize = 20_000;
/// Most cells of a heat map.
const HEAT_MAP_CELLS: usize = 120_000;
/// Significant digits of numbers.
const DIGITS: usize = 7;
/// Most points of a series, or of a scatter plot.
const POINTS: usize = 20_000;
/// Most characters of all elements of tensors together.
const TENSOR_CHARACTERS: usize = 2_800_000;

/// The document with everything cut that would make its page heavy. [`Document::notes`] says what.
#[must_use]
pub fn excerpt(mut document: Document) -> Document {
    let mut notes = Vec::new();
    let mut cells = TABLE_CELLS;
    let mut characters = TENSOR_CHARACTERS;
    for analysis in &mut document.analyses {
        let name = &analysis.name;
        for shown in &mut analysis.tables {
            let columns = shown.table.columns().len().max(1);
            let most = TABLE_ROWS.min(cells / columns);
            if shown.table.rows() > most {
                let table = shown.table.name();
                notes.push(format!("{name}: the first {most} of {} rows of the table {table}", shown.rows));
                shown.table = first(&shown.table, most);
            }
            cells = cells.saturating_sub(shown.table.rows() * columns);
            shown.table = rounded(&shown.table);
        }
        for figure in &mut analysis.figures {
            for panel in &mut figure.panels {
                if let Some(note) = thinned(&mut panel.plot) {
                    notes.push(format!("{name}: the figure {} shows {note}", figure.name));
                }
            }
        }
        let mut without = 0;
        for tensor in &mut analysis.tensors {
            if tensor.data.len() > characters {
                (tensor.data, tensor.encoding) = (String::new(), None);
                without += 1;
            }
            characters -= tensor.data.len();
        }
        if without > 0 {
            let what = if without == 1 { "tensor is".to_owned() } else { format!("{without} tensors are") };
            notes.push(format!("{name}: the elements of its {what} in its file alone"));
        }
    }
    document.notes.extend(notes);
    document
}

/// A number with few enough digits to be sent: the files have all of them.
fn short(x: f64) -> f64 {
    if x.is_finite() { format!("{x:.*e}", DIGITS - 1).parse().unwrap_or(x) } else { x }
}

/// The table with shorter numbers.
fn rounded(table: &Table) -> Table {
    let short = |column: &Column| Column {
        values: match &column.values {
            Values::Float(v) => Values::Float(v.iter().copied().map(short).collect()),
            other => other.clone(),
        },
        ..column.clone()
    };
    Table::new(table.name(), table.columns().iter().map(short).collect()).unwrap_or_else(|_| table.clone())
}

/// The first rows of a table.
fn first(table: &Table, rows: usize) -> Table {
    let cut = |column: &Column| Column {
        values: match &column.values {
            Values::Int(v) => Values::Int(v.iter().take(rows).copied().collect()),
            Values::Float(v) => Values::Float(v.iter().take(rows).copied().collect()),
            Values::Text(v) => Values::Text(v.iter().take(rows).cloned().collect()),
        },
        ..column.clone()
    };
    // Columns that are cut alike are as long as each other.
    Table::new(table.name(), table.columns().iter().map(cut).collect()).unwrap_or_else(|_| table.clone())
}

/// Thins what is too large to be drawn at once, and says how.
fn thinned(plot: &mut Plot) -> Option<String> {
    match plot {
        Plot::HeatMap(map) => {
            let note = coarser(map);
            map.values.iter_mut().for_each(|x| *x = short(*x));
            note
        }
        Plot::Scatter(scatter) if scatter.points.len() > POINTS => {
            let (all, step) = (scatter.points.len(), scatter.points.len().div_ceil(POINTS));
            scatter.points = scatter.points.iter().step_by(step).cloned().collect();
            Some(format!("one of {step} of its {all} points"))
        }
        Plot::Lines(lines) => {
            let longest = lines.series.iter().map(|series| series.points.len()).max()?;
            let step = longest.div_ceil(POINTS).max(1);
            if step == 1 {
                return None;
            }
            for series in &mut lines.series {
                series.points = series.points.iter().step_by(step).copied().collect();
            }
            Some(format!("one of {step} points of each line"))
        }
        _ => None,
    }
}

/// Replaces blocks of cells by their means, those that are missing left out.
fn coarser(map: &mut HeatMap) -> Option<String> {
    let (rows, columns) = (map.rows.len(), map.columns.len());
    if rows * columns <= HEAT_MAP_CELLS || map.values.len() != rows * columns {
        return None;
    }
    let (mut down, mut right) = (1, 1);
    while rows.div_ceil(down) * columns.div_ceil(right) > HEAT_MAP_CELLS {
        // A square stays one; else the longer side gives first, so that 32 layers of many neurons stay 32.
        let (high, wide) = (rows.div_ceil(down), columns.div_ceil(right));
        down += usize::from(rows == columns || high > wide);
        right += usize::from(rows == columns || high <= wide);
    }
    let (high, wide) = (rows.div_ceil(down), columns.div_ceil(right));
    let mut values = Vec::with_capacity(high * wide);
    for (row, column) in (0..high).flat_map(|r| (0..wide).map(move |c| (r * down, c * right))) {
        let (mut sum, mut known) = (0.0, 0usize);
        for r in row..(row + down).min(rows) {
            for value in &map.values[r * columns + column..r * columns + (column + right).min(columns)] {
                if value.is_finite() {
                    (sum, known) = (sum + value, known + 1);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "cells of a block")]
        values.push(if known > 0 { sum / known as f64 } else { f64::NAN });
    }
    map.values = values;
    map.rows = joined(&map.rows, down);
    map.columns = joined(&map.columns, right);
    (map.row_groups, map.column_groups, map.texts) = (Vec::new(), Vec::new(), Vec::new());
    Some(format!("means of {down} x {right} of its {rows} x {columns} cells"))
}

fn joined(labels: &[String], side: usize) -> Vec<String> {
    let ends = |run: &[String]| match run {
        [one] => one.clone(),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    };
    labels.chunks(side).map(ends).collect()
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::Figure;
    use fmrai_core::report::figure::Axis;
    use serde_json::Map;

    use super::*;
    use crate::document::{Analysis, FORMAT, ShownTable, Status};

    #[test]
    fn what_is_too_large_is_cut_and_told() {
        let (rows, columns) = (900, 401);
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let mut values = vec![1.0; rows * columns];
        values[0] = f64::NAN;
        values[1] = 4.0;
        let map = HeatMap {
            row_axis: "a".into(),
            column_axis: "b".into(),
            rows: names(rows),
            columns: names(columns),
            values,
            scale: Axis::new("x", None),
            diverging: false,
            row_groups: vec![("g".into(), rows)],
            column_groups: Vec::new(),
            texts: Vec::new(),
        };
        let column = Column::new("n", None, Values::Int((0..30_000).collect()));
        let table = Table::new("many", vec![column]).unwrap();
        let analysis = Analysis {
            name: "one".into(),
            kind: "t".into(),
            status: Status::Ok,
            config: Map::new(),
            error: None,
            summary: Map::new(),
            tables: vec![ShownTable::whole(table)],
            tensors: Vec::new(),
            figures: vec![Figure::single("f", "F", "", Plot::HeatMap(map))],
            answers: Vec::new(),
        };
        let document = Document {
            format: FORMAT,
            title: "t".into(),
            status: "ok".into(),
            run: Map::new(),
            model: None,
            analyses: vec![analysis],
            notes: Vec::new(),
        };
        let cut = excerpt(document);
        assert_eq!(
            cut.notes,
            [
                "one: the first 20000 of 30000 rows of the table many",
                "one: the figure f shows means of 3 x 2 of its 900 x 401 cells"
            ]
        );
        let shown = &cut.analyses[0].tables[0];
        assert_eq!((shown.table.rows(), shown.rows), (20_000, 30_000));
        let Plot::HeatMap(map) = &cut.analyses[0].figures[0].panels[0].plot else { panic!() };
        assert_eq!((map.rows.len(), map.columns.len(), map.values.len()), (300, 201, 300 * 201));
        assert_eq!((map.values[0], map.values[1]), (1.6, 1.0));
        assert_eq!((map.rows[0].as_str(), map.columns[200].as_str()), ("0 to 2", "400"));
        assert_eq!(excerpt(cut.clone()), cut, "what fits stays as it is");
    }
}
