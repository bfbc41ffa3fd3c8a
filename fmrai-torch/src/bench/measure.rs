//! From logits to one number for each row.

use std::collections::BTreeMap;

use fmrai_core::experiment::{Answer, BenchError, Measure, Objective, Place, Variant};
use fmrai_core::graph::{Graph, RecordedGraph};
use fmrai_core::tensor::DType;

use crate::error::TorchError;
use crate::ffi::tensor::Tensor;
use crate::operation::{Argument, call};

/// Elements of logits that are looked at at a time in float64.
const AT_ONCE: usize = 1 << 22;

/// Where the logits of each row of a pass are: for each row, its positions with the row of the logits that were read.
pub(super) type Chosen = Vec<BTreeMap<usize, usize>>;

/// The measure of each row of a pass, `[row]` in float64.
///
/// `logits` is `[chosen, token]`; `rows` has the row of the batch for each row of the pass; `reference` has log probabilities
/// `[chosen, token]` of the clean pass in the order of `logits`, where the measure compares with it.
pub(super) fn measure(
    measure: &Measure,
    logits: &Tensor,
    rows: &[usize],
    chosen: &Chosen,
    reference: Option<&Tensor>,
) -> Result<Tensor, TorchError> {
    let tokens = logits.shape().last().copied().unwrap_or(0);
    let all = logits.shape().first().copied().unwrap_or(0);
    let picks = picks(measure, rows, chosen);
    let at_once = if logits.requires_grad() { all.max(1) } else { (AT_ONCE / tokens.max(1)).max(1) };
    let mut sums: Option<Tensor> = None;
    for start in (0..all).step_by(at_once) {
        let end = all.min(start + at_once);
        let part = logits.narrow(0, start as i64, (end - start) as i64)?.to_dtype(DType::Float64)?;
        let reference = reference.map(|reference| reference.narrow(0, start as i64, (end - start) as i64));
        let sum = part_sum(measure, &part, &picks, start..end, rows.len(), reference.transpose()?.as_ref())?;
        sums = Some(match sums {
            None => sum,
            Some(so_far) => so_far.add(&sum)?,
        });
    }
    let sums = match sums {
        Some(sums) => sums,
        None => Tensor::zeros(&[rows.len() as i64], DType::Float64)?,
    };
    match measure {
        Measure::Loss(_) => call("aten::neg", &[(&call("aten::log", &[(&sums).into()])?).into()]),
        _ => Ok(sums),
    }
}

/// One number that counts: where it is among the logits, for which row of the pass, with what weight.
struct Pick {
    chosen: usize,
    token: usize,
    row: usize,
    weight: f64,
}

fn picks(measure: &Measure, rows: &[usize], chosen: &Chosen) -> Vec<Pick> {
    let mut picks = Vec::new();
    for (row, from) in rows.iter().enumerate() {
        let at = |position: &usize| chosen[row].get(position).copied();
        let mut answer = |answer: &Answer, right: f64, wrong: Option<f64>| {
            let Some(chosen) = at(&answer.position) else { return };
            for token in &answer.right {
                picks.push(Pick { chosen, token: *token as usize, row, weight: right });
            }
            for token in answer.wrong.iter().filter(|_| wrong.is_some()) {
                picks.push(Pick { chosen, token: *token as usize, row, weight: wrong.unwrap_or(0.0) });
            }
        };
        match measure {
            Measure::LogitDifference(rows) => {
                let of = &rows[*from];
                let share = |tokens: &[u32]| 1.0 / tokens.len().max(1) as f64;
                answer(of, share(&of.right), Some(-share(&of.wrong)));
            }
            Measure::Probability(rows) | Measure::Loss(rows) => answer(&rows[*from], 1.0, None),
            Measure::NextToken(rows) => {
                let targets = &rows[*from];
                for (position, token) in targets {
                    let Some(chosen) = at(position) else { continue };
                    let weight = -1.0 / targets.len() as f64;
                    picks.push(Pick { chosen, token: *token as usize, row, weight });
                }
            }
            Measure::Divergence(rows) => {
                let positions = &rows[*from].positions;
                for position in positions {
                    let Some(chosen) = at(position) else { continue };
                    picks.push(Pick { chosen, token: 0, row, weight: 1.0 / positions.len() as f64 });
                }
            }
        }
    }
    picks
}

/// What a part of the logits, `[chosen, token]` in float64, gives to the sums of the rows.
fn part_sum(
    measure: &Measure,
    logits: &Tensor,
    picks: &[Pick],
    part: std::ops::Range<usize>,
    rows: usize,
    reference: Option<&Tensor>,
) -> Result<Tensor, TorchError> {
    let tokens = logits.shape().last().copied().unwrap_or(0);
    let picks: Vec<&Pick> = picks.iter().filter(|pick| part.contains(&pick.chosen)).collect();
    let index = |of: &dyn Fn(&Pick) -> usize| {
        let index: Vec<i64> = picks.iter().map(|pick| of(pick) as i64).collect();
        Tensor::from_slice(&index)?.to_device(logits.device())
    };
    let weights: Vec<f64> = picks.iter().map(|pick| pick.weight).collect();
    let weights = Tensor::from_slice(&weights)?.to_device(logits.device())?;
    let log_probabilities = || call("aten::log_softmax.int", &[logits.into(), (-1).into()]);
    let picked = match measure {
        Measure::Divergence(_) => {
            let missing = || TorchError::new("there is nothing to compare with");
            let reference = reference.ok_or_else(missing)?;
            let difference = reference.sub(&log_probabilities()?)?;
            let probabilities = call("aten::exp", &[reference.into()])?;
            let product = call("aten::mul.Tensor", &[(&probabilities).into(), (&difference).into()])?;
            let each = call(
                "aten::sum.dim_IntList",
                &[(&product).into(), vec![-1].into(), false.into(), Argument::None],
            )?;
            call(
                "aten::index_select",
                &[(&each).into(), 0.into(), (&index(&|pick| pick.chosen - part.start)?).into()],
            )?
        }
        _ => {
            let values = match measure {
                Measure::LogitDifference(_) => logits.clone(),
                _ => log_probabilities()?,
            };
            let flat = values.reshape(&[-1])?;
            let places = index(&|pick| (pick.chosen - part.start) * tokens + pick.token)?;
            let picked = call("aten::index_select", &[(&flat).into(), 0.into(), (&places).into()])?;
            match measure {
                Measure::Probability(_) | Measure::Loss(_) => call("aten::exp", &[(&picked).into()])?,
                _ => picked,
            }
        }
    };
    let weighted = call("aten::mul.Tensor", &[(&picked).into(), (&weights).into()])?;
    let zeros = Tensor::zeros(&[rows as i64], DType::Float64)?.to_device(logits.device())?;
    call(
        "aten::index_add",
        &[(&zeros).into(), 0.into(), (&index(&|pick| pick.row)?).into(), (&weighted).into()],
    )
}

/// Log probabilities in float64.
pub(super) fn log_probabilities(logits: &Tensor) -> Result<Tensor, TorchError> {
    let logits = logits.to_dtype(DType::Float64)?;
    call("aten::log_softmax.int", &[(&logits).into(), (-1).into()])
}

/// The largest token that a measure is about.
pub(super) fn largest_token(measure: &Measure) -> Option<u32> {
    match measure {
        Measure::LogitDifference(rows) => {
            rows.iter().flat_map(|row| row.right.iter().chain(&row.wrong)).max().copied()
        }
        Measure::Probability(rows) | Measure::Loss(rows) => {
            rows.iter().flat_map(|row| &row.right).max().copied()
        }
        Measure::NextToken(rows) => rows.iter().flatten().map(|(_, token)| *token).max(),
        Measure::Divergence(_) => None,
    }
}

/// An edit that makes numbers that are none is an error, not a result.
pub(super) fn finite(
    graph: &RecordedGraph,
    objective: &Objective,
    variant: &Variant,
    values: &[f64],
) -> Result<(), BenchError> {
    for (row, value) in variant.rows.iter().zip(values) {
        let nothing = match objective {
            Objective::Logits { measure, .. } => measure.positions(*row).is_empty(),
            Objective::Elements { rows, .. } => rows.get(*row).is_none_or(Vec::is_empty),
            Objective::Apply { .. } => false,
        };
        if value.is_finite() || nothing {
            continue;
        }
        let after = match variant.edits.as_slice() {
            [] => String::new(),
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                format!(", after the edit of {}{}{more}", first.site.place, made(graph, first.site.place))
            }
        };
        return Err(BenchError::NotFinite { what: "the objective".to_owned(), row: *row, after });
    }
    Ok(())
}

/// The operation that makes what stands at a place, and its module: a number alone tells nobody where that is.
fn made(graph: &RecordedGraph, place: Place) -> String {
    let operation = match place {
        Place::Tensor(id) => graph.producer(id),
        Place::Scores(operation) => graph.operation(operation),
    };
    let Some(operation) = operation else { return String::new() };
    let module = &operation.module;
    let within = if module.is_empty() { String::new() } else { format!(" in {module}") };
    format!(" ({}{within})", operation.name)
}
