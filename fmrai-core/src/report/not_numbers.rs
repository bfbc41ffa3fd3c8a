//! Where a report has what is no number.

use super::{Report, Values};
use crate::tensor::TensorData;

/// How many are NaN and how many infinite.
#[derive(Default)]
struct Found {
    nan: usize,
    infinite: usize,
}

impl Found {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        numbers.fold(Self::default(), |found, x| Self {
            nan: found.nan + usize::from(x.is_nan()),
            infinite: found.infinite + usize::from(x.is_infinite()),
        })
    }

    /// Where they are, if there are any; NaN counts only where it is not declared.
    fn told(&self, place: &str, all: usize, declared: bool) -> Option<String> {
        let nan = (self.nan > 0 && !declared).then(|| format!("{} NaN", self.nan));
        let infinite = (self.infinite > 0).then(|| format!("{} infinite", self.infinite));
        let counts: Vec<String> = nan.into_iter().chain(infinite).collect();
        (!counts.is_empty()).then(|| format!("{place}: {} of {all}", counts.join(" and ")))
    }
}

impl Report {
    /// Where it has infinity, and NaN that [`Self::gaps`] does not declare: tables by column, and tensors, each with how many. It may
    /// be a division by zero that nobody thought of. Figures and relations are not looked at.
    #[must_use]
    pub fn not_numbers(&self) -> Vec<String> {
        let mut places = Vec::new();
        for table in &self.tables {
            for column in table.columns() {
                let Values::Float(numbers) = &column.values else { continue };
                let declared = self.declares(table.name())
                    || self.declares(&format!("{}.{}", table.name(), column.name));
                let place = format!("table {:?}, column {:?}", table.name(), column.name);
                places.extend(Found::of(numbers.iter().copied()).told(&place, numbers.len(), declared));
            }
        }
        for tensor in &self.tensors {
            let (found, all) = match tensor.value.data() {
                TensorData::F64(numbers) => (Found::of(numbers.iter().copied()), numbers.len()),
                TensorData::F32(numbers) => (Found::of(numbers.iter().map(|x| f64::from(*x))), numbers.len()),
                _ => continue,
            };
            let declared = self.declares(&tensor.name);
            places.extend(found.told(&format!("tensor {:?}", tensor.name), all, declared));
        }
        places
    }

    /// Whether NaN means "nothing to tell" in what has this name.
    fn declares(&self, name: &str) -> bool {
        self.gaps.iter().any(|declared| match declared.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == declared,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Column, NamedTensor, Table};
    use crate::tensor::TensorValue;

    fn report() -> Report {
        let columns = vec![
            Column::whole("head", [0, 1]),
            Column::float("mean", Some("nats"), [0.5, f64::NAN]),
            Column::float("most", Some("nats"), [f64::NEG_INFINITY, f64::NAN]),
        ];
        let tensor = |name: &str, values: Vec<f64>| {
            let value = TensorValue::new([values.len()], values.into()).unwrap();
            NamedTensor::new(name, &["head"], None, value)
        };
        let single = TensorValue::new([2], vec![f32::INFINITY, 0.0].into()).unwrap();
        Report {
            tables: vec![Table::new("heads", columns).unwrap()],
            tensors: vec![
                tensor("mean.head", vec![f64::NAN, 1.0, f64::NAN]),
                tensor("fine", vec![1.0]),
                NamedTensor::new("single", &["head"], None, single),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn places_are_told() {
        assert_eq!(
            report().not_numbers(),
            [
                r#"table "heads", column "mean": 1 NaN of 2"#,
                r#"table "heads", column "most": 1 NaN and 1 infinite of 2"#,
                r#"tensor "mean.head": 2 NaN of 3"#,
                r#"tensor "single": 1 infinite of 2"#,
            ]
        );
        assert!(Report::default().not_numbers().is_empty());
    }

    #[test]
    fn declared_nan_is_not_told_and_infinity_always_is() {
        let declared = |gaps: &[&str]| {
            Report { gaps: gaps.iter().map(|&gap| gap.to_owned()).collect(), ..report() }.not_numbers()
        };
        let infinite =
            [r#"table "heads", column "most": 1 infinite of 2"#, r#"tensor "single": 1 infinite of 2"#];
        assert_eq!(declared(&["heads", "mean.*"]), infinite);
        assert_eq!(declared(&["heads.m*", "mean.head"]), infinite);
        assert_eq!(declared(&["*"]), infinite);
        assert_eq!(declared(&["heads.mean", "mean"]).len(), 3);
    }
}
