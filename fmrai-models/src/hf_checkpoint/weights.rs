//! The weights of a checkpoint: which of those in its files the model needs, and what is left over.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{ModelError, NonFiniteWeight};
use safetensors::Dtype;
use tch::{Device, Kind, Tensor};

use super::folder::Adapter;
use super::safetensors::{NonFinite, SafetensorsFile};
use super::shards::{INDEX, Shards};
use super::wrappers::Wrappers;
use crate::convert::OfModel;
use crate::transformer::Needs;

/// The weights of a model by their names.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) files: Vec<FileInfo>,
    /// Names, as in the files, of weights that the model does not use.
    pub(super) unused: Vec<String>,
    pub(super) non_finite: Vec<NonFiniteWeight>,
    /// What a user should know: copies that do not count, names that were changed, files that were left alone.
    pub(super) warnings: Vec<String>,
}

/// A weight that a checkpoint has, or says that it has.
struct Found {
    /// Its name in the file.
    name: String,
    place: Place,
}

enum Place {
    /// In the file of this number.
    File { file: usize, shape: Vec<i64>, real: bool },
    /// The index names this file, which is not there, or lacks it.
    Nowhere(String),
}

impl Weights {
    /// Reads the weights that `needs` calls for from the files in `folder`, as elements of `kind` on `device`.
    pub(super) fn load(
        folder: &Path,
        needs: &dyn Needs,
        kind: Kind,
        device: Device,
    ) -> Result<Self, ModelError> {
        let mut shards = Shards::find(folder)?;
        shards.check_kinds(folder)?;
        let opened = shards
            .files
            .iter()
            .map(|name| SafetensorsFile::open(&folder.join(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut warnings = std::mem::take(&mut shards.warnings);
        let (found, unnamed) = all(&shards, &opened, &mut warnings);
        let Sorted { wanted, unused } = sort_out(folder, needs, &shards, found, &unnamed, &mut warnings)?;
        warnings.extend(Adapter::of(folder).map(|adapter| adapter.beside(folder)));

        let mut files: Vec<FileInfo> = shards.index.into_iter().collect();
        let mut tensors = BTreeMap::new();
        let mut non_finite = Vec::new();
        for (index, (file, name)) in opened.into_iter().zip(&shards.files).enumerate() {
            let canonical: BTreeMap<&str, &str> = wanted
                .iter()
                .filter(|(_, (_, file))| *file == index)
                .map(|(canonical, (name, _))| (name.as_str(), canonical.as_str()))
                .collect();
            let info = file.read(
                name,
                kind,
                |name| canonical.contains_key(name),
                |name, tensor, found| {
                    let NonFinite { nan, infinite } = found;
                    if nan + infinite > 0 {
                        non_finite.push(NonFiniteWeight { name: name.to_owned(), nan, infinite });
                    }
                    if let Some(canonical) = canonical.get(name) {
                        tensors.insert((*canonical).to_owned(), tensor.f_to_device(device).of_model()?);
                    }
                    Ok(())
                },
            )?;
            files.push(info);
        }
        non_finite.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { tensors, files, unused, non_finite, warnings })
    }
}

/// Every weight that counts: in an index each counts in the file that is named for it, and nowhere else. Those that it does
/// not name at all come second, with the files that they are in.
fn all(
    shards: &Shards,
    opened: &[SafetensorsFile],
    warnings: &mut Vec<String>,
) -> (Vec<Found>, Vec<(String, String)>) {
    let mut found = Vec::new();
    let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, (opened, file_name)) in opened.iter().zip(&shards.files).enumerate() {
        for (name, info) in opened.tensors() {
            if !shards.counts(name, file_name) {
                there.entry(name).or_default().push(file_name);
                continue;
            }
            let shape = info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
            let place = Place::File { file, shape, real: is_real(info.dtype) };
            found.push(Found { name: name.to_owned(), place });
        }
    }
    let Some(map) = &shards.map else { return (found, Vec::new()) };
    let names: BTreeSet<&str> = found.iter().map(|found| found.name.as_str()).collect();
    let nowhere: Vec<Found> = map
        .iter()
        .filter(|(name, _)| !names.contains(name.as_str()))
        .map(|(name, file)| {
            let where_else = there.get(name.as_str()).map(|files| files.join(", "));
            let what = match (shards.absent.contains(file), where_else) {
                (true, _) => format!("{file}, which is not there"),
                (false, None) => format!("{file}, which has no such weight"),
                (false, Some(other)) => {
                    format!("{file}, which has no such weight; one of that name is in {other}")
                }
            };
            Found { name: name.clone(), place: Place::Nowhere(what) }
        })
        .collect();
    let (mut stale, mut unnamed) = (Vec::new(), Vec::new());
    for (name, files) in there.iter().filter(|(name, _)| names.contains(*name) || !map.contains_key(**name)) {
        let files = files.join(", ");
        if let Some(right) = map.get(*name) {
            stale.push(format!("{name} in {files} (the one in {right} is read)"));
        } else {
            stale.push(format!("{name} in {files} (the index does not name it)"));
            unnamed.push(((*name).to_owned(), files));
        }
    }
    if !stale.is_empty() {
        warnings.push(format!("{INDEX} decides, these are not read: {}", few(&stale)));
    }
    found.extend(nowhere);
    (found, unnamed)
}

/// What the model takes of what was found.
struct Sorted {
    /// By name in the model: name in the file, and the file's number.
    wanted: BTreeMap<String, (String, usize)>,
    /// Names in the files of what the model does not use.
    unused: Vec<String>,
}

/// Compares what the files hold with what the model needs.
fn sort_out(
    folder: &Path,
    needs: &dyn Needs,
    shards: &Shards,
    all: Vec<Found>,
    unnamed: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<Sorted, ModelError> {
    let real = |found: &&Found| matches!(found.place, Place::File { real: true, .. } | Place::Nowhere(_));
    let names: Vec<&str> = all.iter().filter(real).map(|found| found.name.as_str()).collect();
    let wrappers = Wrappers::of(&names, needs);
    let file_name = |place: &Place| match place {
        Place::File { file, .. } => shards.files.get(*file).map_or("", String::as_str),
        Place::Nowhere(_) => INDEX,
    };
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for weight in all {
        match found.entry(needs.canonical(&wrappers.strip(&weight.name))) {
            Entry::Vacant(place) => {
                place.insert(weight);
            }
            Entry::Occupied(other) => {
                let (first, second) = (other.get(), &weight);
                return Err(ModelError::File {
                    path: folder.to_owned(),
                    what: format!(
                        "two weights mean the same: {} in {} and {} in {}",
                        first.name,
                        file_name(&first.place),
                        second.name,
                        file_name(&second.place)
                    ),
                });
            }
        }
    }

    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    let mut nowhere: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for (name, needed) in needs.needed(&|name| found.contains_key(name)) {
        match found.remove(&name) {
            None => missing.push(name),
            Some(Found { name, place: Place::Nowhere(file) }) => {
                nowhere.entry(file).or_default().push(name);
            }
            Some(Found { name, place: Place::File { shape, .. } }) if shape != needed => {
                misshapen.push(format!("{name}: found {shape:?}, needed {needed:?}"));
            }
            Some(Found { name: in_file, place: Place::File { file, .. } }) => {
                wanted.insert(name, (in_file, file));
            }
        }
    }
    let (mut unused, mut unknown, mut integers) = (Vec::new(), Vec::new(), Vec::new());
    for (name, Found { name: in_file, place }) in found {
        match place {
            Place::Nowhere(file) => {
                warnings
                    .push(format!("{INDEX} says that {in_file} is in {file}; the model does not need it"));
            }
            Place::File { .. } if needs.is_unused(&name) => unused.push(in_file),
            // A buffer of positions, counters or masks: it is none of the numbers that the model learned.
            Place::File { real: false, .. } => {
                integers.push(in_file.clone());
                unused.push(in_file);
            }
            Place::File { .. } => unknown.push(in_file),
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
        let hint = format!("{lost}{}", hint(&wrappers, &unknown, &unused));
        let (path, architecture) = (folder.to_owned(), needs.model_type().to_owned());
        return Err(ModelError::Weights { path, architecture, missing, unknown, misshapen, hint });
    }
    if !integers.is_empty() {
        warnings.push(format!("integer buffers that the model does not use: {}", few(&integers)));
    }
    warnings
        .extend(wrappers.words().map(|words| format!("the names of the weights are read without {words}")));
    Ok(Sorted { wanted, unused })
}

/// The likely reason why weights do not fit, as the end of a message; empty where none is known.
fn hint(wrappers: &Wrappers, unknown: &[String], unused: &[String]) -> String {
    let any = |parts: &[&str]| {
        unknown.iter().chain(unused).any(|name| name.split('.').any(|part| parts.contains(&part)))
    };
    if any(&["lora_A", "lora_B", "lora_embedding_A", "base_layer", "modules_to_save"]) {
        return "; they hold an adapter beside its base: merge it in Python, `model.merge_and_unload().save_pretrained(FOLDER)`"
            .to_owned();
    }
    if any(&["qweight", "qzeros", "scales", "weight_scale", "weight_scale_inv", "absmax", "SCB", "quant_map"])
    {
        return "; they are quantised, which is not supported: use the checkpoint that they were made of"
            .to_owned();
    }
    wrappers.words().map_or_else(String::new, |words| format!("; names are read without {words}"))
}

/// The first eight of them.
fn few(items: &[String]) -> String {
    let more = if items.len() > 8 { format!(" and {} more", items.len() - 8) } else { String::new() };
    format!("{}{more}", items.iter().take(8).cloned().collect::<Vec<_>>().join(", "))
}

fn is_real(dtype: Dtype) -> bool {
    !matches!(
        dtype,
        Dtype::BOOL
            | Dtype::U8
            | Dtype::I8
            | Dtype::U16
            | Dtype::I16
            | Dtype::U32
            | Dtype::I32
            | Dtype::U64
            | Dtype::I64
    )
}
