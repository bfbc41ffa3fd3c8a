//! Tables as CSV.

use fmrai_core::report::{Table, Values};

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
