//! Errors that become those of an analyzer by `?`.

use crate::analyzer::AnalyzerError;
use crate::report::TableError;
use crate::tensor::TensorError;

impl From<TensorError> for AnalyzerError {
    /// Of a tensor that the analyzer makes itself, for its report. Captured ones are read by [`Batch`](crate::batch::Batch), whose
    /// errors name them.
    fn from(error: TensorError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<TableError> for AnalyzerError {
    fn from(error: TableError) -> Self {
        Self::Other(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::{State, StateError};
    use crate::report::{Column, Table, Values};
    use crate::tensor::TensorValue;

    fn all(state: &State) -> Result<(TensorValue, Table), AnalyzerError> {
        state.expect("norms", 1)?;
        let column = Column::new("norm", None, Values::Float(vec![0.5]));
        let value = TensorValue::new([state.tensors.len() + 1], vec![0.5_f64].into())?;
        Ok((value, Table::new("norms", vec![column; 2])?))
    }

    #[test]
    fn a_question_mark_is_enough() {
        assert!(all(&State::new("norms", 1, serde_json::Value::Null)).is_ok());
        let foreign = all(&State::new("norms", 2, serde_json::Value::Null));
        assert!(matches!(foreign, Err(AnalyzerError::State(StateError::Foreign { .. }))));
        let mut more = State::new("norms", 1, serde_json::Value::Null);
        more.put_number("sum", 1.0).unwrap();
        assert_eq!(all(&more).unwrap_err().to_string(), "shape [2] holds 2 elements, the data has 1");
    }
}
