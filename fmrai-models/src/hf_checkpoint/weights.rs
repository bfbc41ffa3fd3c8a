//! The weights of a checkpoint: those in its files that the model needs, and what is left over.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_torch::files::FileInfo;
use fmrai_torch::model::{ModelError, NonFiniteWeight, Quantisation};
use tch::{Device, Kind, Tensor};

use super::folder::Adapter;
use super::forms::quantisation;
use super::found::all;
use super::quantised::{Gathered, Scheme};
use super::reading::Reading;
use super::safetensors::SafetensorsFile;
use super::shards::Shards;
use super::sorting::{Hoard, Sorted, sort_out};
use crate::transformer::Needs;

/// The weights of a model by their names.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) files: Vec<FileInfo>,
    /// What of them is quantised in the files; `None` if nothing is.
    pub(super) quantisation: Option<Quantisation>,
    /// Names, as in the files, of weights that the model does not use.
    pub(super) unused: Vec<String>,
    pub(super) non_finite: Vec<NonFiniteWeight>,
    /// What a user should know: copies that do not count, names that were changed, files that were left alone.
    pub(super) warnings: Vec<String>,
}

impl Weights {
    /// Reads the weights that `needs` calls for from the files in `folder`, as elements of `kind` on `device`. Those that are
    /// quantised as `scheme` says are dequantised.
    pub(super) fn load(
        folder: &Path,
        needs: &dyn Needs,
        scheme: Option<&Scheme>,
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

        let mut files: Vec<FileInfo> = shards.index.into_iter().collect();
        let mut reading = Reading::new(folder, &wanted, &zeros, kind, device);
        for (number, (file, name)) in opened.into_iter().zip(&shards.files).enumerate() {
            let uses = reading.of_file(number);
            files.push(file.read(
                name,
                |name| uses.contains_key(name),
                |tensor| reading.take(&uses, &tensor),
            )?);
        }
        let quantisation = quantisation(wanted.values());
        let (tensors, non_finite) = reading.finish();
        Ok(Self { tensors, files, quantisation, unused, non_finite, warnings })
    }
}
