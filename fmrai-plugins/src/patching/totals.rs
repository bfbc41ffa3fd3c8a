//! What was measured of the pairs as they are.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::report::{NamedTensor, Report};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use crate::metric::Metric;
use crate::sites::{Moments, SiteChoice};

/// What was measured of the pairs as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) clean: Moments,
    pub(crate) corrupted: Moments,
    /// Pairs whose two runs differ too little for a share.
    pub(crate) too_close: f64,
    /// Sites that the model does not have.
    pub(crate) lacking: Vec<String>,
}

impl Totals {
    pub(crate) fn add(&mut self, clean: f64, corrupted: f64) {
        self.clean.add(clean);
        self.corrupted.add(corrupted);
        self.too_close += f64::from(u8::from(too_close(clean, corrupted)));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.clean.merge(&other.clean);
        self.corrupted.merge(&other.corrupted);
        self.too_close += other.too_close;
    }

    pub(crate) fn put(&self, state: &mut State) -> Result<(), StateError> {
        let numbers: Vec<f64> = self
            .clean
            .numbers()
            .into_iter()
            .chain(self.corrupted.numbers())
            .chain([self.too_close])
            .collect();
        state.put("totals", [7], numbers)
    }

    pub(crate) fn get(state: &State) -> Result<Self, StateError> {
        let n = state.get::<f64>("totals", &[7])?;
        let of = |at: usize| Moments::of([n[at], n[at + 1], n[at + 2]]);
        Ok(Self { clean: of(0), corrupted: of(3), too_close: n[6], lacking: Vec::new() })
    }

    pub(crate) fn enough(&self) -> Result<(), AnalyzerError> {
        if self.clean.count > 0.0 {
            return Ok(());
        }
        Err(AnalyzerError::NotEnoughData {
            found: "no pair of texts".to_owned(),
            needed: "at least one".to_owned(),
        })
    }

    pub(crate) fn tensors(&self, metric: Metric, report: &mut Report) -> Result<(), AnalyzerError> {
        for (name, moments) in [("clean", &self.clean), ("corrupted", &self.corrupted)] {
            let value = TensorValue::new([], vec![moments.mean()].into())?;
            report.tensors.push(NamedTensor::new(name, &[], metric.unit(), value));
        }
        Ok(())
    }

    pub(crate) fn summary(&self, summary: &mut Map<String, Value>, sites: &[SiteChoice]) {
        summary.insert("pairs".to_owned(), json!(self.clean.count));
        summary.insert("clean".to_owned(), json!(self.clean.mean()));
        summary.insert("corrupted".to_owned(), json!(self.corrupted.mean()));
        summary.insert("sites".to_owned(), sites.iter().map(ToString::to_string).collect());
        let mut warnings = Vec::new();
        if self.too_close > 0.0 {
            warnings.push(format!(
                "in {} of {} pairs the clean and the corrupted run hardly differ: they are left out of the shares",
                self.too_close, self.clean.count
            ));
        }
        if !self.lacking.is_empty() {
            warnings.push(format!("the model has no {}", self.lacking.join(", no ")));
        }
        if !warnings.is_empty() {
            summary.insert("warnings".to_owned(), json!(warnings));
        }
    }
}

/// True if the two runs differ too little for a share of their difference.
pub(crate) fn too_close(clean: f64, corrupted: f64) -> bool {
    (clean - corrupted).abs() <= 1e-6 * clean.abs().max(corrupted.abs()).max(1e-30)
}
