//! Tables as CSV.

use fmrai_core::report::{Column, Table, Values};

/// A table as CSV (RFC 4180 with line feeds). Headers carry units: `entropy (nats)`.
///
/// Numbers have the fewest digits that read back as the same `f64`; infinities are `inf` and `-inf`, NaN is an
/// empty cell.
///
/// # Errors
/// The message of the CSV library.
pub fn to_csv(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = table.columns().iter().map(|c| match &c.unit {
        Some(unit) => format!("{} ({unit})", c.name),
        None => c.name.clone(),
    });
    writer.write_record(header)?;
    for row in 0..table.rows() {
        writer.write_record(table.columns().iter().map(|column| cell(&column.values, row)))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// The table that [`to_csv`] wrote, with the names and units that its summary gives to the columns. Columns of whole numbers alone are
/// read as such, those of numbers and empty cells as floats, others as texts.
///
/// # Errors
/// The message of the CSV library, or a number of columns that is not that of the summary.
pub fn from_csv(name: &str, columns: &[(String, Option<String>)], csv: &[u8]) -> Result<Table, String> {
    let mut reader = csv::Reader::from_reader(csv);
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); columns.len()];
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        if record.len() != columns.len() {
            return Err(format!(
                "a row has {} cells, its summary names {} columns",
                record.len(),
                columns.len()
            ));
        }
        cells.iter_mut().zip(&record).for_each(|(column, cell)| column.push(cell.to_owned()));
    }
    let columns = columns
        .iter()
        .zip(cells)
        .map(|((name, unit), cells)| Column::new(name, unit.as_deref(), values(cells)));
    Table::new(name, columns.collect()).map_err(|error| error.to_string())
}

fn values(cells: Vec<String>) -> Values {
    if let Ok(whole) = cells.iter().map(|cell| cell.parse()).collect::<Result<Vec<i64>, _>>() {
        return Values::Int(whole);
    }
    let float = |cell: &String| if cell.is_empty() { Ok(f64::NAN) } else { cell.parse() };
    match cells.iter().map(float).collect::<Result<Vec<f64>, _>>() {
        // A column of empty texts says nothing as numbers either.
        Ok(numbers) if !numbers.iter().all(|x| x.is_nan()) => Values::Float(numbers),
        _ => Values::Text(cells),
    }
}

fn cell(values: &Values, row: usize) -> String {
    match values {
        Values::Int(v) => v.get(row).map(i64::to_string),
        Values::Float(v) => v.get(row).filter(|x| !x.is_nan()).map(|x| format!("{x:?}")),
        Values::Text(v) => v.get(row).cloned(),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::Column;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_have_units_and_nan_is_empty() {
        let columns = vec![
            Column::new("head", None, Values::Text(vec!["0-1".into(), "a,\"b\"".into(), String::new()])),
            Column::new("entropy", Some("nats"), Values::Float(vec![0.1, f64::NAN, f64::NEG_INFINITY])),
            Column::new("rank", None, Values::Int(vec![3, -1, i64::MAX])),
        ];
        let csv = String::from_utf8(to_csv(&Table::new("t", columns).unwrap()).unwrap()).unwrap();
        let expected =
            "head,entropy (nats),rank\n0-1,0.1,3\n\"a,\"\"b\"\"\",,-1\n,-inf,9223372036854775807\n";
        assert_eq!(csv, expected);
        let named = [
            ("head".to_owned(), None),
            ("entropy".to_owned(), Some("nats".to_owned())),
            ("rank".to_owned(), None),
        ];
        let read = from_csv("t", &named, csv.as_bytes()).unwrap();
        let kinds: Vec<_> =
            read.columns().iter().map(|c| (c.name.as_str(), c.unit.as_deref(), c.values.len())).collect();
        assert_eq!(kinds, [("head", None, 3), ("entropy", Some("nats"), 3), ("rank", None, 3)]);
        assert_eq!(to_csv(&read).unwrap(), csv.as_bytes());
        assert!(from_csv("t", &named[..2], csv.as_bytes()).unwrap_err().contains("3 cells"));
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn numbers_keep_every_bit(bits in any::<u64>()) {
            let x = f64::from_bits(bits);
            prop_assume!(!x.is_nan());
            let text = cell(&Values::Float(vec![x]), 0);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
        }
    }
}
