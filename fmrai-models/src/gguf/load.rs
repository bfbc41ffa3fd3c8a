//! From a file to a model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use fmrai_core::registry::Named;
use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{
    LoadContext, Model, ModelError, ModelInfo, NonFiniteWeight, Quantisation, StoredWeight,
};

use super::container::{GgufFile, Value};
use super::description::{Description, describe};
use super::names::{Lay, Names, OfDecoder};
use super::source::Gguf;
use super::tokenizer;
use super::weights::{Entry, GgufWeights, is_plain};
use crate::options::Options;
use crate::transformer::decoder::{self, CausalLm, DecoderSpec};
use crate::transformer::encoder::{EncoderConfig, EncoderModel};
use crate::transformer::{Fields, Loaded, Needs, Placed, Placing, count};

/// Frequencies of rotary positions are divided by these numbers.
const FREQUENCY_DIVISORS: &str = "rope_freqs.weight";

/// Reads a file.
pub(super) fn load(source: &Gguf, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
    let path = context.base.join(&source.path);
    let file = GgufFile::open(&path)?;
    let options = Options::new(context, source.attention, source.dtype, source.weight_bytes)?;
    let blame = |what: String| ModelError::File { path: path.clone(), what };
    let description = describe(&file).map_err(blame)?;
    let in_words = |what: String| blame(format!("what it describes is no model, as a config.json: {what}"));
    let Description { model_type, fields } = &description;
    let fields = Fields::new(fields, "");
    if let Some(encoder) = EncoderConfig::read(model_type, fields) {
        let encoder = encoder.map_err(in_words)?;
        let tokens = usize::try_from(encoder.max_tokens()).ok();
        let network = Network {
            needs: &encoder,
            names: &encoder,
            vocabulary: encoder.vocabulary,
            max_tokens: tokens,
            parts: encoder.parts(),
        };
        let loaded = network.load(file, &path, &options)?;
        return Ok(Box::new(EncoderModel::new(loaded, encoder, options.attention)?));
    }
    let spec = decoder::read(model_type, fields)
        .unwrap_or_else(|| Err(format!("`model_type` {model_type:?} is no decoder")));
    let mut spec = spec.map_err(in_words)?;
    divide_frequencies(&file, &mut spec)?;
    spec.end_tokens = end_tokens(file.metadata());
    let interleaved = *model_type == "llama" || *model_type == "mistral";
    let names = OfDecoder { spec: &spec, interleaved };
    let network = Network {
        needs: &spec,
        names: &names,
        vocabulary: spec.vocabulary,
        max_tokens: usize::try_from(spec.max_tokens).ok(),
        parts: spec.parts(),
    };
    let loaded = network.load(file, &path, &options)?;
    Ok(Box::new(CausalLm::new(loaded, spec, options.attention)?))
}

/// The tokens that end a text, or a part of a dialogue.
fn end_tokens(metadata: &BTreeMap<String, Value>) -> Vec<u32> {
    let keys = ["eos", "eot", "eom"].map(|name| format!("tokenizer.ggml.{name}_token_id"));
    let mut tokens: Vec<u32> = keys
        .iter()
        .filter_map(|key| u32::try_from(metadata.get(key)?.as_u64()?).ok())
        .filter(|id| *id != u32::MAX)
        .collect();
    tokens.dedup();
    tokens
}

/// Takes over what the frequencies of rotary positions are divided by.
fn divide_frequencies(file: &GgufFile, spec: &mut DecoderSpec) -> Result<(), ModelError> {
    let Some(info) = file.tensor(FREQUENCY_DIVISORS) else {
        return Ok(());
    };
    let wrong = |what: String| ModelError::File {
        path: file.path().to_owned(),
        what: format!("tensor `{FREQUENCY_DIVISORS}` {what}"),
    };
    let pairs = spec.rotary.iter().map(|rotary| rotary.width / 2).max().unwrap_or(0);
    if info.shape.as_slice() != [u64::try_from(pairs).unwrap_or(0)] || !is_plain(info.block) {
        let (found, block) = (&info.shape, info.block.name());
        return Err(wrong(format!(
            "is {block} of shape {found:?}, floating-point numbers of shape [{pairs}] are needed"
        )));
    }
    let mut bytes = Vec::new();
    file.read(info, 0, 1, &mut bytes)?;
    let mut divisors = vec![0.0; usize::try_from(pairs).unwrap_or(0)];
    info.block.dequantise(&bytes, &mut divisors).map_err(|what| wrong(format!(": {what}")))?;
    if let Some(other) = divisors.iter().find(|divisor| !(divisor.is_finite() && **divisor > 0.0)) {
        return Err(wrong(format!("holds {other}, numbers above 0 are needed")));
    }
    spec.divide_frequencies(&divisors).map_err(wrong)
}

/// What the weights of a file are read for.
struct Network<'a> {
    needs: &'a dyn Needs,
    names: &'a dyn Names,
    vocabulary: i64,
    max_tokens: Option<usize>,
    /// Module paths of the parts whose weights may be made for each pass, those first that should rather stay.
    parts: Vec<String>,
}

impl Network<'_> {
    fn load(&self, file: GgufFile, path: &Path, options: &Options) -> Result<Loaded, ModelError> {
        let rows = u32::try_from(self.vocabulary).unwrap_or(u32::MAX);
        let blame = |what: String| ModelError::File { path: path.to_owned(), what };
        let (tokenizer, warnings) = match tokenizer::read(file.metadata(), rows).map_err(blame)? {
            Ok(tokenizer) => (Some(tokenizer), Vec::new()),
            Err(reason) => (None, vec![format!("texts cannot be read: {reason}")]),
        };
        let shapes = self.needed(&file);
        let entries = self.sort_out(&file, path, &shapes)?;
        let kind = options.dtype.kind();
        let quantised = quantisation(&file, &entries);
        let source = Arc::new(GgufWeights { file, entries, kind });
        let (made, files) = std::thread::scope(|scope| {
            let hashed = scope.spawn(|| hashes(&source.file));
            let made = self.make(&source, &shapes, options);
            let files = hashed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (made, files)
        });
        let (Placed { weights, on_demand, remade_bytes }, non_finite) = made?;
        let info = ModelInfo {
            source: Gguf::NAME.to_owned(),
            architecture: self.needs.model_type().to_owned(),
            path: path.to_owned(),
            files: files?,
            parameters: count(&weights),
            dtype: options.dtype.into(),
            max_tokens: self.max_tokens,
            quantisation: quantised,
            remade_bytes,
            unused_weights: Vec::new(),
            non_finite_weights: non_finite,
            warnings,
        };
        Ok(Loaded { info, weights, on_demand, tokenizer, device: options.device })
    }

    /// Names and shapes of the weights that the network needs.
    fn needed(&self, file: &GgufFile) -> BTreeMap<String, Vec<i64>> {
        let names: BTreeSet<String> =
            file.tensors().iter().filter_map(|tensor| Some(self.names.of(&tensor.name)?.0)).collect();
        self.needs.needed(&|name| names.contains(name)).into_iter().collect()
    }

    /// Compares what the file holds with what the network needs.
    fn sort_out(
        &self,
        file: &GgufFile,
        path: &Path,
        needed: &BTreeMap<String, Vec<i64>>,
    ) -> Result<BTreeMap<String, Entry>, ModelError> {
        let mut entries = BTreeMap::new();
        let (mut unknown, mut misshapen) = (Vec::new(), Vec::new());
        for (index, tensor) in file.tensors().iter().enumerate() {
            let named = self.names.of(&tensor.name);
            let Some((name, lay, shape)) = named.and_then(|(n, lay)| Some((n.clone(), lay, needed.get(&n)?)))
            else {
                if tensor.name != FREQUENCY_DIVISORS {
                    unknown.push(tensor.name.clone());
                }
                continue;
            };
            let mut found: Vec<i64> =
                tensor.shape.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MAX)).collect();
            if lay == Lay::Transposed {
                found.reverse();
            }
            if found != *shape {
                misshapen.push(format!("{}: found {found:?}, needed {shape:?}", tensor.name));
            }
            entries.insert(name, Entry { tensor: index, lay, checksums: OnceLock::new() });
        }
        let missing: Vec<String> =
            needed.keys().filter(|name| !entries.contains_key(*name)).cloned().collect();
        if missing.is_empty() && unknown.is_empty() && misshapen.is_empty() {
            return Ok(entries);
        }
        let (path, architecture) = (path.to_owned(), self.needs.model_type().to_owned());
        Err(ModelError::Weights { path, architecture, missing, unknown, misshapen, hint: String::new() })
    }

    /// Makes the weights: those that there is memory for stay, the others are looked at and given up again.
    fn make(
        &self,
        source: &Arc<GgufWeights>,
        shapes: &BTreeMap<String, Vec<i64>>,
        options: &Options,
    ) -> Result<(Placed, Vec<NonFiniteWeight>), ModelError> {
        let mut placing = Placing::new(shapes, &self.parts, options);
        let mut non_finite = Vec::new();
        for name in shapes.keys() {
            let (weight, found) = source.make_counted(name)?;
            non_finite.extend(found.of_weight(&source.info(name)?.0.name));
            placing.put(name, weight)?;
        }
        non_finite.sort_by(|a: &NonFiniteWeight, b| a.name.cmp(&b.name));
        Ok((placing.finish(source.clone()), non_finite))
    }
}

/// How the weights are stored; `None` if none is quantised.
fn quantisation(file: &GgufFile, entries: &BTreeMap<String, Entry>) -> Option<Quantisation> {
    let tensors = entries.values().filter_map(|entry| file.tensors().get(entry.tensor));
    Quantisation::of(tensors.map(|tensor| StoredWeight {
        form: tensor.block.name().to_owned(),
        weights: tensor.elements(),
        bytes: tensor.bytes(),
        quantised: !is_plain(tensor.block),
    }))
}

/// The parts of the file and their hashes.
fn hashes(file: &GgufFile) -> Result<Vec<FileInfo>, ModelError> {
    file.files()
        .map(|(path, name, _)| {
            FileInfo::read(path, name).map_err(|source| ModelError::Io { path: path.to_owned(), source })
        })
        .collect()
}
