//! Results of one kind of part, cell by cell.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Value, json};

use super::effects::Effect;
use super::targets::Cells;

/// Things named in the summary for each result.
const STRONGEST: usize = 5;

/// Unit of losses.
pub(super) const NATS: Option<&str> = Some("nats");

/// A result with what was measured, cell by cell; `None` for cells that the model does not have.
pub(super) struct Results<'a> {
    pub(super) name: &'a str,
    pub(super) cells: &'a Cells,
    pub(super) effects: Vec<Option<Effect>>,
}

impl Results<'_> {
    /// A number of each cell.
    pub(super) fn values(&self, of: impl Fn(&Effect) -> f64) -> Vec<f64> {
        self.effects.iter().map(|effect| effect.as_ref().map_or(f64::NAN, &of)).collect()
    }

    pub(super) fn tensor(
        &self,
        quantity: &str,
        unit: Option<&str>,
        of: impl Fn(&Effect) -> f64,
    ) -> Result<NamedTensor, AnalyzerError> {
        let value = TensorValue::new(self.cells.shape(), self.values(of).into())?;
        Ok(NamedTensor::new(&format!("{quantity}.{}", self.name), self.cells.axes(), unit, value))
    }

    /// What a cell is, as columns of a table have it.
    fn place(&self, cell: usize) -> Place {
        match self.cells {
            Cells::Heads { heads, .. } => Place::Two("head", cell / heads, cell % heads),
            Cells::Layers(_) => Place::One(cell),
            Cells::Neurons(neurons) => Place::Two("neuron", neurons[cell].0, neurons[cell].1),
            Cells::Groups(groups) => Place::Name(groups[cell].clone()),
        }
    }

    pub(super) fn table(&self, metric: Option<(&str, Option<&str>)>) -> Result<Table, AnalyzerError> {
        let there: Vec<(Place, &Effect)> = self
            .effects
            .iter()
            .enumerate()
            .filter_map(|(cell, effect)| effect.as_ref().map(|effect| (self.place(cell), effect)))
            .collect();
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut columns = Vec::new();
        let whole = |of: &dyn Fn(&Place) -> Option<usize>| -> Vec<i64> {
            there.iter().filter_map(|(place, _)| of(place)).map(number).collect()
        };
        let layers = whole(&|place| match place {
            Place::One(layer) | Place::Two(_, layer, _) => Some(*layer),
            Place::Name(_) => None,
        });
        if layers.len() == there.len() {
            columns.push(Column::new("layer", None, Values::Int(layers)));
        }
        if let Some((Place::Two(kind, ..), _)) = there.first() {
            let second = whole(&|place| match place {
                Place::Two(_, _, second) => Some(*second),
                _ => None,
            });
            columns.push(Column::new(kind, None, Values::Int(second)));
        }
        if let Cells::Groups(groups) = self.cells {
            columns.push(Column::new("group", None, Values::Text(groups.clone())));
        }
        let mut float = |name: &str, unit: Option<&str>, of: &dyn Fn(&Effect) -> f64| {
            let values = there.iter().map(|(_, effect)| of(effect)).collect();
            columns.push(Column::new(name, unit, Values::Float(values)));
        };
        float("loss_added", NATS, &|effect| effect.loss.mean());
        float("standard_error", NATS, &|effect| effect.loss.standard_error());
        float("token_loss_added", NATS, &Effect::token_mean);
        if let Some((_, unit)) = metric {
            float("metric_added", unit, &|effect| effect.metric.mean());
            float("metric_standard_error", unit, &|effect| effect.metric.standard_error());
        }
        let texts = there.iter().map(|(_, effect)| effect.loss.count as i64).collect();
        columns.push(Column::new("texts", None, Values::Int(texts)));
        Ok(Table::new(&format!("loss_added_{}", self.name), columns)?)
    }

    /// The cells that add most, for the summary.
    pub(super) fn strongest(&self) -> Value {
        let mut all: Vec<(usize, f64)> =
            self.values(|effect| effect.loss.mean()).into_iter().enumerate().collect();
        all.retain(|(_, added)| added.is_finite());
        all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        let named = all.into_iter().take(STRONGEST).map(|(cell, added)| match self.place(cell) {
            Place::One(layer) => json!({ "layer": layer, "loss_added": added }),
            Place::Two("head", layer, head) => json!({ "layer": layer, "head": head, "loss_added": added }),
            Place::Two(_, layer, neuron) => json!({ "layer": layer, "neuron": neuron, "loss_added": added }),
            Place::Name(group) => json!({ "group": group, "loss_added": added }),
        });
        named.collect()
    }
}

/// What a cell is.
enum Place {
    One(usize),
    Two(&'static str, usize, usize),
    Name(String),
}
