//! The value that a reference stands for.

use std::path::Path;

use fmrai_core::report::{Report, Values};
use fmrai_core::tensor::{TensorValue, from_safetensors};
use serde_json::{Map, Value, json};

use super::Spec;

/// A table or tensor of a result, as numbers and texts.
enum Found {
    /// Columns by name.
    Table(Vec<(String, Vec<Value>)>),
    /// A tensor.
    Tensor(TensorValue),
}

/// The value, from a report that is at hand.
pub(crate) fn value_of_report(report: &Report, spec: &Spec) -> Result<Value, String> {
    let found = match (&spec.table, &spec.tensor) {
        (Some(name), _) => {
            let names = || report.tables.iter().map(|table| table.name().to_owned()).collect::<Vec<_>>();
            let table = report.tables.iter().find(|table| table.name() == name);
            let table = table.ok_or_else(|| absent("table", name, &names()))?;
            let columns = table.columns().iter().map(|column| (column.name.clone(), cells(&column.values)));
            Found::Table(columns.collect())
        }
        (None, Some(name)) => {
            let names = || report.tensors.iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>();
            let tensor = report.tensors.iter().find(|tensor| tensor.name == *name);
            Found::Tensor(tensor.ok_or_else(|| absent("tensor", name, &names()))?.value.clone())
        }
        (None, None) => return Err("it names neither a table nor a tensor".to_owned()),
    };
    value(&found, spec)
}

/// The value, from the files of an earlier run in `folder`.
pub(crate) fn value_of_folder(folder: &Path, spec: &Spec) -> Result<Value, String> {
    let analysis = folder.join(&spec.from);
    let unread = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let found = match (&spec.table, &spec.tensor) {
        (Some(name), _) => {
            let path = analysis.join("tables").join(format!("{name}.csv"));
            let mut reader = csv::Reader::from_path(&path).map_err(|e| unread(&path, &e))?;
            let headers = reader.headers().map_err(|e| unread(&path, &e))?.clone();
            // Units stand behind the names.
            let name = |header: &str| header.split(" (").next().unwrap_or(header).to_owned();
            let mut columns: Vec<(String, Vec<Value>)> =
                headers.iter().map(|header| (name(header), Vec::new())).collect();
            for record in reader.records() {
                let record = record.map_err(|e| unread(&path, &e))?;
                for ((_, column), cell) in columns.iter_mut().zip(record.iter()) {
                    column.push(parsed(cell));
                }
            }
            Found::Table(columns)
        }
        (None, Some(name)) => {
            let path = analysis.join("tensors.safetensors");
            let bytes = std::fs::read(&path).map_err(|e| unread(&path, &e))?;
            let (tensors, _) = from_safetensors(&bytes).map_err(|e| unread(&path, &e))?;
            let names: Vec<String> = tensors.iter().map(|(name, _)| name.clone()).collect();
            let found = tensors.into_iter().find(|(found, _)| found == name);
            Found::Tensor(found.ok_or_else(|| absent("tensor", name, &names))?.1)
        }
        (None, None) => return Err("it names neither a table nor a tensor".to_owned()),
    };
    value(&found, spec)
}

fn absent(what: &str, name: &str, names: &[String]) -> String {
    let all = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("the result has no {what} {name:?}; it has {all}")
}

fn cells(values: &Values) -> Vec<Value> {
    match values {
        Values::Int(all) => all.iter().map(|x| json!(x)).collect(),
        Values::Float(all) => all.iter().map(|x| json!(x)).collect(),
        Values::Text(all) => all.iter().map(|x| json!(x)).collect(),
    }
}

fn parsed(cell: &str) -> Value {
    if let Ok(number) = cell.parse::<i64>() {
        return json!(number);
    }
    match cell.parse::<f64>() {
        Ok(number) => json!(number),
        Err(_) if cell.is_empty() => Value::Null,
        Err(_) => json!(cell),
    }
}

/// What the reference asks for.
fn value(found: &Found, spec: &Spec) -> Result<Value, String> {
    match found {
        Found::Table(columns) => of_table(columns, spec),
        Found::Tensor(tensor) => of_tensor(tensor, spec),
    }
}

fn order(values: &mut [(usize, f64)], spec: &Spec) {
    let key = |value: f64| if spec.absolute { value.abs() } else { value };
    values.sort_by(|(a_at, a), (b_at, b)| {
        let (a, b) = (key(*a), key(*b));
        let order = if spec.lowest { a.total_cmp(&b) } else { b.total_cmp(&a) };
        order.then(a_at.cmp(b_at))
    });
}

fn of_table(columns: &[(String, Vec<Value>)], spec: &Spec) -> Result<Value, String> {
    let column = |name: &str| {
        let found = columns.iter().find(|(found, _)| found == name).map(|(_, cells)| cells);
        let names = || columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("the table has no column {name:?}; it has {}", names()))
    };
    let rows = columns.first().map_or(0, |(_, cells)| cells.len());
    let mut chosen: Vec<usize> = (0..rows).collect();
    if let Some(by) = &spec.by {
        let cells = column(by)?;
        let numbers = cells.iter().enumerate().filter_map(|(at, cell)| Some((at, cell.as_f64()?)));
        let mut numbers: Vec<(usize, f64)> = numbers.collect();
        if numbers.is_empty() && rows > 0 {
            return Err(format!("the column {by:?} has no numbers to sort by"));
        }
        order(&mut numbers, spec);
        chosen = numbers.into_iter().map(|(at, _)| at).collect();
    }
    chosen.truncate(spec.top.unwrap_or(usize::MAX));
    let taken: Vec<String> =
        spec.columns.clone().unwrap_or_else(|| vec!["layer".to_owned(), "head".to_owned()]);
    let taken: Vec<&Vec<Value>> = taken.iter().map(|name| column(name)).collect::<Result<_, _>>()?;
    let row = |at: usize| match taken.as_slice() {
        [only] => only[at].clone(),
        several => several.iter().map(|cells| cells[at].clone()).collect(),
    };
    let Some(group_by) = &spec.group_by else { return Ok(chosen.into_iter().map(row).collect()) };
    let keys = column(group_by)?;
    let mut groups = Map::new();
    for at in chosen {
        let key = keys[at].as_str().map_or_else(|| keys[at].to_string(), str::to_owned);
        let group = groups.entry(key).or_insert_with(|| json!([]));
        if let Value::Array(rows) = group {
            rows.push(row(at));
        }
    }
    Ok(Value::Object(groups))
}

fn of_tensor(tensor: &TensorValue, spec: &Spec) -> Result<Value, String> {
    let shape = tensor.shape();
    let numbers: Vec<f64> = match tensor.data().view() {
        fmrai_core::tensor::DataView::F64(data) => data.to_vec(),
        fmrai_core::tensor::DataView::F32(data) => data.iter().map(|x| f64::from(*x)).collect(),
        fmrai_core::tensor::DataView::I64(data) => data.iter().map(|x| *x as f64).collect(),
        _ => return Err("the tensor holds no numbers that a plan could".to_owned()),
    };
    if spec.index.len() > shape.len() || spec.index.iter().zip(shape).any(|(at, size)| at >= size) {
        return Err(format!(
            "the index {:?} lies outside of the tensor, which has shape {shape:?}",
            spec.index
        ));
    }
    let (outer, inner) = shape.split_at(spec.index.len());
    let size: usize = inner.iter().product();
    let start = outer.iter().zip(&spec.index).fold(0, |start, (size, at)| start * size + at) * size;
    let part = &numbers[start..start + size];
    let Some(top) = spec.top else { return Ok(nested(part, inner)) };
    let finite = part.iter().copied().enumerate().filter(|(_, value)| value.is_finite());
    let mut finite: Vec<(usize, f64)> = finite.collect();
    order(&mut finite, spec);
    let place = |mut at: usize| {
        let mut place = vec![0; inner.len()];
        for (axis, size) in inner.iter().enumerate().rev() {
            place[axis] = at % size;
            at /= size;
        }
        json!(place)
    };
    Ok(finite.into_iter().take(top).map(|(at, _)| place(at)).collect())
}

fn nested(numbers: &[f64], shape: &[usize]) -> Value {
    match shape {
        [] => json!(numbers.first()),
        [_] => json!(numbers),
        [first, rest @ ..] => {
            let size: usize = rest.iter().product();
            (0..*first).map(|at| nested(&numbers[at * size..(at + 1) * size], rest)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fmrai_core::report::{Column, NamedTensor, Table};

    fn report() -> Report {
        let column = |name: &str, values| Column::new(name, None, values);
        let heads = Table::new(
            "heads",
            vec![
                column("layer", Values::Int(vec![0, 0, 1, 1])),
                column("head", Values::Int(vec![0, 1, 0, 1])),
                column("induction", Values::Float(vec![0.1, -0.9, 0.5, f64::NAN])),
                column("cluster", Values::Text(["a", "b", "a", "b"].map(str::to_owned).to_vec())),
            ],
        );
        let value = TensorValue::new([2, 2], vec![1.0, 2.0, 3.0, -4.0].into()).unwrap();
        let tensors = vec![NamedTensor::new("recovered", &["layer", "head"], None, value)];
        Report { tables: vec![heads.unwrap()], tensors, ..Report::default() }
    }

    fn of(spec: Value) -> Result<Value, String> {
        value_of_report(&report(), &serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn values_are_taken_as_asked() {
        let top = json!({"from": "x", "table": "heads", "by": "induction", "top": 2});
        assert_eq!(of(top).unwrap(), json!([[1, 0], [0, 0]]));
        let magnitude = json!({"from": "x", "table": "heads", "by": "induction", "top": 1, "absolute": true});
        assert_eq!(of(magnitude).unwrap(), json!([[0, 1]]));
        let groups = json!({"from": "x", "table": "heads", "group_by": "cluster"});
        assert_eq!(of(groups).unwrap(), json!({"a": [[0, 0], [1, 0]], "b": [[0, 1], [1, 1]]}));
        let one =
            json!({"from": "x", "table": "heads", "columns": ["head"], "by": "induction", "lowest": true});
        assert_eq!(of(one).unwrap(), json!([1, 0, 0]));
        assert_eq!(
            of(json!({"from": "x", "tensor": "recovered", "index": [1]})).unwrap(),
            json!([3.0, -4.0])
        );
        assert_eq!(of(json!({"from": "x", "tensor": "recovered", "top": 1})).unwrap(), json!([[1, 0]]));
        let message = of(json!({"from": "x", "table": "heads", "by": "nothing"})).unwrap_err();
        assert!(message.contains("\"nothing\"") && message.contains("induction"), "{message}");
        let message = of(json!({"from": "x", "tensor": "recovered", "index": [2]})).unwrap_err();
        assert!(message.contains("[2, 2]"), "{message}");
    }
}
