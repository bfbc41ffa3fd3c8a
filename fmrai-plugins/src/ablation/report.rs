//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use super::config::{AblationConfig, With};
use super::effects::Effect;
use super::experiment::Found;
use super::figures;
use super::targets::{Cells, Targets};

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

    fn tensor(
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

    fn table(&self, metric: Option<(&str, Option<&str>)>) -> Result<Table, AnalyzerError> {
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
    fn strongest(&self) -> Value {
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

/// What is replaced, and with what, for captions.
fn how(config: &AblationConfig) -> String {
    let with = match config.with {
        With::Zero => "zero".to_owned(),
        With::Mean => "its mean over all tokens of the data".to_owned(),
        With::Resample if config.draws == 1 => {
            "that of another text of the batch at the same position".to_owned()
        }
        With::Resample => {
            format!("that of another text of the batch at the same position, mean of {} draws", config.draws)
        }
    };
    let kept = if config.keep_patterns {
        "; attention probabilities of later layers stay those of the clean run"
    } else {
        ""
    };
    format!("Each output is replaced with {with} at all positions, one at a time{kept}.")
}

pub(super) fn report(
    config: &AblationConfig,
    targets: &Targets,
    found: &Found,
) -> Result<Report, AnalyzerError> {
    if found.base.loss.count == 0.0 {
        return Err(AnalyzerError::NotEnoughData {
            found: match config.with {
                With::Resample => "no batch with two texts of two tokens".to_owned(),
                _ => "no text with two tokens".to_owned(),
            },
            needed: "at least one, to predict a token".to_owned(),
        });
    }
    let maps: Vec<Results<'_>> = targets
        .results
        .iter()
        .enumerate()
        .map(|(result, (name, cells))| {
            let mut effects = vec![None; cells.count()];
            let own = targets.targets.iter().zip(&found.added).filter(|(target, _)| target.result == result);
            for (target, effect) in own {
                if let Some(cell) = effects.get_mut(target.cell) {
                    *cell = Some(*effect);
                }
            }
            Results { name, cells, effects }
        })
        .collect();
    let metric = config.metric.map(|metric| (metric.title(), metric.unit()));
    let mut report = Report::default();
    let mut single = |name: &str, unit: Option<&str>, value: f64| -> Result<(), AnalyzerError> {
        report.tensors.push(NamedTensor::new(name, &[], unit, TensorValue::new([], vec![value].into())?));
        Ok(())
    };
    single("loss", NATS, found.base.loss.mean())?;
    single("token_loss", NATS, found.base.token_mean())?;
    if let Some((_, unit)) = metric {
        single("metric", unit, found.base.metric.mean())?;
    }
    for map in &maps {
        report.tensors.push(map.tensor("loss_added", NATS, |effect| effect.loss.mean())?);
        report.tensors.push(map.tensor("token_loss_added", NATS, Effect::token_mean)?);
        if let Some((_, unit)) = metric {
            report.tensors.push(map.tensor("metric_added", unit, |effect| effect.metric.mean())?);
        }
        report.tables.push(map.table(metric)?);
    }
    let (texts, tokens, loss) = (found.base.loss.count, found.base.tokens, found.base.loss.mean());
    let caption = format!(
        "{} Mean over {texts} texts of the mean over a text's tokens, {tokens} tokens in all; the clean loss is {loss:.3} nats.",
        how(config)
    );
    report.figures = figures::figures(&maps, &caption, metric);
    summary(&mut report.summary, config, targets, found, &maps);
    Ok(report)
}

fn summary(
    summary: &mut Map<String, Value>,
    config: &AblationConfig,
    targets: &Targets,
    found: &Found,
    maps: &[Results<'_>],
) {
    let mut put = |name: &str, value: Value| summary.insert(name.to_owned(), value);
    put("with", json!(config.with));
    put("texts", json!(found.base.loss.count));
    put("tokens", json!(found.base.tokens));
    put("loss", json!(found.base.loss.mean()));
    put("token_loss", json!(found.base.token_mean()));
    if let Some(metric) = config.metric {
        put(
            &json!(metric).as_str().map_or_else(|| "metric".to_owned(), str::to_owned),
            json!(found.base.metric.mean()),
        );
    }
    if config.with == With::Mean {
        put("mean_tokens", json!(found.means.tokens));
    }
    if config.with == With::Resample {
        put("resampled_share", json!(found.resampled / found.positions));
    }
    let strongest = maps.iter().map(|map| (map.name.to_owned(), map.strongest()));
    put("strongest", strongest.collect::<Map<_, _>>().into());
    let mut warnings = Vec::new();
    if found.left_out > 0.0 {
        let why = match config.with {
            With::Resample => "shorter than two tokens, or without another text in their batch",
            _ => "shorter than two tokens",
        };
        warnings.push(format!("{} texts were left out: {why}", found.left_out));
    }
    if !targets.lacking.is_empty() {
        warnings.push(format!("the model has no {}", targets.lacking.join(", no ")));
    }
    if !warnings.is_empty() {
        put("warnings", json!(warnings));
    }
}
