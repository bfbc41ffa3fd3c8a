//! From the tensors of the files, in the order in which they come, to the weights of the model.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_torch::model::{ModelError, NonFiniteWeight};
use tch::{Device, Kind, Tensor};

use super::in_file::InFile;
use super::quantised::QuantisedWeight;
use super::safetensors::StoredTensor;
use super::sorting::Source;
use crate::convert::OfModel;
use crate::non_finite::NonFinite;

/// The weights that were read so far.
pub(super) struct Reading<'w> {
    folder: &'w Path,
    wanted: &'w BTreeMap<String, Source>,
    zeros: &'w [InFile],
    kind: Kind,
    device: Device,
    /// The parts, by the weight's name in the model, of weights that lack others still.
    parts: BTreeMap<&'w str, Vec<Option<Vec<u8>>>>,
    tensors: BTreeMap<String, Tensor>,
    non_finite: Vec<NonFiniteWeight>,
}

/// What the tensors of a file are for, by their names in it.
pub(super) type Uses<'w> = BTreeMap<&'w str, Use<'w>>;

/// What a tensor of a file is for.
pub(super) enum Use<'w> {
    /// It is the weight of this name in the model.
    Plain(&'w str),
    /// It is a part, with this number, of a weight.
    Part { name: &'w str, weight: &'w QuantisedWeight, number: usize },
    /// It may be left out where all of it is zero.
    Zeros,
}

impl<'w> Reading<'w> {
    /// Nothing was read yet.
    pub(super) fn new(
        folder: &'w Path,
        wanted: &'w BTreeMap<String, Source>,
        zeros: &'w [InFile],
        kind: Kind,
        device: Device,
    ) -> Self {
        let (parts, tensors, non_finite) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { folder, wanted, zeros, kind, device, parts, tensors, non_finite }
    }

    /// What the file of this number is read for.
    pub(super) fn of_file(&self, file: usize) -> Uses<'w> {
        let mut uses = Uses::new();
        for (name, source) in self.wanted {
            match source {
                Source::Plain(tensor) if tensor.file == file => {
                    uses.insert(&tensor.name, Use::Plain(name));
                }
                Source::Plain(_) => {}
                Source::Made(weight) => {
                    for (number, part) in weight.parts().enumerate().filter(|(_, part)| part.file == file) {
                        uses.insert(&part.name, Use::Part { name, weight, number });
                    }
                }
            }
        }
        uses.extend(self.zeros.iter().filter(|t| t.file == file).map(|t| (t.name.as_str(), Use::Zeros)));
        uses
    }

    /// Takes a tensor of a file for what it is used for.
    pub(super) fn take(&mut self, uses: &Uses<'w>, stored: &StoredTensor<'_>) -> Result<(), ModelError> {
        match uses.get(stored.name()) {
            None => Ok(()),
            Some(Use::Plain(name)) => {
                self.put(name, stored.name(), &stored.tensor(self.kind)?, stored.non_finite())
            }
            Some(Use::Part { name, weight, number }) => {
                let parts = self.parts.entry(*name).or_insert_with(|| vec![None; weight.parts().count()]);
                if let Some(part) = parts.get_mut(*number) {
                    *part = Some(stored.bytes().to_vec());
                }
                let Some(whole) = parts.iter().map(|part| part.as_deref()).collect::<Option<Vec<_>>>() else {
                    return Ok(());
                };
                let wrong = |what| ModelError::File { path: self.folder.to_owned(), what };
                let values = weight.dequantise(&whole).map_err(wrong)?;
                self.parts.remove(*name);
                let non_finite = NonFinite::of(&values);
                let tensor = weight.tensor(&values, self.kind).of_model()?;
                drop(values);
                self.put(name, weight.name(), &tensor, non_finite)
            }
            Some(Use::Zeros) if stored.is_zero() => Ok(()),
            Some(Use::Zeros) => {
                let what = format!(
                    "{} is not zero, and the model has no such bias: the quantised weights are those of another model",
                    stored.name()
                );
                Err(ModelError::File { path: self.folder.to_owned(), what })
            }
        }
    }

    /// Adds a weight, which `in_files` is the name of in messages.
    fn put(
        &mut self,
        name: &str,
        in_files: &str,
        tensor: &Tensor,
        non_finite: NonFinite,
    ) -> Result<(), ModelError> {
        self.non_finite.extend(non_finite.of_weight(in_files));
        self.tensors.insert(name.to_owned(), tensor.f_to_device(self.device).of_model()?);
        Ok(())
    }

    /// The weights by their names in the model, and those that are not finite, sorted.
    pub(super) fn finish(mut self) -> (BTreeMap<String, Tensor>, Vec<NonFiniteWeight>) {
        self.non_finite.sort_by(|a, b| a.name.cmp(&b.name));
        (self.tensors, self.non_finite)
    }
}
