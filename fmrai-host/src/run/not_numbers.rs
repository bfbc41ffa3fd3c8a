//! Results that are no numbers, as a warning of their analysis.

use fmrai_core::report::Report;
use serde_json::{Value, json};

/// Places that a warning names; the rest is counted.
const NAMED: usize = 3;

/// Adds to the warnings of a report where NaN and infinity are that it does not declare.
pub(super) fn warn(report: &mut Report) {
    let places = report.not_numbers();
    if places.is_empty() {
        return;
    }
    let more = places.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and in {more} more") } else { String::new() };
    let named = places[..places.len().min(NAMED)].join("; ");
    let warning = json!(format!("results that are no numbers: {named}{more}"));
    match report.summary.get_mut("warnings") {
        Some(Value::Array(warnings)) => warnings.push(warning),
        Some(other) => *other = json!([other.take(), warning]),
        None => drop(report.summary.insert("warnings".to_owned(), json!([warning]))),
    }
}

#[cfg(test)]
mod tests {
    use fmrai_core::report::{Column, Table};

    use super::*;

    fn report(columns: usize) -> Report {
        let columns = (0..columns).map(|i| Column::float(&format!("c{i}"), None, [f64::NAN, f64::INFINITY]));
        Report { tables: vec![Table::new("t", columns.collect()).unwrap()], ..Report::default() }
    }

    #[test]
    fn the_first_places_are_named_and_warnings_that_are_there_stay() {
        let mut five = report(5);
        five.summary.insert("warnings".to_owned(), json!(["of its own"]));
        warn(&mut five);
        let told = r#"results that are no numbers: table "t", column "c0": 1 NaN and 1 infinite of 2; table "t", column "c1": 1 NaN and 1 infinite of 2; table "t", column "c2": 1 NaN and 1 infinite of 2; and in 2 more"#;
        assert_eq!(five.summary["warnings"], json!(["of its own", told]));
        let mut odd = report(1);
        odd.summary.insert("warnings".to_owned(), json!("a text"));
        warn(&mut odd);
        assert_eq!(odd.summary["warnings"].as_array().unwrap().len(), 2);
        let mut none = report(0);
        warn(&mut none);
        assert!(none.summary.is_empty());
    }
}
