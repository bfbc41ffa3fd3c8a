//! What was found at the sites of a model.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::experiment::Sites;
use serde_json::{Value, json};

use super::totals::Totals;
use crate::sites::{Cells, Column, SiteChoice, SiteMap};

/// Cells named in the summary for each site.
const STRONGEST: usize = 5;

/// Prefixes of the two kinds of cells in a state.
pub(crate) const NAMES: [&str; 2] = ["recovered", "patched"];

/// What was found at the sites of one choice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patched {
    /// The share recovered.
    pub(crate) map: SiteMap,
    /// The metric itself.
    pub(crate) raw: Cells,
}

impl Patched {
    /// The sites of all choices. One that no block has is named in `totals`; if none is there, the model is unsuitable.
    pub(crate) fn all(
        sites: &Sites<'_>,
        choices: &[SiteChoice],
        totals: &mut Totals,
    ) -> Result<Vec<Self>, AnalyzerError> {
        let mut all = Vec::new();
        totals.lacking.clear();
        for choice in choices {
            match SiteMap::new(sites, *choice) {
                Some(map) => {
                    if !map.lacking.is_empty() {
                        totals.lacking.push(format!("{choice} in layers {:?}", map.lacking));
                    }
                    all.push(Self { raw: map.fresh(), map });
                }
                None => totals.lacking.push(choice.to_string()),
            }
        }
        if all.is_empty() {
            return Err(AnalyzerError::Unsuitable {
                found: format!("none of the sites {}", totals.lacking.join(", ")),
                needed: "at least one of them".to_owned(),
            });
        }
        Ok(all)
    }

    pub(crate) fn put(&self, state: &mut State, names: [&str; 2]) -> Result<(), StateError> {
        self.map.cells.put(state, &format!("{}.{}", names[0], self.map.choice))?;
        self.raw.put(state, &format!("{}.{}", names[1], self.map.choice))
    }

    pub(crate) fn load(&self, state: &State, names: [&str; 2]) -> Result<(Cells, Cells), StateError> {
        let load = |name: &str| self.map.load(state, &format!("{name}.{}", self.map.choice));
        Ok((load(names[0])?, load(names[1])?))
    }

    /// The strongest cells, for the summary.
    pub(crate) fn strongest(&self) -> Value {
        let cells = self.map.strongest(&self.map.cells, STRONGEST);
        cells
            .into_iter()
            .map(|(layer, head, column, value)| {
                let mut cell = json!({ "layer": layer, "value": value });
                if let Some(head) = head {
                    cell["head"] = json!(head);
                }
                match column {
                    Column::All => {}
                    Column::Position(position) => cell["position"] = json!(position),
                    Column::Mark(mark) => cell["mark"] = json!(mark),
                }
                cell
            })
            .collect()
    }
}
