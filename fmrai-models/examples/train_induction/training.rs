//! The model and its training.

use fmrai_core::structure::AttentionForm;
use fmrai_models::CausalLm;
use fmrai_torch::model::Model;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::{Value, json};
use tch::nn::{self, OptimizerConfig, VarStore};
use tch::{Device, Tensor};

use super::small_gpt::{Fallible, logits, weights};
use super::words::{TOKENS, below, draw, token};

/// Tokens that the model sees at once: the start, and 63 words.
pub(crate) const CONTEXT: usize = 64;
/// Words of a row before they are repeated. The longest row stands in a text twice.
const PERIODS: std::ops::RangeInclusive<usize> = 8..=31;
const LAYERS: i64 = 2;
const BATCH: usize = 64;
const RATE: f64 = 0.005;
/// Steps over which the rate rises.
const WARM: usize = 50;

/// The content of config.json. The embedding and the map to the vocabulary are two tables: with one for both, induction comes later.
pub(crate) fn config() -> Value {
    json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": TOKENS,
        "n_embd": 64,
        "n_layer": LAYERS,
        "n_head": 4,
        "n_positions": CONTEXT,
        "activation_function": "gelu_new",
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "tie_word_embeddings": false,
        "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
    })
}

/// Rows of repeated words, and which of their tokens can be known: all that stand in a repetition but the first of the second one, since it cannot be
/// seen where that begins.
struct Rows {
    /// `[batch, CONTEXT]` of int64.
    ids: Tensor,
    /// `[batch, CONTEXT - 1]`: 1 for the tokens from the second on that can be known.
    known: Tensor,
}

fn rows(random: &mut Xoshiro256PlusPlus) -> Fallible<Rows> {
    let (mut ids, mut known) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let period = PERIODS.start() + below(PERIODS.end() - PERIODS.start() + 1, random);
        let words = draw(period, random);
        ids.extend([0]);
        for at in 0..CONTEXT - 1 {
            ids.push(i64::try_from(token(words[at % period]))?);
            known.push(f32::from(u8::from(at > period)));
        }
    }
    let shape = [i64::try_from(BATCH)?, -1];
    Ok(Rows {
        ids: Tensor::from_slice(&ids).f_reshape(shape)?,
        known: Tensor::from_slice(&known).f_reshape(shape)?,
    })
}

/// Trains a model; `tell` hears how it goes.
///
/// For two thirds of the steps the loss is that of the tokens that can be known alone: with that of all tokens from the beginning, induction comes
/// several times later.
pub(crate) fn train(steps: usize, seed: u32, tell: &mut dyn FnMut(String)) -> Fallible<CausalLm> {
    // The tensors are small: threads would wait for each other most of the time.
    tch::set_num_threads(1);
    tch::manual_seed(i64::from(seed));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(u64::from(seed));
    let variables = VarStore::new(Device::Cpu);
    let weights = weights(&variables, &config(), LAYERS)?;
    let model = CausalLm::from_weights(&config(), weights, None, AttentionForm::Fused)?;
    tell(format!("{TOKENS} tokens, {} weights", model.info().parameters));
    let mut optimizer = nn::AdamW::default().build(&variables, RATE)?;
    let last = i64::try_from(CONTEXT)? - 1;
    for step in 0..steps {
        let Rows { ids, known } = rows(&mut random)?;
        let (seen, next) = (ids.f_narrow(1, 0, last)?, ids.f_narrow(1, 1, last)?);
        let log_probabilities = logits(&model, &seen)?.f_log_softmax(-1, tch::Kind::Float)?;
        let losses =
            log_probabilities.f_gather(-1, &next.f_unsqueeze(-1)?, false)?.f_squeeze_dim(-1)?.f_neg()?;
        let new = known.f_ones_like()?.f_sub(&known)?;
        let mean = |of: &Tensor| -> Fallible<Tensor> {
            Ok(losses.f_mul(of)?.f_sum(tch::Kind::Float)?.f_div(&of.f_sum(tch::Kind::Float)?)?)
        };
        let (repeated, first) = (mean(&known)?, mean(&new)?);
        let loss =
            if 3 * step < 2 * steps { repeated.shallow_clone() } else { losses.f_mean(tch::Kind::Float)? };
        optimizer.set_lr(rate(step, steps));
        optimizer.backward_step_clip_norm(&loss, 1.0);
        if step % 50 == 0 || step + 1 == steps {
            let [repeated, first] = [f64::try_from(&repeated)?, f64::try_from(&first)?];
            tell(format!(
                "step {step}: {repeated:.3} nats a token that can be known, {first:.3} of the others"
            ));
        }
    }
    Ok(model)
}

/// Warms up, then falls to a tenth along a cosine.
#[expect(clippy::cast_precision_loss, reason = "a number of steps is far below 2^52")]
fn rate(step: usize, steps: usize) -> f64 {
    let warm = (step + 1) as f64 / WARM as f64;
    let done = step as f64 / steps.max(1) as f64;
    RATE * warm.min(0.1 + 0.45 * (1.0 + (std::f64::consts::PI * done).cos()))
}
