//! The weights of a checkpoint where they lie in its files, to be read as often as they are needed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fmrai_torch::model::ModelError;
use tch::{Kind, Tensor};

use super::in_file::InFile;
use super::quantised::QuantisedWeight;
use super::safetensors::{SafetensorsFile, Stored, pieces, place};
use super::sorting::Source;
use crate::convert::{OfModel, from_tch};
use crate::non_finite::NonFinite;
use crate::pieces::{changed, checksum, in_parallel};
use crate::transformer::WeightSource;

/// Checksums of the pieces of tensors, by the number of their file and their name in it.
pub(super) type Checksums = BTreeMap<(usize, String), Vec<u64>>;

/// The weights of a checkpoint in its open files.
#[derive(Debug)]
pub(super) struct StoredWeights {
    pub(super) folder: PathBuf,
    pub(super) files: Vec<SafetensorsFile>,
    /// By name in the model.
    pub(super) wanted: BTreeMap<String, Source>,
    /// As they were read first.
    pub(super) checksums: Checksums,
    /// What the model computes with.
    pub(super) kind: Kind,
}

impl WeightSource for StoredWeights {
    fn make(&self, name: &str) -> Result<Tensor, ModelError> {
        match self.wanted.get(name) {
            Some(Source::Plain(tensor)) => self.plain(tensor),
            Some(Source::Made(weight)) => Ok(self.dequantised(weight)?.0),
            None => Err(self.wrong(format!("there is no weight {name}"))),
        }
    }

    /// Most often the bytes are the same too, which their checksums tell.
    fn equal(&self, one: &str, other: &str) -> Result<bool, ModelError> {
        if let (Some(Source::Plain(one)), Some(Source::Plain(other))) =
            (self.wanted.get(one), self.wanted.get(other))
            && one.info.dtype == other.info.dtype
            && self.known(one)? == self.known(other)?
        {
            return Ok(true);
        }
        self.make(one)?.f_equal(&self.make(other)?).of_model()
    }
}

impl StoredWeights {
    /// A weight that lies in a file as it is. All cores read, each a piece of its own.
    fn plain(&self, tensor: &InFile) -> Result<Tensor, ModelError> {
        let stored = Stored { path: self.file(tensor)?.path(), name: &tensor.name, info: &tensor.info };
        let made = stored.empty()?;
        in_parallel(
            pieces(&tensor.info),
            || (from_tch(&made), Vec::new()),
            |(made, piece), number| {
                self.piece(tensor, number, piece)?;
                Ok(made.write_part(place(number), piece)?)
            },
        )?;
        made.f_to_kind(self.kind).of_model()
    }

    /// A weight of several tensors, and what is not finite in it.
    pub(super) fn dequantised(&self, weight: &QuantisedWeight) -> Result<(Tensor, NonFinite), ModelError> {
        let mut parts = Vec::new();
        let mut piece = Vec::new();
        for part in weight.parts() {
            let mut whole = Vec::with_capacity(usize::try_from(part.bytes()).unwrap_or(0));
            for number in 0..pieces(&part.info) {
                self.piece(part, number, &mut piece)?;
                whole.extend_from_slice(&piece);
            }
            parts.push(whole);
        }
        let whole: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let values = weight.dequantise(&whole).map_err(|what| self.wrong(what))?;
        drop(parts);
        Ok((weight.tensor(&values, self.kind).of_model()?, NonFinite::of(&values)))
    }

    /// Reads a piece again, and compares it with what was there first.
    fn piece(&self, tensor: &InFile, number: usize, piece: &mut Vec<u8>) -> Result<(), ModelError> {
        let file = self.file(tensor)?;
        file.read_piece(&tensor.name, &tensor.info, number, piece)?;
        if self.known(tensor)?.get(number) == Some(&checksum(piece)) {
            return Ok(());
        }
        Err(changed(file.path(), &tensor.name))
    }

    fn known(&self, tensor: &InFile) -> Result<&[u64], ModelError> {
        let known = self.checksums.get(&(tensor.file, tensor.name.clone()));
        known.map(Vec::as_slice).ok_or_else(|| self.wrong(format!("{} was not read yet", tensor.name)))
    }

    fn file(&self, tensor: &InFile) -> Result<&SafetensorsFile, ModelError> {
        let file = self.files.get(tensor.file);
        file.ok_or_else(|| self.wrong(format!("there is no file number {}", tensor.file)))
    }

    fn wrong(&self, what: String) -> ModelError {
        ModelError::File { path: self.folder.clone(), what }
    }
}
