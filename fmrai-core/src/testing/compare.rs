//! Where two reports of the same analysis differ.

use serde_json::Value;

use crate::report::{Column, Report, Values};
use crate::tensor::DataView;
use crate::tolerance::Tolerance;

/// The first place where two reports differ by more than `tolerance`; figures are compared by their names, since they
/// show what tables and tensors hold.
pub(super) fn differences(found: &Report, expected: &Report, tolerance: &Tolerance) -> Option<String> {
    let names = |report: &Report| -> Vec<String> {
        let tables = report.tables.iter().map(|t| format!("table {:?}", t.name()));
        let tensors = report.tensors.iter().map(|t| format!("tensor {:?}", t.name));
        let figures = report.figures.iter().map(|f| format!("figure {:?}", f.name));
        tables.chain(tensors).chain(figures).collect()
    };
    let (has, needs) = (names(found), names(expected));
    if has != needs {
        return Some(format!("the report has {}, expected {}", has.join(", "), needs.join(", ")));
    }
    let summary = |report: &Report| Value::Object(report.summary.clone());
    json("summary", &summary(found), &summary(expected), tolerance)
        .or_else(|| {
            found.tables.iter().zip(&expected.tables).find_map(|(a, b)| {
                if a.columns().len() != b.columns().len() {
                    return Some(format!("table {:?} has another number of columns", a.name()));
                }
                let columns = a.columns().iter().zip(b.columns());
                columns.into_iter().find_map(|(c, d)| column(a.name(), c, d, tolerance))
            })
        })
        .or_else(|| {
            found.tensors.iter().zip(&expected.tensors).find_map(|(a, b)| {
                let place = || format!("tensor {:?}", a.name);
                if a.value.shape() != b.value.shape() {
                    return Some(format!("{} has another shape", place()));
                }
                let outcome = match (a.value.view().data(), b.value.view().data()) {
                    (DataView::F32(a), DataView::F32(b)) => tolerance.check(a, b).map_err(|e| e.to_string()),
                    (DataView::F64(a), DataView::F64(b)) => tolerance.check(a, b).map_err(|e| e.to_string()),
                    (DataView::I64(a), DataView::I64(b)) if a == b => Ok(()),
                    (DataView::I64(_), DataView::I64(_)) => Err("other whole numbers".to_owned()),
                    _ => Err("another element type".to_owned()),
                };
                outcome.err().map(|what| format!("{}: {what}", place()))
            })
        })
}

fn column(table: &str, found: &Column, expected: &Column, tolerance: &Tolerance) -> Option<String> {
    let place = format!("column {:?} of table {table:?}", found.name);
    if found.name != expected.name {
        return Some(format!("{place}: expected the column {:?}", expected.name));
    }
    let outcome = match (&found.values, &expected.values) {
        (Values::Float(a), Values::Float(b)) => tolerance.check(a, b).map_err(|e| e.to_string()),
        (a, b) if a == b => Ok(()),
        _ => Err("other cells".to_owned()),
    };
    outcome.err().map(|what| format!("{place}: {what}"))
}

fn json(place: &str, found: &Value, expected: &Value, tolerance: &Tolerance) -> Option<String> {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => a.iter().find_map(|(key, a)| {
            let place = format!("{place}.{key}");
            match b.get(key) {
                Some(b) => json(&place, a, b, tolerance),
                None => Some(format!("{place} is not expected")),
            }
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.into_iter().find_map(|(i, (a, b))| json(&format!("{place}[{i}]"), a, b, tolerance))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64()?, b.as_f64()?);
            (!tolerance.accepts(a, b)).then(|| format!("{place} is {a}, expected {b}"))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{place} is {a}, expected {b}")),
    }
}
