//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{NamedTensor, Report};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use super::config::{AblationConfig, With};
use super::effects::Effect;
use super::figures;
use super::found::Found;
use super::results::{NATS, Results};
use super::targets::Targets;
use crate::metric::Metric;
use crate::short::short;

/// With what something is replaced, for captions.
fn how(config: &AblationConfig) -> String {
    let with = match config.with {
        With::Zero => "zero".to_owned(),
        With::Mean => "the mean over all tokens of the data".to_owned(),
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
    format!("{with} at all positions{kept}.")
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
    let how = how(config);
    let of_loss = format!(
        "{how} Mean over {texts} texts of the mean over a text's tokens, {tokens} tokens in all; the clean loss is {loss:.3} nats."
    );
    let mut figures = figures::of_loss(&maps, &of_loss);
    if let Some(metric) = config.metric {
        let (title, value) = (metric.title(), short(found.base.metric.mean()));
        let unit = metric.unit().map_or_else(String::new, |unit| format!(" {unit}"));
        let pairs = found.base.metric.count;
        let caption =
            format!("{how} Mean over {pairs} pairs; in the clean run the {title} is {value}{unit}.");
        figures.extend(figures::of_metric(&maps, &caption, metric));
    }
    report.figures = figures;
    summary(&mut report.summary, config, targets, found, &maps);
    Ok(report.with_gaps(&["loss_added*", "token_loss_added.*", "metric_added.*"]))
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
    put("texts", json!(found.base.loss.count as u64));
    put("tokens", json!(found.base.tokens as u64));
    put("loss", json!(found.base.loss.mean()));
    put("token_loss", json!(found.base.token_mean()));
    if let Some(metric) = config.metric {
        // `loss` is that of all tokens.
        let name = match metric {
            Metric::Loss => "answer_loss",
            Metric::LogitDifference => "logit_difference",
            Metric::Probability => "probability",
            Metric::Kl => "kl",
        };
        put(name, json!(found.base.metric.mean()));
    }
    if config.with == With::Mean {
        put("mean_tokens", json!(found.means.tokens as u64));
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
