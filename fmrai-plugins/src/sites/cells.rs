//! Means over texts, cell by cell, as numbers that add up.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::tensor::TensorValue;
use serde::{Deserialize, Serialize};

/// The last axis of a result, which grows with the data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// There is none.
    All,
    /// A position of the text, from 0.
    Position(u32),
    /// A marked part of the text.
    Mark(String),
}

/// Count, sum and sum of squares of what was seen of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// How many numbers were seen.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

impl Moments {
    /// Adds a number.
    pub fn add(&mut self, value: f64) {
        self.merge(&Self { count: 1.0, sum: value, squares: value * value });
    }

    /// Adds what was seen elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Count, sum and sum of squares, as a state holds them.
    #[must_use]
    pub fn numbers(&self) -> [f64; 3] {
        [self.count, self.sum, self.squares]
    }

    /// That of such numbers.
    #[must_use]
    pub fn of([count, sum, squares]: [f64; 3]) -> Self {
        Self { count, sum, squares }
    }

    /// The mean; NaN where nothing was seen.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The standard error of the mean; NaN below two numbers.
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        if self.count < 2.0 {
            return f64::NAN;
        }
        let variance = (self.squares - self.sum * self.sum / self.count).max(0.0) / (self.count - 1.0);
        (variance / self.count).sqrt()
    }
}

/// Means of cells: as many along the first axes as there are layers and heads, and columns that come with the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    sizes: Vec<usize>,
    columns: BTreeMap<Column, Vec<Moments>>,
}

impl Cells {
    /// Without anything seen; `sizes` are those of the first axes.
    #[must_use]
    pub fn new(sizes: impl Into<Vec<usize>>) -> Self {
        Self { sizes: sizes.into(), columns: BTreeMap::new() }
    }

    fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Adds a number to the cell at this place of the first axes, row-major.
    pub fn add(&mut self, cell: usize, column: Column, value: f64) {
        let count = self.count();
        let moments = self.columns.entry(column).or_insert_with(|| vec![Moments::default(); count]);
        if let Some(moments) = moments.get_mut(cell) {
            moments.add(value);
        }
    }

    /// What was seen of a cell.
    #[must_use]
    pub fn at(&self, cell: usize, column: &Column) -> Moments {
        let found = self.columns.get(column).and_then(|cells| cells.get(cell));
        found.copied().unwrap_or_default()
    }

    /// The columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.keys()
    }

    /// Adds what was seen elsewhere, of the same sizes.
    pub fn merge(&mut self, other: &Self) {
        for (column, cells) in &other.columns {
            let count = self.count();
            let own = self.columns.entry(column.clone()).or_insert_with(|| vec![Moments::default(); count]);
            own.iter_mut().zip(cells).for_each(|(own, other)| own.merge(other));
        }
    }

    /// Positions up to the last one seen, or the marks seen; one column where there are none of either.
    #[must_use]
    pub fn all_columns(&self) -> Vec<Column> {
        let last = self.columns.keys().rev().find_map(|column| match column {
            Column::Position(position) => Some(*position),
            _ => None,
        });
        match last {
            Some(last) => (0..=last).map(Column::Position).collect(),
            None => self.columns.keys().cloned().collect(),
        }
    }

    /// The means as a tensor, its last axis that of the columns where there is one; NaN where nothing was seen.
    ///
    /// # Errors
    /// Never for sizes that fit memory.
    pub fn means(&self, of: impl Fn(&Moments) -> f64) -> Result<TensorValue, AnalyzerError> {
        let columns = self.all_columns();
        let single = matches!(columns.as_slice(), [] | [Column::All]);
        let mut values = Vec::with_capacity(self.count() * columns.len().max(1));
        for cell in 0..self.count() {
            if columns.is_empty() {
                values.push(f64::NAN);
            }
            values.extend(columns.iter().map(|column| of(&self.at(cell, column))));
        }
        let mut shape = self.sizes.clone();
        if !single {
            shape.push(columns.len());
        }
        Ok(TensorValue::new(shape, values.into())?)
    }

    /// Puts it into a state under this name.
    ///
    /// # Errors
    /// As [`State::put`].
    pub fn put(&self, state: &mut State, name: &str) -> Result<(), StateError> {
        let shape = [self.columns.len(), self.count(), 3];
        let numbers = self.columns.values().flatten().flat_map(Moments::numbers).collect();
        state.put::<f64>(name, shape, numbers)?;
        let columns: Vec<&Column> = self.columns.keys().collect();
        state.document[format!("columns of {name}")] =
            serde_json::to_value(columns).map_err(|error| StateError::Bytes(error.to_string()))?;
        Ok(())
    }

    /// Gets one of these sizes out of a state.
    ///
    /// # Errors
    /// [`StateError`] if it is not there in this form.
    pub fn get(state: &State, name: &str, sizes: &[usize]) -> Result<Self, StateError> {
        let document = state.document.get(format!("columns of {name}")).cloned().unwrap_or_default();
        let columns: Vec<Column> = serde_json::from_value(document).map_err(|error| StateError::Part {
            part: format!("columns of {name}"),
            found: error.to_string(),
            needed: "a list of columns".to_owned(),
        })?;
        let count: usize = sizes.iter().product();
        let numbers = state.get::<f64>(name, &[columns.len(), count, 3])?;
        let cells: Vec<Moments> =
            numbers.chunks_exact(3).map(|cell| Moments::of([cell[0], cell[1], cell[2]])).collect();
        let mut made = Self::new(sizes);
        for (at, column) in columns.into_iter().enumerate() {
            made.columns.insert(column, cells[at * count..(at + 1) * count].to_vec());
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_one_pass_and_states_keep_it() {
        let all = [(0, 1.0), (1, 2.0), (0, 4.0), (2, -1.0)];
        let mut whole = Cells::new([3]);
        let (mut a, mut b) = (Cells::new([3]), Cells::new([3]));
        for (at, (cell, value)) in all.into_iter().enumerate() {
            let column = Column::Position(u32::try_from(at % 3).unwrap());
            whole.add(cell, column.clone(), value);
            if at < 2 { &mut a } else { &mut b }.add(cell, column, value);
        }
        a.merge(&b);
        assert_eq!(a, whole);
        let mut state = State::new("test", 1, serde_json::json!({}));
        whole.put(&mut state, "cells").unwrap();
        let state = State::from_bytes(&state.to_bytes().unwrap()).unwrap();
        assert_eq!(Cells::get(&state, "cells", &[3]).unwrap(), whole);
        assert!(Cells::get(&state, "cells", &[4]).is_err());
        let means = whole.means(Moments::mean).unwrap();
        assert_eq!(means.shape(), [3, 3]);
    }
}
