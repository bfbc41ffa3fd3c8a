//! The weights of a checkpoint: those in its files that the model needs, and what is left over.

use std::path::Path;
use std::sync::Arc;

use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{ModelError, NonFiniteWeight, Quantisation};

use super::folder::Adapter;
use super::forms::quantisation;
use super::found::all;
use super::quantised::{Gathered, Scheme};
use super::reading::{Read, Reading};
use super::safetensors::SafetensorsFile;
use super::shards::Shards;
use super::sorting::{Hoard, Sorted, Source, sort_out};
use super::stored::StoredWeights;
use crate::options::Options;
use crate::transformer::{Needs, Placed, Placing};

/// The weights of a model.
pub(super) struct Weights {
    pub(super) placed: Placed,
    pub(super) files: Vec<FileInfo>,
    /// What of them is quantised in the files; `None` if nothing is.
    pub(super) quantisation: Option<Quantisation>,
    /// Names, as in the files, of weights that the model does not use.
    pub(super) unused: Vec<String>,
    /// Sorted by name.
    pub(super) non_finite: Vec<NonFiniteWeight>,
    /// What a user should know: copies that do not count, names that were changed, files that were left alone.
    pub(super) warnings: Vec<String>,
}

impl Weights {
    /// Reads the weights that `needs` calls for from the files in `folder`. Those that are quantised as `scheme` says are dequantised. Of the
    /// weights of `parts`, which are module paths, those do not stay that there is no memory for.
    pub(super) fn load(
        folder: &Path,
        needs: &dyn Needs,
        scheme: Option<&Scheme>,
        parts: &[String],
        options: &Options,
    ) -> Result<Self, ModelError> {
        let mut shards = Shards::find(folder)?;
        shards.check_kinds(folder)?;
        let mut opened = shards
            .files
            .iter()
            .map(|name| SafetensorsFile::open(&folder.join(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut warnings = std::mem::take(&mut shards.warnings);
        let (found, unnamed) = all(&shards, &opened, &mut warnings);
        let Gathered { found, activations } = match scheme {
            Some(scheme) => scheme
                .gather(found, needs.model_type())
                .map_err(|what| ModelError::File { path: folder.to_owned(), what })?,
            None => Gathered { found, activations: Vec::new() },
        };
        let hoard = Hoard { found, unnamed, quantised: scheme.is_some() };
        let Sorted { wanted, zeros, mut unused } = sort_out(folder, needs, &shards, hoard, &mut warnings)?;
        unused.extend(activations);
        unused.sort_unstable();
        warnings.extend(Adapter::of(folder).map(|adapter| adapter.beside(folder)));

        let kind = options.dtype.kind();
        let shapes = wanted.iter().map(|(name, source)| (name.clone(), source.shape())).collect();
        let placing = Placing::new(&shapes, parts, options);
        let mut files: Vec<FileInfo> = shards.index.into_iter().collect();
        let mut reading = Reading::new(folder, &wanted, &zeros, kind, placing);
        for (number, (file, name)) in opened.iter_mut().zip(&shards.files).enumerate() {
            let uses = reading.of_file(number);
            files.push(file.read(name, |stored, pieces| {
                reading.take(number, uses.get(stored.name).copied(), stored, pieces)
            })?);
        }
        let Read { mut placing, checksums, mut non_finite } = reading.finish();
        let quantisation = quantisation(wanted.values());
        let stored = StoredWeights { folder: folder.to_owned(), files: opened, wanted, checksums, kind };
        for (name, source) in &stored.wanted {
            if let Source::Made(weight) = source {
                let (tensor, found) = stored.dequantised(weight)?;
                non_finite.extend(found.of_weight(weight.name()));
                placing.put(name, tensor)?;
            }
        }
        non_finite.sort_by(|a, b| a.name.cmp(&b.name));
        let placed = placing.finish(Arc::new(stored));
        Ok(Self { placed, files, quantisation, unused, non_finite, warnings })
    }
}
