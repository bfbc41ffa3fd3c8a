//! The model, its loss, and its training.

use std::path::Path;

use fmrai_core::structure::AttentionForm;
use fmrai_models::CausalLm;
use fmrai_torch::model::Model;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde_json::Value;
use tch::nn::{self, OptimizerConfig, VarStore};
use tch::{Device, Tensor};

use super::small_gpt::{logits, weights, write_folder};
use super::words::{frequent_words, tokenizer, tokenizer_json, tokens};
use super::{Fallible, Options};

/// A model, and what its folder needs.
pub(crate) struct Trained {
    pub(crate) model: CausalLm,
    /// Mean negative log-likelihood of a token of the held-out text, in nats.
    pub(crate) held_out: f64,
    config: Value,
    words: Vec<String>,
}

/// Trains a model on all but the last twentieth of `text`; `tell` hears how it goes.
pub(crate) fn train(options: &Options, text: &str, tell: &mut dyn FnMut(String)) -> Fallible<Trained> {
    let words = frequent_words(text, options.words)?;
    let tokens = tokens(text, &tokenizer(&words)?)?;
    let (train, held_out) = tokens.split_at(tokens.len() - tokens.len() / 20);
    let length = options.context + 1;
    if held_out.len() < length {
        let (found, needed) = (tokens.len(), 20 * length);
        return Err(format!("the text has {found} tokens, at least {needed} are needed").into());
    }

    tch::manual_seed(i64::from(options.seed));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(u64::from(options.seed));
    let variables = VarStore::new(Device::Cpu);
    let config = options.config(words.len() + 2);
    let weights = weights(&variables, &config, options.layers)?;
    let model = CausalLm::from_weights(&config, weights, None, AttentionForm::Fused)?;
    tell(format!("{} tokens, {} words, {} weights", tokens.len(), words.len(), model.info().parameters));

    let mut optimizer = nn::AdamW::default().build(&variables, options.rate)?;
    for step in 0..options.steps {
        let starts = (0..options.batch).map(|_| {
            let places = (train.len() - length + 1) as u64;
            usize::try_from(random.next_u64() % places).unwrap_or(0)
        });
        let loss = loss(&model, &rows(train, starts, length)?)?;
        let nats = f64::try_from(&loss)?;
        if !nats.is_finite() {
            return Err(format!("the loss is {nats} at step {step}, a lower --rate is needed").into());
        }
        optimizer.set_lr(rate(options.rate, step, options.steps));
        optimizer.backward_step_clip_norm(&loss, 1.0);
        if step % 50 == 0 || step + 1 == options.steps {
            tell(format!("step {step}: {nats:.3} nats a token"));
        }
    }
    let held_out = held_out_loss(&model, held_out, options)?;
    Ok(Trained { model, held_out, config, words })
}

impl Trained {
    /// Writes the files of a Hugging Face folder.
    pub(crate) fn write(&self, folder: &Path) -> Fallible<()> {
        write_folder(&self.model, &self.config, &tokenizer_json(&self.words), folder)
    }
}

/// Mean negative log-likelihood of each next token, in nats. `rows` `[batch, context + 1]` of int64.
fn loss(model: &CausalLm, rows: &Tensor) -> Fallible<Tensor> {
    let tokens = rows.size()[1] - 1;
    let (ids, next) = (rows.f_narrow(1, 0, tokens)?, rows.f_narrow(1, 1, tokens)?);
    let logits = logits(model, &ids)?;
    let vocabulary = logits.size().last().copied().unwrap_or(1);
    Ok(logits.f_reshape([-1, vocabulary])?.f_cross_entropy_loss(
        &next.f_reshape([-1])?,
        None::<Tensor>,
        tch::Reduction::Mean,
        -100,
        0.0,
    )?)
}

/// The rows of `tokens` that start at `starts`, each `length` long.
fn rows(tokens: &[i64], starts: impl Iterator<Item = usize>, length: usize) -> Fallible<Tensor> {
    let rows: Vec<&[i64]> = starts.filter_map(|start| tokens.get(start..start + length)).collect();
    Ok(Tensor::from_slice2(&rows))
}

/// Warms up over a twentieth of the steps, then falls to a tenth along a cosine.
#[expect(clippy::cast_precision_loss, reason = "a number of steps is far below 2^52")]
fn rate(highest: f64, step: usize, steps: usize) -> f64 {
    let warm = (steps / 20).max(1);
    if step < warm {
        return highest * (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (steps - warm).max(1) as f64;
    highest * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * done).cos()))
}

/// Loss over the whole held-out text.
fn held_out_loss(model: &CausalLm, held_out: &[i64], options: &Options) -> Fallible<f64> {
    let length = options.context + 1;
    let starts: Vec<usize> =
        (0..(held_out.len().saturating_sub(1)) / options.context).map(|row| row * options.context).collect();
    let (mut sum, mut count) = (0.0, 0);
    for starts in starts.chunks(options.batch) {
        let part = tch::no_grad(|| loss(model, &rows(held_out, starts.iter().copied(), length)?))?;
        sum += f64::try_from(part)? * f64::from(u32::try_from(starts.len())?);
        count += starts.len();
    }
    Ok(sum / f64::from(u32::try_from(count)?))
}
