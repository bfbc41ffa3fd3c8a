//! Numbers against CPython.

use std::io::Read;
use std::path::Path;

use super::Number::{Bool, Float, Int};
use super::*;

fn call(target: &str, operands: &[Number]) -> Result<Number, String> {
    Function::of_target(target).unwrap().call(operands)
}

#[test]
fn division_is_that_of_python() {
    for (a, b, quotient, rest) in
        [(7, 2, 3, 1), (-7, 2, -4, 1), (7, -2, -4, -1), (-7, -2, 3, -1), (6, -3, -2, 0)]
    {
        assert_eq!(call("_operator.floordiv", &[Int(a), Int(b)]), Ok(Int(quotient)));
        assert_eq!(call("_operator.mod", &[Int(a), Int(b)]), Ok(Int(rest)));
    }
    assert_eq!(call("_operator.mod", &[Float(-7.5), Float(2.0)]), Ok(Float(0.5)));
    assert_eq!(call("_operator.floordiv", &[Float(-7.0), Int(2)]), Ok(Float(-4.0)));
    assert_eq!(call("_operator.truediv", &[Int(6), Int(3)]), Ok(Float(2.0)));
    assert!(call("_operator.floordiv", &[Int(1), Int(0)]).is_err());
    assert!(call("_operator.truediv", &[Int(1), Int(0)]).is_err());
    assert!(call("_operator.floordiv", &[Int(i64::MIN), Int(-1)]).is_err());
    assert_eq!(call("_operator.mod", &[Int(i64::MIN), Int(-1)]), Ok(Int(0)));
}

#[test]
fn integers_do_not_wrap() {
    assert!(call("_operator.mul", &[Int(i64::MAX), Int(2)]).is_err());
    assert!(call("_operator.add", &[Int(i64::MAX), Int(1)]).is_err());
    assert!(call("_operator.neg", &[Int(i64::MIN)]).is_err());
    assert!(call("math.trunc", &[Float(1e300)]).is_err());
    assert!(call("_operator.lshift", &[Int(1), Int(64)]).is_err());
}

#[test]
fn powers_of_negative_exponent_are_real() {
    assert_eq!(call("_operator.pow", &[Int(2), Int(10)]), Ok(Int(1024)));
    assert_eq!(call("_operator.pow", &[Int(2), Int(-1)]), Ok(Float(0.5)));
    assert_eq!(call("_operator.pow", &[Int(4), Float(0.5)]), Ok(Float(2.0)));
}

#[test]
fn truths_are_integers_where_python_says_so() {
    assert_eq!(call("_operator.add", &[Bool(true), Int(2)]), Ok(Int(3)));
    assert_eq!(call("_operator.and_", &[Bool(true), Bool(false)]), Ok(Bool(false)));
    assert_eq!(call("torch.sym_not", &[Bool(true)]), Ok(Bool(false)));
    assert_eq!(call("torch.sym_ite", &[Bool(false), Int(1), Int(2)]), Ok(Int(2)));
    assert_eq!(call("_operator.lt", &[Int(1), Float(1.5)]), Ok(Bool(true)));
}

#[test]
fn functions_of_numbers() {
    assert_eq!(call("torch.sym_max", &[Int(3), Int(5)]), Ok(Int(5)));
    assert_eq!(call("torch.sym_min", &[Int(3), Float(2.5)]), Ok(Float(2.5)));
    assert_eq!(call("torch._sym_sqrt", &[Int(9)]), Ok(Float(3.0)));
    assert_eq!(call("math.trunc", &[Float(-2.5)]), Ok(Int(-2)));
    assert_eq!(call("round", &[Float(2.5)]), Ok(Int(2)));
    assert_eq!(call("torch.sym_sum", &[Int(1), Int(2), Int(3)]), Ok(Int(6)));
    assert_eq!(Function::of_target("torch._sym_gamma"), None);
    assert!(call("_operator.add", &[Int(1)]).is_err());
}

/// What a text of `numbers/make.py` stands for.
fn number(text: &str) -> Number {
    match text {
        "True" => Bool(true),
        "False" => Bool(false),
        "nan" => Float(f64::NAN),
        "inf" => Float(f64::INFINITY),
        "-inf" => Float(f64::NEG_INFINITY),
        _ => match text.split_once("0x") {
            None => Int(text.parse().unwrap()),
            Some((sign, rest)) => {
                let (digits, exponent) = rest.split_once('p').unwrap();
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
                let exponent: i32 = exponent.parse().unwrap();
                let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).unwrap() as f64;
                // In two steps, so that no step is below the smallest number.
                let shift = exponent - 4 * i32::try_from(fraction.len()).unwrap();
                let value = mantissa * 2f64.powi(shift / 2) * 2f64.powi(shift - shift / 2);
                Float(if sign == "-" { -value } else { value })
            }
        },
    }
}

/// True if these are the same type and bits. Functions of libm may differ in the last bit.
fn same(target: &str, found: Number, expected: Number) -> bool {
    match (found, expected) {
        (Float(a), Float(b)) if a.is_nan() => b.is_nan(),
        (Float(a), Float(b)) if target.starts_with("torch._sym_") || target.ends_with("pow") => {
            a.to_bits().abs_diff(b.to_bits()) <= 1
        }
        (Float(a), Float(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

#[test]
fn every_function_gives_what_python_gives() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/numbers/python.txt.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let (mut cases, mut wrong) = (0, Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (left, expected) = line.split_once(" = ").unwrap();
        let mut words = left.split(' ');
        let target = words.next().unwrap();
        let operands: Vec<Number> = words.map(number).collect();
        let found = call(target, &operands);
        let right = match (&found, expected) {
            (Err(_), "error") => true,
            (Ok(_), "error") | (Err(_), _) => false,
            (Ok(found), expected) => same(target, *found, number(expected)),
        };
        cases += 1;
        if !right {
            wrong.push(format!("{line}, found {found:?}"));
        }
    }
    assert!(cases > 10_000, "{cases} cases");
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {cases}:\n{shown}", wrong.len());
}
