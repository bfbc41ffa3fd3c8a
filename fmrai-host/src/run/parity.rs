//! Proof that watching a model does not change what it computes.

use fmrai_core::graph::{Graph, Origin, TensorNode};
use fmrai_core::tensor::DType;
use fmrai_core::tolerance::Tolerance;
use fmrai_torch::model::NamedTensors;
use fmrai_torch::no_grad;
use fmrai_torch::{Tensor, TorchError};
use serde::{Deserialize, Serialize};

/// How far the outputs of the watched model are from those of the untouched one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParityReport {
    /// Batches compared.
    pub batches: u64,
    /// True if every output agrees within 1e-5 plus `rounding` of its largest magnitude.
    pub agrees: bool,
    /// What rounding alone may change: 1e-5, or eight units in the last place of the coarsest element type that the model
    /// computes in: 0.0078 in float16, 0.0625 in bfloat16.
    #[serde(default = "fine")]
    pub rounding: f64,
    /// Each output, in the order of the model.
    pub outputs: Vec<OutputParity>,
}

/// One output, over all batches compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputParity {
    /// Its name.
    pub name: String,
    /// Elements compared.
    pub elements: u64,
    /// Largest difference between two finite elements, in the unit of the output.
    pub max_abs_difference: f64,
    /// Largest magnitude of a finite element of the untouched model.
    pub max_abs_value: f64,
    /// Elements that are NaN or infinite in one pass and something else in the other.
    pub non_finite_differences: u64,
}

/// Two passes whose outputs cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParityError {
    /// An output is absent or has another shape.
    #[error("output {name:?} of the watched model is {found}, that of the untouched one is {expected}")]
    Output {
        /// Its name.
        name: String,
        /// What the watched model gave.
        found: String,
        /// What the untouched model gave.
        expected: String,
    },
    /// libtorch reports an error.
    #[error("libtorch: {0}")]
    Torch(#[from] TorchError),
}

impl Default for ParityReport {
    fn default() -> Self {
        Self { batches: 0, agrees: false, rounding: fine(), outputs: Vec::new() }
    }
}

fn fine() -> f64 {
    Tolerance::ACTIVATION.relative
}

/// What rounding alone may change of an output of a model with this graph, as a share of the largest magnitude: see
/// [`ParityReport::rounding`].
pub(super) fn precision(graph: &dyn Graph) -> f64 {
    let units = |dtype| match dtype {
        DType::Float16 => 8.0 * 2f64.powi(-10),
        DType::BFloat16 => 8.0 * 2f64.powi(-7),
        _ => fine(),
    };
    let made = |tensor: &&TensorNode| matches!(tensor.origin, Origin::Operation { .. });
    graph.tensors().iter().filter(made).map(|tensor| units(tensor.dtype)).fold(fine(), f64::max)
}

impl ParityReport {
    /// Compares the outputs of one more batch. `rounding` is what rounding alone may change, as a share of an output's largest
    /// magnitude.
    ///
    /// # Errors
    /// [`ParityError::Output`] for outputs of different names or shapes.
    pub fn compare(
        &mut self,
        untouched: &NamedTensors,
        watched: &NamedTensors,
        rounding: f64,
    ) -> Result<(), ParityError> {
        let _guard = no_grad();
        for (name, expected) in &untouched.0 {
            match watched.get(name) {
                Some(found) if found.size() == expected.size() => {
                    self.add(difference(name, expected, found)?);
                }
                found => {
                    let shape = |t: &Tensor| format!("of shape {:?}", t.size());
                    return Err(ParityError::Output {
                        name: name.clone(),
                        found: found.map_or_else(|| "absent".to_owned(), shape),
                        expected: shape(expected),
                    });
                }
            }
        }
        self.batches += 1;
        self.rounding = rounding;
        self.agrees = self.outputs.iter().all(|output| output.agrees(rounding));
        Ok(())
    }

    /// That of a run whose parts, in order, gave these: where `every` batch was compared, all of them together; else that of the first batch of the
    /// data, unless a part differs.
    pub(super) fn of_parts(parts: Vec<Self>, every: bool) -> Option<Self> {
        let agree = parts.iter().all(|part| part.agrees);
        let mut parts = parts.into_iter();
        let mut all = parts.next()?;
        if every || !agree {
            for part in parts {
                all.batches += part.batches;
                all.rounding = all.rounding.max(part.rounding);
                part.outputs.into_iter().for_each(|output| all.add(output));
            }
            all.agrees = agree;
        }
        Some(all)
    }

    fn add(&mut self, new: OutputParity) {
        match self.outputs.iter_mut().find(|o| o.name == new.name) {
            None => self.outputs.push(new),
            Some(old) => {
                old.elements += new.elements;
                old.max_abs_difference = old.max_abs_difference.max(new.max_abs_difference);
                old.max_abs_value = old.max_abs_value.max(new.max_abs_value);
                old.non_finite_differences += new.non_finite_differences;
            }
        }
    }

    /// The largest difference of any output.
    #[must_use]
    pub fn max_abs_difference(&self) -> f64 {
        self.outputs.iter().map(|o| o.max_abs_difference).fold(0.0, f64::max)
    }
}

impl OutputParity {
    fn agrees(&self, rounding: f64) -> bool {
        let watched = self.max_abs_value + self.max_abs_difference;
        let tolerance = Tolerance { relative: rounding, ..Tolerance::ACTIVATION };
        tolerance.accepts(watched, self.max_abs_value) && self.non_finite_differences == 0
    }
}

fn difference(name: &str, expected: &Tensor, found: &Tensor) -> Result<OutputParity, TorchError> {
    let wide = |t: &Tensor| t.to_dtype(DType::Float64)?.reshape(&[-1]);
    let (expected, found) = (wide(expected)?, wide(found)?);
    let largest = |t: Tensor| -> Result<f64, TorchError> {
        if t.numel() == 0 { Ok(0.0) } else { t.abs()?.max()?.item::<f64>() }
    };
    let finite = expected.is_finite()?.and(&found.is_finite()?)?;
    let both_nan = expected.is_nan()?.and(&found.is_nan()?)?;
    let same = expected.eq(&found)?.or(&both_nan)?;
    let odd = finite.or(&same)?.not()?.sum(DType::Int64)?.item::<i64>()?;
    Ok(OutputParity {
        name: name.to_owned(),
        elements: expected.numel() as u64,
        max_abs_difference: largest(expected.sub(&found)?.masked_select(&finite)?)?,
        max_abs_value: largest(expected.masked_select(&expected.is_finite()?)?)?,
        non_finite_differences: u64::try_from(odd).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[f32]) -> NamedTensors {
        NamedTensors(vec![("out".into(), Tensor::from_slice(values).unwrap())])
    }

    #[test]
    fn the_largest_difference_over_all_batches_is_reported() {
        let mut report = ParityReport::default();
        report.compare(&named(&[1.0, f32::NAN, 2.0]), &named(&[1.0, f32::NAN, 2.0]), 1e-5).unwrap();
        assert!(report.agrees && report.max_abs_difference() == 0.0);
        report.compare(&named(&[1.0, -4.0]), &named(&[1.5, -4.0]), 1e-5).unwrap();
        assert_eq!((report.batches, report.agrees), (2, false));
        let expected = OutputParity {
            name: "out".into(),
            elements: 5,
            max_abs_difference: 0.5,
            max_abs_value: 4.0,
            non_finite_differences: 0,
        };
        assert_eq!(report.outputs, [expected]);
    }

    #[test]
    fn infinities_and_shapes_that_differ_are_noticed() {
        let mut report = ParityReport::default();
        report.compare(&named(&[f32::INFINITY, 1.0]), &named(&[f32::NEG_INFINITY, 1.0]), 1e-5).unwrap();
        assert_eq!((report.agrees, report.outputs[0].non_finite_differences), (false, 1));
        let error = report.compare(&named(&[1.0]), &named(&[1.0, 2.0]), 1e-5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "output \"out\" of the watched model is of shape [2], that of the untouched one is of shape [1]"
        );
    }
}
