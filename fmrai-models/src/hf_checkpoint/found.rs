//! What the files of a checkpoint hold, as their headers and the index of the shards tell.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::Dtype;

use super::in_file::{InFile, Nowhere};
use super::quantised::QuantisedWeight;
use super::safetensors::SafetensorsFile;
use super::shards::{INDEX, Shards};

/// A weight that a checkpoint has, or says that it has.
pub(super) struct Found {
    /// Its name in the files; that of a weight of several tensors, if it had one.
    pub(super) name: String,
    pub(super) place: Place,
}

/// Where a weight is.
pub(super) enum Place {
    /// It is a tensor of a file.
    File(InFile),
    /// It is made of several tensors.
    Made(QuantisedWeight),
    /// It is not where the index says.
    Nowhere(Nowhere),
}

impl Found {
    /// What stands for it in a file: it, or the first of the tensors that it is made of.
    pub(super) fn in_file(&self) -> Option<&InFile> {
        match &self.place {
            Place::File(tensor) => Some(tensor),
            Place::Made(weight) => weight.parts().next(),
            Place::Nowhere(_) => None,
        }
    }

    /// The names in the files of all that it is made of.
    pub(super) fn into_names(self) -> Vec<String> {
        match self.place {
            Place::File(tensor) => vec![tensor.name],
            Place::Made(weight) => weight.parts().map(|part| part.name.clone()).collect(),
            Place::Nowhere(nowhere) => vec![nowhere.name],
        }
    }

    /// True if its elements are real numbers, as far as is known.
    pub(super) fn is_real(&self) -> bool {
        match &self.place {
            Place::File(tensor) => is_real(tensor.info.dtype),
            Place::Made(_) | Place::Nowhere(_) => true,
        }
    }
}

/// Every weight that counts: in an index each counts in the file that is named for it, and nowhere else. Those that it does
/// not name at all come second, with the files that they are in.
pub(super) fn all(
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
            let tensor = InFile { name: name.to_owned(), file, info: info.clone() };
            found.push(Found { name: name.to_owned(), place: Place::File(tensor) });
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
            Found { name: name.clone(), place: Place::Nowhere(Nowhere { name: name.clone(), what }) }
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

/// The first eight of them.
pub(super) fn few(items: &[String]) -> String {
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
