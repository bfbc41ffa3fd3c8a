//! Methods whose configs take values from the results of others.

use std::collections::BTreeMap;

use fmrai_core::analyzer::Method;
use fmrai_core::report::Report;
use serde_json::{Map, Value};

use crate::plan::Later;
use crate::plan::reference::{value_of_folder, value_of_report};

impl Later {
    /// The method and its config, with the values that these results have.
    ///
    /// # Errors
    /// A sentence that names the place in the plan.
    pub(super) fn method(
        &self,
        results: &BTreeMap<String, Result<Report, String>>,
    ) -> Result<(Map<String, Value>, Method), String> {
        let mut document = self.filled.clone();
        for reference in &self.references {
            let spec = &reference.spec;
            let value = match &spec.run {
                Some(folder) => value_of_folder(&self.base.join(folder), spec),
                None => match results.get(&spec.from) {
                    Some(Ok(report)) => value_of_report(report, spec),
                    Some(Err(why)) => Err(format!("{} has no result: {why}", spec.from)),
                    None => Err(format!("{} has no result", spec.from)),
                },
            };
            let value = value.map_err(|what| format!("{}: {what}", reference.path))?;
            if let Some(place) = document.pointer_mut(&reference.pointer) {
                *place = value;
            }
        }
        let places = || {
            let places: Vec<String> =
                self.references.iter().map(|reference| reference.path.to_string()).collect();
            places.join(", ")
        };
        let config = self.offer.config(document).map_err(|what| format!("{}: {what}", places()))?;
        let fields = config.fields().map_err(|error| format!("{}: {error}", places()))?;
        let method = config.build(&self.base).map_err(|error| {
            let field = error.field.clone().unwrap_or_default();
            format!("{}: {field} {}", places(), error.what)
        })?;
        Ok((fields, method))
    }
}
