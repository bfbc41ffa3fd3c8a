//! Trains a small GPT-2 on a plain text file, and writes it as a Hugging Face folder that `hf_checkpoint` reads.
//!
//! ```text
//! cargo run --release -p fmrai-core --example train_gpt -- TEXT OUT [--steps 1000] [--layers 4] [--width 128]
//!     [--heads 4] [--context 64] [--words 4000] [--batch 16] [--rate 0.001] [--seed 1]
//! ```
//!
//! Tokens are the most frequent words of the text, in lower case. The last twentieth of the text is held out.
//! `--steps 0` writes the model as it is before training. The same seed gives the same model on the same machine with the
//! same number of threads.
#![allow(clippy::print_stdout, reason = "it tells how training goes")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;

use fmrai_core::model::{CausalLm, Model, NamedTensors};
use fmrai_core::structure::AttentionForm;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};
use tch::nn::{Init, OptimizerConfig, VarStore};
use tch::{Device, Tensor, nn};
use tokenizers::Tokenizer;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Ends each paragraph, and stands for padding; the tokenizer never makes it of text.
const END: &str = "<|endoftext|>";
const UNKNOWN: &str = "<unk>";

struct Options {
    text: String,
    out: String,
    steps: usize,
    layers: i64,
    width: i64,
    heads: i64,
    context: usize,
    words: usize,
    batch: usize,
    rate: f64,
    seed: u64,
}

impl Options {
    fn parse(arguments: Vec<String>) -> Fallible<Self> {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        let mut places = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                None => places.push(argument),
                Some(name) => {
                    let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    named.insert(name.to_owned(), value);
                }
            }
        }
        let [text, out] = <[String; 2]>::try_from(places)
            .map_err(|found| format!("a text file and an output folder are needed, found {found:?}"))?;
        let mut take = |name: &str, default: &str| named.remove(name).unwrap_or_else(|| default.to_owned());
        let options = Self {
            steps: number("steps", &take("steps", "1000"))?,
            layers: number("layers", &take("layers", "4"))?,
            width: number("width", &take("width", "128"))?,
            heads: number("heads", &take("heads", "4"))?,
            context: number("context", &take("context", "64"))?,
            words: number("words", &take("words", "4000"))?,
            batch: number("batch", &take("batch", "16"))?,
            rate: number("rate", &take("rate", "0.001"))?,
            seed: number("seed", &take("seed", "1"))?,
            text,
            out,
        };
        match named.keys().next() {
            Some(name) => Err(format!("--{name} is unknown").into()),
            None if options.context < 2 || options.batch == 0 => {
                Err("--context of at least 2 and --batch of at least 1 are needed".into())
            }
            None => Ok(options),
        }
    }

    /// config.json of the model.
    fn config(&self, vocabulary: usize) -> Value {
        json!({
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "vocab_size": vocabulary,
            "n_embd": self.width,
            "n_layer": self.layers,
            "n_head": self.heads,
            "n_positions": self.context,
            "activation_function": "gelu_new",
            "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
            "tie_word_embeddings": true,
            "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
        })
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Fallible<T> {
    text.parse().map_err(|_| format!("--{name} is {text:?}, a number is needed").into())
}

/// The content of a tokenizer.json whose tokens are `words`, after the end token and the unknown word.
fn tokenizer_json(words: &[String]) -> Value {
    let special = |id: u32, token: &str| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let tokens = [END, UNKNOWN].into_iter().chain(words.iter().map(String::as_str));
    let vocabulary: serde_json::Map<String, Value> =
        tokens.zip(0..).map(|(token, id)| (token.to_owned(), json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(0, END), special(1, UNKNOWN)],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    })
}

fn tokenizer(words: &[String]) -> Fallible<Tokenizer> {
    Tokenizer::from_bytes(tokenizer_json(words).to_string()).map_err(|e| e.to_string().into())
}

/// The most frequent words of a text, the most frequent first; of equally frequent ones the first by alphabet.
fn frequent_words(text: &str, count: usize) -> Fallible<Vec<String>> {
    let encoded = tokenizer(&[])?.encode(text, false).map_err(|e| e.to_string())?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (start, end) in encoded.get_offsets() {
        *counts.entry(text.get(*start..*end).unwrap_or_default().to_lowercase()).or_default() += 1;
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(words.into_iter().take(count).map(|(word, _)| word).collect())
}

/// The tokens of a text; each paragraph ends with the end token.
fn tokens(text: &str, tokenizer: &Tokenizer) -> Fallible<Vec<i64>> {
    let mut all = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let encoded = tokenizer.encode(paragraph, false).map_err(|e| e.to_string())?;
        all.extend(encoded.get_ids().iter().copied().map(i64::from));
        all.push(0);
    }
    Ok(all)
}

/// Trainable weights as Radford et al. 2019 start from: normal with deviation 0.02, what writes to the residual stream
/// smaller the more layers there are; norms that change nothing.
fn weights(variables: &VarStore, config: &Value, layers: i64) -> Fallible<BTreeMap<String, Tensor>> {
    let mut weights = BTreeMap::new();
    for (name, shape) in CausalLm::weight_shapes(config)? {
        let (module, kind) = name.rsplit_once('.').unwrap_or(("", &name));
        let norm = module.rsplit('.').next().is_some_and(|part| part.starts_with("ln_"));
        #[expect(clippy::cast_precision_loss, reason = "there are few layers")]
        let residual = 0.02 / (2.0 * layers as f64).sqrt();
        let init = match kind {
            "bias" => Init::Const(0.0),
            _ if norm => Init::Const(1.0),
            _ if module.ends_with("c_proj") => Init::Randn { mean: 0.0, stdev: residual },
            _ => Init::Randn { mean: 0.0, stdev: 0.02 },
        };
        let path = module.split('.').fold(variables.root(), |path, part| path / part);
        weights.insert(name.clone(), path.f_var(kind, &shape, init)?);
    }
    Ok(weights)
}

/// Mean negative log-likelihood of each next token, in nats. `rows` `[batch, context + 1]` of int64.
fn loss(model: &CausalLm, rows: &Tensor) -> Fallible<Tensor> {
    let tokens = rows.size()[1] - 1;
    let (ids, next) = (rows.f_narrow(1, 0, tokens)?, rows.f_narrow(1, 1, tokens)?);
    let mask = ids.f_ones_like()?;
    let inputs = NamedTensors(vec![("input_ids".into(), ids), ("attention_mask".into(), mask)]);
    let outputs = model.forward(&inputs)?;
    let logits = outputs.get("logits").ok_or("no logits")?;
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

/// Writes a file beside its place and renames it.
fn write(folder: &Path, name: &str, write: impl FnOnce(&Path) -> Fallible<()>) -> Fallible<()> {
    let beside = folder.join(format!(".{name}.tmp"));
    write(&beside)?;
    Ok(std::fs::rename(beside, folder.join(name))?)
}

fn main() -> Fallible<()> {
    let options = Options::parse(std::env::args().skip(1).collect())?;
    let text = std::fs::read(&options.text).map_err(|e| format!("{}: {e}", options.text))?;
    let text = String::from_utf8_lossy(&text);
    let words = frequent_words(&text, options.words)?;
    let tokens = tokens(&text, &tokenizer(&words)?)?;
    let (train, held_out) = tokens.split_at(tokens.len() - tokens.len() / 20);
    let length = options.context + 1;
    if held_out.len() < length {
        let needed = 20 * length;
        return Err(
            format!("{} has {} tokens, at least {needed} are needed", options.text, tokens.len()).into()
        );
    }

    tch::manual_seed(i64::try_from(options.seed)?);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let variables = VarStore::new(Device::Cpu);
    let config = options.config(words.len() + 2);
    let weights = weights(&variables, &config, options.layers)?;
    let model = CausalLm::from_weights(&config, weights, None, AttentionForm::Fused)?;
    println!("{} tokens, {} words, {} weights", tokens.len(), words.len(), model.info().parameters);

    let mut optimizer = nn::AdamW::default().build(&variables, options.rate)?;
    for step in 0..options.steps {
        let starts = (0..options.batch).map(|_| {
            let places = (train.len() - length + 1) as u64;
            usize::try_from(random.next_u64() % places).unwrap_or(0)
        });
        let loss = loss(&model, &rows(train, starts, length)?)?;
        optimizer.set_lr(rate(options.rate, step, options.steps));
        optimizer.backward_step_clip_norm(&loss, 1.0);
        if step % 50 == 0 || step + 1 == options.steps {
            println!("step {step}: {:.3} nats a token", f64::try_from(&loss)?);
        }
    }
    println!("held out: {:.3} nats a token", held_out_loss(&model, held_out, &options)?);

    let out = Path::new(&options.out);
    std::fs::create_dir_all(out)?;
    write(out, "model.safetensors", |path| {
        let tensors: Vec<_> =
            model.parameters().into_iter().map(|(name, tensor)| (name, tensor.detach())).collect();
        Ok(Tensor::write_safetensors(&tensors, path)?)
    })?;
    write(out, "tokenizer.json", |path| Ok(std::fs::write(path, tokenizer_json(&words).to_string())?))?;
    write(out, "config.json", |path| Ok(std::fs::write(path, serde_json::to_string_pretty(&config)?)?))?;
    println!("written to {}", out.display());
    Ok(())
}
