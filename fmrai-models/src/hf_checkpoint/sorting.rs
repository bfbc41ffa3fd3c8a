//! What a model takes of what the files of a checkpoint hold.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use fmrai_torch::model::ModelError;

use super::found::{Found, Place, few};
use super::in_file::InFile;
use super::quantised::QuantisedWeight;
use super::shards::{INDEX, Shards};
use super::wrappers::Wrappers;
use crate::transformer::Needs;

/// What the model takes of what was found.
pub(super) struct Sorted {
    /// By name in the model.
    pub(super) wanted: BTreeMap<String, Source>,
    /// Biases that belong to quantised weights, and that the model does not know: they have to be zero.
    pub(super) zeros: Vec<InFile>,
    /// Names in the files of what the model does not use.
    pub(super) unused: Vec<String>,
}

/// What a weight is read from.
#[derive(Debug)]
pub(super) enum Source {
    /// It lies in a file as it is.
    Plain(InFile),
    /// It is made of several tensors.
    Made(QuantisedWeight),
}

impl Source {
    /// Its shape in the model.
    pub(super) fn shape(&self) -> Vec<i64> {
        match self {
            Self::Plain(tensor) => tensor.shape(),
            Self::Made(weight) => weight.shape(),
        }
    }
}

/// What was found, before it is sorted out.
pub(super) struct Hoard {
    /// What counts.
    pub(super) found: Vec<Found>,
    /// What the index does not name, with the files that it is in.
    pub(super) unnamed: Vec<(String, String)>,
    /// Whether config.json says how weights are quantised.
    pub(super) quantised: bool,
}

/// Compares what the files hold with what the model needs.
pub(super) fn sort_out(
    folder: &Path,
    needs: &dyn Needs,
    shards: &Shards,
    hoard: Hoard,
    warnings: &mut Vec<String>,
) -> Result<Sorted, ModelError> {
    let Hoard { found: all, unnamed, quantised } = hoard;
    let names: Vec<&str> =
        all.iter().filter(|found| found.is_real()).map(|found| found.name.as_str()).collect();
    let wrappers = Wrappers::of(&names, needs);
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for weight in all {
        match found.entry(needs.canonical(&wrappers.strip(&weight.name))) {
            Entry::Vacant(place) => {
                place.insert(weight);
            }
            Entry::Occupied(other) => {
                let what = format!(
                    "two weights mean the same: {} and {}",
                    described(shards, other.get()),
                    described(shards, &weight)
                );
                return Err(ModelError::File { path: folder.to_owned(), what });
            }
        }
    }

    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    let mut nowhere: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for (name, needed) in needs.needed(&|name| found.contains_key(name)) {
        let Some(Found { name: in_files, place }) = found.remove(&name) else {
            missing.push(name);
            continue;
        };
        let source = match place {
            Place::Nowhere(absent) => {
                nowhere.entry(absent.what).or_default().push(absent.name);
                continue;
            }
            Place::File(tensor) => Source::Plain(tensor),
            Place::Made(weight) => Source::Made(weight),
        };
        let shape = source.shape();
        if shape == needed {
            wanted.insert(name, source);
        } else {
            misshapen.push(format!("{in_files}: found {shape:?}, needed {needed:?}"));
        }
    }
    let mut zeros = Vec::new();
    let (mut unused, mut unknown, mut integers) = (Vec::new(), Vec::new(), Vec::new());
    for (name, weight) in found {
        let real = weight.is_real();
        match weight.place {
            Place::Nowhere(absent) => {
                let (name, what) = (absent.name, absent.what);
                warnings.push(format!("{INDEX} says that {name} is in {what}; the model does not need it"));
            }
            _ if needs.is_unused(&name) => unused.extend(weight.into_names()),
            // A buffer of positions, counters or masks: it is none of the numbers that the model learned.
            _ if !real => {
                integers.push(weight.name.clone());
                unused.push(weight.name);
            }
            Place::File(tensor) if is_extra_bias(&name, &wanted) => {
                unused.push(tensor.name.clone());
                zeros.push(tensor);
            }
            _ => unknown.extend(weight.into_names()),
        }
    }
    if !nowhere.is_empty() {
        let places = nowhere.iter_mut().map(|(file, names)| {
            names.sort_unstable();
            format!("{} in {file}", few(names))
        });
        let places: Vec<String> = places.collect();
        let what = format!("`weight_map` places {}: fetch the checkpoint again", places.join("; "));
        return Err(ModelError::File { path: folder.join(INDEX), what });
    }
    unused.sort_unstable();
    unknown.sort_unstable();
    if !(missing.is_empty() && unknown.is_empty() && misshapen.is_empty()) {
        missing.sort_unstable();
        let lost =
            unnamed.iter().filter(|(name, _)| missing.contains(&needs.canonical(&wrappers.strip(name))));
        let lost: String =
            lost.map(|(name, file)| format!("; {name} is in {file}, but {INDEX} does not name it")).collect();
        let hint = format!("{lost}{}", hint(&wrappers, &unknown, &unused, quantised));
        let (path, architecture) = (folder.to_owned(), needs.model_type().to_owned());
        return Err(ModelError::Weights { path, architecture, missing, unknown, misshapen, hint });
    }
    if !integers.is_empty() {
        warnings.push(format!("integer buffers that the model does not use: {}", few(&integers)));
    }
    warnings
        .extend(wrappers.words().map(|words| format!("the names of the weights are read without {words}")));
    Ok(Sorted { wanted, zeros, unused })
}

/// A weight and the file that it is in.
fn described(shards: &Shards, weight: &Found) -> String {
    let (name, file) = match weight.in_file() {
        Some(tensor) => (&tensor.name, shards.files.get(tensor.file).map_or("", String::as_str)),
        None => (&weight.name, INDEX),
    };
    format!("{name} in {file}")
}

/// True for the bias of a module whose weight is one that tools give a bias of zeros, whether the model has one or not.
fn is_extra_bias(name: &str, wanted: &BTreeMap<String, Source>) -> bool {
    let weight = name.strip_suffix(".bias").and_then(|module| wanted.get(&format!("{module}.weight")));
    matches!(weight, Some(Source::Made(weight)) if weight.may_have_extra_bias())
}

/// The likely reason why weights do not fit, as the end of a message; empty where none is known.
fn hint(wrappers: &Wrappers, unknown: &[String], unused: &[String], quantised: bool) -> String {
    let any = |parts: &[&str]| {
        unknown.iter().chain(unused).any(|name| name.split('.').any(|part| parts.contains(&part)))
    };
    if any(&["lora_A", "lora_B", "lora_embedding_A", "base_layer", "modules_to_save"]) {
        return "; they hold an adapter beside its base: merge it in Python, `model.merge_and_unload().save_pretrained(FOLDER)`"
            .to_owned();
    }
    let parts =
        ["qweight", "qzeros", "scales", "weight_scale", "weight_scale_inv", "absmax", "SCB", "quant_map"];
    if !quantised && any(&parts) {
        return "; they are quantised, and config.json has no `quantization_config` that says how: use the checkpoint that they \
                were made of"
            .to_owned();
    }
    if unknown.iter().any(|name| name.ends_with(".act.scales")) {
        return "; the model scales activations to make up for what its weights were multiplied by, which is not supported: use \
                the checkpoint that it was made of"
            .to_owned();
    }
    wrappers.words().map_or_else(String::new, |words| format!("; names are read without {words}"))
}
