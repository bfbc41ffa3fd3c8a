//! Stored activations, by text and tensor.

use std::path::Path;

use fmrai_core::activations::ActivationFolder;
use fmrai_core::graph::TensorId;
use fmrai_core::tensor::DataView;
use fmrai_core::tracker::{Activations, CaptureRequest};
use serde_json::{Value, json};

use super::reply::{Refusal, absent, wrong};
use crate::results::folder::ACTIVATIONS;

/// Texts that are listed.
const TEXTS: usize = 2000;
/// Numbers that are sent.
const NUMBERS: usize = 65_536;

fn open(folder: &Path) -> Result<ActivationFolder, Refusal> {
    let path = folder.join(ACTIVATIONS);
    if !path.is_dir() {
        return Err(absent("this run has captured no activations"));
    }
    ActivationFolder::open(&path).map_err(wrong)
}

/// The whole tensors and the texts that there are.
pub(super) fn list(folder: &Path) -> Result<Value, Refusal> {
    let stored = open(folder)?;
    // What is asked for later is asked by id, which parts of tensors share with the whole.
    let whole = stored.manifest().tensors.iter().filter(|tensor| tensor.slice.is_none());
    let whole = serde_json::to_value(whole.collect::<Vec<_>>()).map_err(wrong)?;
    let mut texts = Vec::new();
    for index in 0.. {
        let Some(batch) = stored.batch(index).map_err(wrong)? else { break };
        for sample in batch.samples() {
            texts
                .push(json!({ "text": sample.id, "content": sample.text, "tokens": sample.token_ids.len() }));
        }
        if texts.len() >= TEXTS {
            break;
        }
    }
    Ok(json!({ "tensors": whole, "texts": texts }))
}

/// The part of a tensor that belongs to a text; where that cannot be told, the whole of its batch.
pub(super) fn one(folder: &Path, text: u64, tensor: u64) -> Result<Value, Refusal> {
    let stored = open(folder)?;
    let id = TensorId(u32::try_from(tensor).map_err(wrong)?);
    if stored.entry(id).is_none() {
        return Err(absent("this tensor was not captured"));
    }
    for index in 0.. {
        let Some(mut batch) = stored.batch(index).map_err(wrong)? else { break };
        let Some(row) = batch.samples().iter().position(|sample| sample.id == text) else { continue };
        let samples = batch.samples().len();
        let tokens = shown(&stored, &batch.samples()[row].token_ids);
        let read = batch.read(&CaptureRequest::none().union(&[id].into_iter().collect())).map_err(wrong)?;
        let view = read.tensor(id).ok_or_else(|| absent("this tensor was not captured"))?.map_err(wrong)?;
        let numbers = numbers(view.data());
        // The batch comes first, alone or joined with heads.
        let own = view
            .shape()
            .first()
            .filter(|first| samples > 0 && *first % samples == 0)
            .map(|first| first / samples);
        let (shape, part) = match own {
            Some(per) => {
                let size = numbers.len() / samples.max(1);
                let mut shape = view.shape().to_vec();
                shape[0] = per;
                (shape, &numbers[row * size..(row + 1) * size])
            }
            None => (view.shape().to_vec(), numbers.as_slice()),
        };
        let sent: Vec<Value> =
            part.iter().take(NUMBERS).map(|x| if x.is_finite() { json!(x) } else { Value::Null }).collect();
        return Ok(
            json!({ "shape": shape, "of_text": own.is_some(), "tokens": tokens, "cut": part.len() > NUMBERS, "values": sent }),
        );
    }
    Err(absent("there is no such text"))
}

fn shown(stored: &ActivationFolder, ids: &[u32]) -> Vec<String> {
    let surface =
        |id: &u32| stored.vocabulary().map(|v| v.surface(*id).to_owned()).unwrap_or_else(|| format!("#{id}"));
    ids.iter().map(surface).collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn numbers(data: DataView<'_>) -> Vec<f64> {
    match data {
        DataView::F32(d) => d.iter().map(|x| f64::from(*x)).collect(),
        DataView::F64(d) => d.to_vec(),
        DataView::I64(d) => d.iter().map(|x| *x as f64).collect(),
        DataView::I32(d) => d.iter().map(|x| f64::from(*x)).collect(),
        DataView::U8(d) => d.iter().map(|x| f64::from(*x)).collect(),
    }
}
