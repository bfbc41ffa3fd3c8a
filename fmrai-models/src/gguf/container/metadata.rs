//! The metadata of a header: keys and values.

use std::collections::BTreeMap;
use std::io::Read;

use super::fault::Fault;
use super::header::Header;
use super::shown;
use super::value::{Array, Value};

/// Arrays in arrays that are read. No file is known that has any.
const MAX_DEPTH: usize = 4;

/// Bytes of the shortest string: its length.
const STRING: u64 = 8;

/// Bytes of the shortest array: the type of its elements and their number.
const ARRAY: u64 = 12;

/// Bytes of the shortest key with its value: an empty string, a type and a number of 8 bits.
const ENTRY: u64 = STRING + 4 + 1;

const TYPES: &str =
    "0 u8, 1 i8, 2 u16, 3 i16, 4 u32, 5 i32, 6 f32, 7 bool, 8 string, 9 array, 10 u64, 11 i64, 12 f64";

/// Reads as many keys and values as the header has.
pub(super) fn read(header: &mut Header<impl Read>, count: u64) -> Result<BTreeMap<String, Value>, Fault> {
    header.need(count, ENTRY, format_args!("{count} values of metadata"))?;
    let mut metadata = BTreeMap::new();
    for number in 1..=count {
        let key = header
            .string("its key")
            .map_err(|fault| fault.within(format_args!("value {number} of {count} of the metadata")))?;
        let within = |fault: Fault| fault.within(format_args!("metadata {}", shown::name(&key)));
        let value = value(header).map_err(within)?;
        if metadata.contains_key(&key) {
            return Err(within("the key stands twice, each may stand once".to_owned().into()));
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn value(header: &mut Header<impl Read>) -> Result<Value, Fault> {
    Ok(match header.u32("the type of its value")? {
        0 => Value::U8(u8::from_le_bytes(header.take("a u8")?)),
        1 => Value::I8(i8::from_le_bytes(header.take("an i8")?)),
        2 => Value::U16(u16::from_le_bytes(header.take("a u16")?)),
        3 => Value::I16(i16::from_le_bytes(header.take("an i16")?)),
        4 => Value::U32(u32::from_le_bytes(header.take("a u32")?)),
        5 => Value::I32(i32::from_le_bytes(header.take("an i32")?)),
        6 => Value::F32(f32::from_le_bytes(header.take("an f32")?)),
        7 => Value::Bool(truth(header.take("a bool")?)?),
        8 => Value::String(header.string("its value")?),
        9 => Value::Array(array(header, 1)?),
        10 => Value::U64(u64::from_le_bytes(header.take("a u64")?)),
        11 => Value::I64(i64::from_le_bytes(header.take("an i64")?)),
        12 => Value::F64(f64::from_le_bytes(header.take("an f64")?)),
        other => return Err(format!("its value has the unknown type {other}, valid are {TYPES}").into()),
    })
}

fn array(header: &mut Header<impl Read>, depth: usize) -> Result<Array, Fault> {
    let code = header.u32("the type of an array")?;
    let count = header.u64("the length of an array")?;
    Ok(match code {
        0 => Array::U8(numbers(header, count, "u8", u8::from_le_bytes)?),
        1 => Array::I8(numbers(header, count, "i8", i8::from_le_bytes)?),
        2 => Array::U16(numbers(header, count, "u16", u16::from_le_bytes)?),
        3 => Array::I16(numbers(header, count, "i16", i16::from_le_bytes)?),
        4 => Array::U32(numbers(header, count, "u32", u32::from_le_bytes)?),
        5 => Array::I32(numbers(header, count, "i32", i32::from_le_bytes)?),
        6 => Array::F32(numbers(header, count, "f32", f32::from_le_bytes)?),
        7 => Array::Bool(elements(header, count, 1, "bool", |header, what| truth(header.take(what)?))?),
        8 => Array::String(elements(header, count, STRING, "string", |header, what| header.string(what))?),
        9 if depth == MAX_DEPTH => {
            return Err(
                format!("arrays stand in arrays more than {MAX_DEPTH} deep, which is not read").into()
            );
        }
        9 => Array::Nested(elements(header, count, ARRAY, "array", |header, _| array(header, depth + 1))?),
        10 => Array::U64(numbers(header, count, "u64", u64::from_le_bytes)?),
        11 => Array::I64(numbers(header, count, "i64", i64::from_le_bytes)?),
        12 => Array::F64(numbers(header, count, "f64", f64::from_le_bytes)?),
        other => {
            return Err(
                format!("an array has elements of the unknown type {other}, valid are {TYPES}").into()
            );
        }
    })
}

fn numbers<R: Read, T, const BYTES: usize>(
    header: &mut Header<R>,
    count: u64,
    kind: &str,
    read: fn([u8; BYTES]) -> T,
) -> Result<Vec<T>, Fault> {
    elements(header, count, BYTES as u64, kind, |header, what| header.take(what).map(read))
}

/// Reads elements that take at least `least` bytes each.
fn elements<R: Read, T>(
    header: &mut Header<R>,
    count: u64,
    least: u64,
    kind: &str,
    read: impl Fn(&mut Header<R>, std::fmt::Arguments<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let length = header.need(count, least, format_args!("{count} elements of type {kind}"))?;
    let mut elements = Vec::with_capacity(length);
    for index in 0..length {
        elements.push(read(header, format_args!("element {index} of {count}"))?);
    }
    Ok(elements)
}

fn truth([byte]: [u8; 1]) -> Result<bool, Fault> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!("a bool is {other}, valid are 0 and 1").into()),
    }
}
