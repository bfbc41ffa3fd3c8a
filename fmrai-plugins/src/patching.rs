//! What activation and attribution patching share.

use std::ops::Range;

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::experiment::Sites;
use fmrai_core::report::{NamedTensor, Report};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use crate::metric::Metric;
use crate::pairs::PairRows;
use crate::sites::{By, Cells, Column, Moments, SiteChoice, SiteMap};

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
        let of = |moments: &Moments| [moments.count, moments.sum, moments.squares];
        let numbers: Vec<f64> =
            of(&self.clean).into_iter().chain(of(&self.corrupted)).chain([self.too_close]).collect();
        state.put("totals", [7], numbers)
    }

    pub(crate) fn get(state: &State) -> Result<Self, StateError> {
        let n = state.get::<f64>("totals", &[7])?;
        let of = |at: usize| Moments { count: n[at], sum: n[at + 1], squares: n[at + 2] };
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

    pub(crate) fn summary(&self, summary: &mut Map<String, Value>, patched: &[Patched]) {
        summary.insert("pairs".to_owned(), json!(self.clean.count));
        summary.insert("clean".to_owned(), json!(self.clean.mean()));
        summary.insert("corrupted".to_owned(), json!(self.corrupted.mean()));
        summary.insert("sites".to_owned(), patched.iter().map(|p| p.map.choice.to_string()).collect());
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

/// Refuses pairs whose texts differ in length.
pub(crate) fn aligned(pairs: &[PairRows<'_>]) -> Result<(), AnalyzerError> {
    let Some(pair) = pairs.iter().find(|pair| !pair.aligned()) else { return Ok(()) };
    let [clean, corrupted] = pair.samples;
    Err(AnalyzerError::Unsuitable {
        found: format!(
            "pair {} with {} tokens in the clean text and {} in the corrupted one",
            clean.id / 2,
            clean.span.len(),
            corrupted.span.len()
        ),
        needed: "texts of the same length, since an activation is taken from the same position".to_owned(),
    })
}

/// The columns that these pairs have.
pub(crate) fn columns_of(by: By, pairs: &[PairRows<'_>]) -> Vec<Column> {
    if by.positions() {
        let longest = pairs.iter().map(|pair| pair.samples[0].span.len()).max().unwrap_or(0);
        return (0..u32::try_from(longest).unwrap_or(u32::MAX)).map(Column::Position).collect();
    }
    if by.marks() {
        let mut marks: Vec<String> = pairs.iter().flat_map(|pair| pair.pair.marks.keys().cloned()).collect();
        marks.sort();
        marks.dedup();
        return marks.into_iter().map(Column::Mark).collect();
    }
    vec![Column::All]
}

/// The positions of a column in a pair, without padding; `None` for all of them, an empty range where it has none.
pub(crate) fn places(pair: &PairRows<'_>, column: &Column) -> Option<Range<usize>> {
    let length = pair.samples[0].span.len();
    match column {
        Column::All => None,
        Column::Position(position) => {
            let position = *position as usize;
            Some(if position < length { position..position + 1 } else { 0..0 })
        }
        Column::Mark(mark) => {
            let range = pair.pair.marks.get(mark).cloned().unwrap_or(0..0);
            Some(range.start.min(length)..range.end.min(length))
        }
    }
}

/// The pairs that have something of a column, those with the same padded positions together.
pub(crate) fn members(pairs: &[PairRows<'_>], column: &Column) -> Vec<(Option<Vec<usize>>, Vec<usize>)> {
    let mut groups: Vec<(Option<Vec<usize>>, Vec<usize>)> = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        let start = pair.samples[0].span.start;
        let positions = match places(pair, column) {
            Some(range) if range.is_empty() => continue,
            range => range.map(|range| range.map(|position| start + position).collect::<Vec<_>>()),
        };
        match groups.iter_mut().find(|(same, _)| *same == positions) {
            Some((_, members)) => members.push(at),
            None => groups.push((positions, vec![at])),
        }
    }
    groups
}

/// With a capital letter at its beginning.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
