//! Values of metadata.

use std::fmt;

use super::shown;

/// Elements of an array that a message shows.
const SHOWN: usize = 4;

/// A value of the metadata of a file, in the type that the file gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// An unsigned number of 8 bits.
    U8(u8),
    /// A number of 8 bits.
    I8(i8),
    /// An unsigned number of 16 bits.
    U16(u16),
    /// A number of 16 bits.
    I16(i16),
    /// An unsigned number of 32 bits.
    U32(u32),
    /// A number of 32 bits.
    I32(i32),
    /// A number of single precision.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// A text.
    String(String),
    /// Values of one type.
    Array(Array),
    /// An unsigned number of 64 bits.
    U64(u64),
    /// A number of 64 bits.
    I64(i64),
    /// A number of double precision.
    F64(f64),
}

/// Values of one type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Array {
    /// Unsigned numbers of 8 bits.
    U8(Vec<u8>),
    /// Numbers of 8 bits.
    I8(Vec<i8>),
    /// Unsigned numbers of 16 bits.
    U16(Vec<u16>),
    /// Numbers of 16 bits.
    I16(Vec<i16>),
    /// Unsigned numbers of 32 bits.
    U32(Vec<u32>),
    /// Numbers of 32 bits.
    I32(Vec<i32>),
    /// Numbers of single precision.
    F32(Vec<f32>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts.
    String(Vec<String>),
    /// Arrays, each of one type.
    Nested(Vec<Array>),
    /// Unsigned numbers of 64 bits.
    U64(Vec<u64>),
    /// Numbers of 64 bits.
    I64(Vec<i64>),
    /// Numbers of double precision.
    F64(Vec<f64>),
}

impl Value {
    /// The number, where this is an integer of any type that is not negative.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(n) => Some(n.into()),
            Self::U16(n) => Some(n.into()),
            Self::U32(n) => Some(n.into()),
            Self::U64(n) => Some(n),
            Self::I8(n) => n.try_into().ok(),
            Self::I16(n) => n.try_into().ok(),
            Self::I32(n) => n.try_into().ok(),
            Self::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// The number, where this is one of single or double precision.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(x) => Some(x.into()),
            Self::F64(x) => Some(x),
            _ => None,
        }
    }

    /// The text, where this is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, where this is one.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// The texts, where this is an array of them.
    pub(crate) fn as_strings(&self) -> Option<&[String]> {
        match self {
            Self::Array(Array::String(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The numbers, where this is an array of single precision.
    pub(crate) fn as_f32s(&self) -> Option<&[f32]> {
        match self {
            Self::Array(Array::F32(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// The numbers, where this is an array of integers of any type and all of them fit.
    pub(crate) fn as_i64s(&self) -> Option<Vec<i64>> {
        match self {
            Self::Array(Array::U8(numbers)) => Some(widened(numbers)),
            Self::Array(Array::I8(numbers)) => Some(widened(numbers)),
            Self::Array(Array::U16(numbers)) => Some(widened(numbers)),
            Self::Array(Array::I16(numbers)) => Some(widened(numbers)),
            Self::Array(Array::U32(numbers)) => Some(widened(numbers)),
            Self::Array(Array::I32(numbers)) => Some(widened(numbers)),
            Self::Array(Array::U64(numbers)) => numbers.iter().map(|&n| n.try_into().ok()).collect(),
            Self::Array(Array::I64(numbers)) => Some(numbers.clone()),
            _ => None,
        }
    }

    /// The name of its type, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I8(_) => "i8",
            Self::U16(_) => "u16",
            Self::I16(_) => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::F32(_) => "f32",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::Array(array) => array.kind(),
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F64(_) => "f64",
        }
    }
}

impl Array {
    fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "array of u8",
            Self::I8(_) => "array of i8",
            Self::U16(_) => "array of u16",
            Self::I16(_) => "array of i16",
            Self::U32(_) => "array of u32",
            Self::I32(_) => "array of i32",
            Self::F32(_) => "array of f32",
            Self::Bool(_) => "array of bool",
            Self::String(_) => "array of string",
            Self::Nested(_) => "array of array",
            Self::U64(_) => "array of u64",
            Self::I64(_) => "array of i64",
            Self::F64(_) => "array of f64",
        }
    }
}

fn widened<T: Copy + Into<i64>>(numbers: &[T]) -> Vec<i64> {
    numbers.iter().map(|&n| n.into()).collect()
}

/// The value for a message: long texts are cut, and of long arrays the first elements stand with how many there are.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U8(n) => n.fmt(f),
            Self::I8(n) => n.fmt(f),
            Self::U16(n) => n.fmt(f),
            Self::I16(n) => n.fmt(f),
            Self::U32(n) => n.fmt(f),
            Self::I32(n) => n.fmt(f),
            Self::F32(x) => x.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
            Self::String(text) => f.write_str(&shown::text(text)),
            Self::Array(array) => array.fmt(f),
            Self::U64(n) => n.fmt(f),
            Self::I64(n) => n.fmt(f),
            Self::F64(x) => x.fmt(f),
        }
    }
}

/// As for [`Value`].
impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U8(numbers) => list(f, numbers, ToString::to_string),
            Self::I8(numbers) => list(f, numbers, ToString::to_string),
            Self::U16(numbers) => list(f, numbers, ToString::to_string),
            Self::I16(numbers) => list(f, numbers, ToString::to_string),
            Self::U32(numbers) => list(f, numbers, ToString::to_string),
            Self::I32(numbers) => list(f, numbers, ToString::to_string),
            Self::F32(numbers) => list(f, numbers, ToString::to_string),
            Self::Bool(truths) => list(f, truths, ToString::to_string),
            Self::String(texts) => list(f, texts, |text| shown::text(text)),
            Self::Nested(arrays) => list(f, arrays, ToString::to_string),
            Self::U64(numbers) => list(f, numbers, ToString::to_string),
            Self::I64(numbers) => list(f, numbers, ToString::to_string),
            Self::F64(numbers) => list(f, numbers, ToString::to_string),
        }
    }
}

fn list<T>(f: &mut fmt::Formatter<'_>, elements: &[T], shown: impl Fn(&T) -> String) -> fmt::Result {
    let first: Vec<String> = elements.iter().take(SHOWN).map(shown).collect();
    let more =
        if elements.len() > SHOWN { format!(", … {} in all", elements.len()) } else { String::new() };
    write!(f, "[{}{more}]", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_all_types_are_numbers() {
        let integers = [
            Value::U8(7),
            Value::I8(7),
            Value::U16(7),
            Value::I16(7),
            Value::U32(7),
            Value::I32(7),
            Value::U64(7),
            Value::I64(7),
        ];
        assert!(integers.iter().all(|value| value.as_u64() == Some(7)));
        assert_eq!(Value::U64(u64::MAX).as_u64(), Some(u64::MAX));
        for other in [Value::I8(-1), Value::I64(-1), Value::Bool(true), Value::F32(7.0)] {
            assert_eq!(other.as_u64(), None, "{other}");
        }
        let arrays = [
            Array::U8(vec![1, 2]),
            Array::I8(vec![1, 2]),
            Array::U16(vec![1, 2]),
            Array::I16(vec![1, 2]),
            Array::U32(vec![1, 2]),
            Array::I32(vec![1, 2]),
            Array::U64(vec![1, 2]),
            Array::I64(vec![1, 2]),
        ];
        for array in arrays {
            assert_eq!(Value::Array(array).as_i64s(), Some(vec![1, 2]));
        }
        assert_eq!(Value::Array(Array::U64(vec![u64::MAX])).as_i64s(), None);
        assert_eq!(Value::Array(Array::Bool(vec![true])).as_i64s(), None);
    }

    #[test]
    fn other_types_are_themselves_alone() {
        assert_eq!(Value::F32(0.5).as_f64(), Some(0.5));
        assert_eq!(Value::F64(0.5).as_f64(), Some(0.5));
        assert_eq!(Value::U8(1).as_f64(), None);
        assert_eq!(Value::Bool(true).as_bool(), Some(true));
        assert_eq!(Value::U8(1).as_bool(), None);
        assert_eq!(Value::String("a".to_owned()).as_str(), Some("a"));
        let texts = Value::Array(Array::String(vec!["a".to_owned()]));
        assert_eq!((texts.as_str(), texts.as_strings().map(<[String]>::len)), (None, Some(1)));
        assert_eq!(Value::Array(Array::F32(vec![0.5])).as_f32s(), Some(&[0.5][..]));
        assert_eq!(Value::Array(Array::F64(vec![0.5])).as_f32s(), None);
    }

    #[test]
    fn messages_show_values_shortened() {
        let shown = |value: Value| format!("{} {value}", value.kind());
        assert_eq!(shown(Value::F32(1e-5)), "f32 0.00001");
        assert_eq!(shown(Value::Array(Array::U16(vec![1, 2, 3, 4]))), "array of u16 [1, 2, 3, 4]");
        let long = Value::Array(Array::I32((0..32_000).collect()));
        assert_eq!(shown(long), "array of i32 [0, 1, 2, 3, … 32000 in all]");
        let text = Value::String("a".repeat(70));
        assert_eq!(shown(text), format!("string {:?}…", "a".repeat(60)));
        let nested =
            Value::Array(Array::Nested(vec![Array::Bool(vec![true]), Array::String(vec!["\n".into()])]));
        assert_eq!(shown(nested), r#"array of array [[true], ["\n"]]"#);
    }
}
