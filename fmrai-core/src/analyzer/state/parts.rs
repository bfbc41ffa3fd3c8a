//! Numbers that are put into a state and got out again, each in one line and checked.

use serde_json::Value;

use crate::analyzer::state::{State, StateError};
use crate::tensor::{DType, Element, TensorData, TensorValue};

/// A type of numbers that a state holds: `f32`, `f64`, `i64`, and `u64` for counts, which are stored as `int64`.
pub trait StateNumber: Sized + sealed::Sealed {
    /// The element type of the stored tensor.
    const STORED: DType;

    /// The numbers as they are stored; the first one that cannot be if there is one.
    ///
    /// # Errors
    /// What was found, and what is needed.
    fn store(numbers: Vec<Self>) -> Result<TensorData, [String; 2]>;

    /// Stored numbers; `None` where they have another element type.
    ///
    /// # Errors
    /// What was found, and what is needed.
    fn load(stored: &TensorValue) -> Option<Result<Vec<Self>, [String; 2]>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for u64 {}
}

macro_rules! as_they_are {
    ($($number:ty),+) => {$(
        impl StateNumber for $number {
            const STORED: DType = <$number as Element>::DTYPE;

            fn store(numbers: Vec<Self>) -> Result<TensorData, [String; 2]> {
                Ok(numbers.into())
            }

            fn load(stored: &TensorValue) -> Option<Result<Vec<Self>, [String; 2]>> {
                Some(Ok(Self::slice(stored.view().data())?.to_vec()))
            }
        }
    )+};
}

as_they_are!(f32, f64, i64);

impl StateNumber for u64 {
    const STORED: DType = DType::Int64;

    fn store(numbers: Vec<Self>) -> Result<TensorData, [String; 2]> {
        let fits = |count: Self| {
            i64::try_from(count).map_err(|_| [count.to_string(), "counts below 2^63".to_owned()])
        };
        numbers.into_iter().map(fits).collect::<Result<Vec<i64>, _>>().map(TensorData::I64)
    }

    fn load(stored: &TensorValue) -> Option<Result<Vec<Self>, [String; 2]>> {
        let numbers = i64::slice(stored.view().data())?;
        let count =
            |&n: &i64| Self::try_from(n).map_err(|_| [n.to_string(), "counts, none negative".to_owned()]);
        Some(numbers.iter().map(count).collect())
    }
}

impl State {
    /// Puts a tensor of `shape` into the state, row-major: `state.put("sums", [layers, heads], sums.clone())?`. One of the
    /// same name is replaced.
    ///
    /// # Errors
    /// [`StateError::Part`] if the shape calls for another number of elements, or for a count that is no `int64`.
    pub fn put<T: StateNumber>(
        &mut self,
        name: &str,
        shape: impl Into<Vec<usize>>,
        numbers: Vec<T>,
    ) -> Result<(), StateError> {
        let (shape, count) = (shape.into(), numbers.len());
        let data = T::store(numbers).map_err(|[found, needed]| part(name, found, needed))?;
        let needed = format!("as many as shape {shape:?} has");
        let value =
            TensorValue::new(shape, data).map_err(|_| part(name, format!("{count} elements"), needed))?;
        self.tensors.insert(name.to_owned(), value);
        Ok(())
    }

    /// The numbers of the tensor called `name`, row-major, which has to have this shape and to be of this type:
    /// `state.get::<f64>("sums", &[layers, heads])?`.
    ///
    /// # Errors
    /// [`StateError::Part`] if it is absent, has another shape or element type, or holds a negative number where counts are
    /// needed.
    pub fn get<T: StateNumber>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>, StateError> {
        let needed = || format!("{} of shape {shape:?}", T::STORED);
        let stored = self.tensors.get(name).ok_or_else(|| part(name, "absent".to_owned(), needed()))?;
        let found = || format!("{} of shape {:?}", stored.data().dtype(), stored.shape());
        let numbers = T::load(stored).filter(|_| stored.shape() == shape);
        let numbers = numbers.ok_or_else(|| part(name, found(), needed()))?;
        numbers.map_err(|[found, needed]| part(name, found, needed))
    }

    /// Puts a single number into the state, as a tensor of shape `[1]`.
    ///
    /// # Errors
    /// [`StateError::Part`] for a count that is no `int64`.
    pub fn put_number<T: StateNumber>(&mut self, name: &str, number: T) -> Result<(), StateError> {
        self.put(name, [1], vec![number])
    }

    /// The single number called `name`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn number<T: StateNumber>(&self, name: &str) -> Result<T, StateError> {
        let number = self.get(name, &[1])?.pop();
        number.ok_or_else(|| part(name, "empty".to_owned(), "one number".to_owned()))
    }

    /// Checks that the field `name` of the document is `needed`: what both states have to agree on, such as a setting, or which
    /// layers there are.
    ///
    /// # Errors
    /// [`StateError::Part`] with both otherwise.
    pub fn expect_field(&self, name: &str, needed: &Value) -> Result<(), StateError> {
        let found = self.document.get(name);
        if found == Some(needed) {
            return Ok(());
        }
        let found = found.filter(|value| !value.is_null());
        let found = found.map_or_else(|| "absent".to_owned(), ToString::to_string);
        Err(part(name, found, needed.to_string()))
    }
}

fn part(name: &str, found: String, needed: String) -> StateError {
    StateError::Part { part: name.to_owned(), found, needed }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> State {
        let mut state = State::new("norms", 1, json!({ "heads": [2, 2], "gone": null }));
        state.put("sums", [2, 1], vec![0.5, f64::NAN]).unwrap();
        state.put("sizes", [3], vec![0.5_f32, -0.0, 1.0]).unwrap();
        state.put("ids", [0], Vec::<i64>::new()).unwrap();
        state.put("counts", [2], vec![7_u64, 0]).unwrap();
        state.put_number("below", -3_i64).unwrap();
        state
    }

    fn said<T: std::fmt::Debug>(result: Result<T, StateError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_was_put_in_is_got_out_also_from_bytes() {
        let state = State::from_bytes(&state().to_bytes().unwrap()).unwrap();
        let sums = state.get::<f64>("sums", &[2, 1]).unwrap();
        assert!(sums[0] == 0.5 && sums[1].is_nan());
        assert_eq!(state.get::<f32>("sizes", &[3]).unwrap()[1].to_bits(), (-0.0_f32).to_bits());
        assert!(state.get::<i64>("ids", &[0]).unwrap().is_empty());
        assert_eq!(state.get::<u64>("counts", &[2]).unwrap(), [7, 0]);
        assert_eq!(state.get::<i64>("counts", &[2]).unwrap(), [7, 0]);
        assert_eq!(state.number::<i64>("below").unwrap(), -3);
        state.expect_field("heads", &json!([2, 2])).unwrap();
    }

    #[test]
    fn errors_say_which_part_what_it_is_and_what_was_expected() {
        let state = state();
        assert_eq!(
            said(state.get::<f64>("means", &[2])),
            "the state's \"means\" is absent, needed float64 of shape [2]"
        );
        assert_eq!(
            said(state.get::<f64>("sums", &[2])),
            "the state's \"sums\" is float64 of shape [2, 1], needed float64 of shape [2]"
        );
        assert_eq!(
            said(state.get::<f32>("sums", &[2, 1])),
            "the state's \"sums\" is float64 of shape [2, 1], needed float32 of shape [2, 1]"
        );
        assert_eq!(
            said(state.number::<u64>("below")),
            "the state's \"below\" is -3, needed counts, none negative"
        );
        assert_eq!(
            said(state.number::<u64>("counts")),
            "the state's \"counts\" is int64 of shape [2], needed int64 of shape [1]"
        );
        assert_eq!(
            said(state.expect_field("heads", &json!([4]))),
            "the state's \"heads\" is [2,2], needed [4]"
        );
        assert_eq!(said(state.expect_field("gone", &json!(1))), "the state's \"gone\" is absent, needed 1");
        assert_eq!(said(state.expect_field("other", &json!(1))), "the state's \"other\" is absent, needed 1");
    }

    #[test]
    fn what_does_not_fit_is_not_put_in() {
        let mut state = State::new("norms", 1, Value::Null);
        assert_eq!(
            said(state.put("sums", [2, 2], vec![0.5_f64; 3])),
            "the state's \"sums\" is 3 elements, needed as many as shape [2, 2] has"
        );
        assert_eq!(
            said(state.put_number("count", u64::MAX)),
            "the state's \"count\" is 18446744073709551615, needed counts below 2^63"
        );
        assert!(state.tensors.is_empty());
    }
}
