//! `fmrai neuron`: what one neuron answers to and promotes, without an analysis of all of them.

mod found;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::analyzer::{ModelView, Weights};
use fmrai_core::structure::{FeedForward, Structure};
use fmrai_plugins::ffn_key_value::{FfnKeyValueConfig, promoted_tokens};
use fmrai_torch::model::LoadedWeights;
use fmrai_torch::text::Tokenizer;
use serde_json::{Value, json};

use super::source::{self, DataOptions, subject};
use crate::error::{Error, Exit};
use crate::results;
use crate::terminal::{self, one_line};
use found::{Found, Trigger};

/// Version of the file of answers.
const FORMAT: u32 = 1;
/// Tokens shown before and after the one that a neuron answers to.
const AROUND: (usize, usize) = (12, 4);

/// Which neuron of which model, and what it is tried on.
pub(crate) struct NeuronOptions {
    pub(crate) model: PathBuf,
    pub(crate) neuron: String,
    pub(crate) tokenizer: Option<PathBuf>,
    pub(crate) data: Vec<String>,
    pub(crate) text: Vec<String>,
    pub(crate) read: DataOptions,
    /// Texts and tokens that are listed.
    pub(crate) top: usize,
    /// Read the value with the token embedding where the model has no map to a vocabulary.
    pub(crate) tied_embedding: bool,
    pub(crate) json: Option<PathBuf>,
}

/// Tells what a neuron promotes, and on which texts it is strongest.
pub(crate) fn neuron(options: &NeuronOptions) -> Result<Exit, Error> {
    let mut subject = subject(&options.model, options.tokenizer.as_deref())?;
    let planned = subject.data.take();
    let (data, base) = match (options.text.is_empty(), options.data.is_empty(), planned) {
        (false, _, _) => (source::texts(&options.text, &options.read)?, Path::new("")),
        (true, true, Some(_)) if options.read != DataOptions::default() => {
            let what = "--field, --batch-size, --max-tokens and --limit are for --data and --text, a plan says how its data are read";
            return Err(Error::Usage(what.to_owned()));
        }
        (true, true, Some(planned)) => (planned, subject.base.as_path()),
        _ => (source::data(&options.data, &options.read, || subject.load())?, Path::new("")),
    };
    let model = subject.load()?;
    let Found { graph, structure, layer, neuron, triggers, texts } = found::of(
        model.as_ref(),
        (data.as_ref(), base),
        &options.neuron,
        options.top,
        subject.structure.as_ref(),
    )?;
    let block = structure
        .feed_forward
        .iter()
        .find(|block| block.role() == "ffn" && block.layer == layer)
        .ok_or_else(|| Error::Internal(format!("ffn[{layer}] is gone")))?;
    let weights: Arc<dyn Weights> = Arc::new(LoadedWeights::of(model.as_ref(), graph.as_ref()));
    let view = ModelView {
        graph: graph.as_ref(),
        structure: &structure,
        vocabulary: model.tokenizer().map(Tokenizer::vocabulary),
        weights: Some(&weights),
    };
    let config = FfnKeyValueConfig {
        top_tokens: options.top,
        tied_embedding: options.tied_embedding,
        ..FfnKeyValueConfig::default()
    };
    let promoted = promoted_tokens(&view, block, neuron, &config);
    let surface = |id: u32| {
        let text = view.vocabulary.map_or("", |vocabulary| vocabulary.surface(id));
        if text.is_empty() { format!("#{id}") } else { one_line(text) }
    };
    if let Some(file) = &options.json {
        let tokens: Vec<Value> = promoted
            .iter()
            .flatten()
            .map(|(token, share)| json!({ "token": token, "text": surface(*token), "probability": share }))
            .collect();
        let document = json!({
            "format": FORMAT, "neuron": options.neuron, "texts": texts, "triggers": triggers, "promotes": tokens,
            "promotes_unknown": promoted.as_ref().err(),
        });
        results::write_json(file, &document)?;
    }
    terminal::answer(&told(&options.neuron, block, &structure, &promoted, &triggers, texts, surface))?;
    Ok(Exit::Success)
}

fn told(
    name: &str,
    block: &FeedForward,
    structure: &Structure,
    promoted: &Result<Vec<(u32, f64)>, String>,
    triggers: &[Trigger],
    texts: u64,
    surface: impl Fn(u32) -> String,
) -> String {
    let layers = structure.feed_forward.iter().filter(|block| block.role() == "ffn").count();
    let mut text =
        format!("{name}: one of {} neurons, layer {} of 0 to {}\n", block.neurons, block.layer, layers - 1);
    match promoted {
        Ok(tokens) => {
            let tokens: Vec<String> =
                tokens.iter().map(|(token, share)| format!("{} {share:.3}", surface(*token))).collect();
            let _ = writeln!(text, "its value promotes: {}", tokens.join(", "));
        }
        Err(why) => {
            // The field of a plan is an option here.
            let why = why.replace("tied_embedding", "--tied-embedding");
            let _ = writeln!(text, "what its value promotes is not known: {why}");
        }
    }
    let _ = writeln!(text, "strongest of {}:", super::count(texts, "text"));
    for Trigger { coefficient, text: number, position, tokens } in triggers {
        let begin = position.saturating_sub(AROUND.0);
        let end = tokens.len().min(position + AROUND.1 + 1);
        let shown: Vec<String> = (begin..end)
            .filter_map(|at| {
                let token = surface(*tokens.get(at)?);
                Some(if at == *position { format!("[{token}]") } else { token })
            })
            .collect();
        let (before, after) =
            (if begin > 0 { "... " } else { "" }, if end < tokens.len() { " ..." } else { "" });
        let _ = writeln!(text, "  {coefficient:>8.3}  text {number}: {before}{}{after}", shown.join(" "));
    }
    text
}
