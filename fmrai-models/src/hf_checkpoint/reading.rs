//! From the tensors of the files, in the order in which they come, to the weights of the model.

use std::collections::BTreeMap;
use std::path::Path;

use fmrai_torch::model::{ModelError, NonFiniteWeight};
use tch::Kind;

use super::in_file::InFile;
use super::safetensors::{Pieces, Stored, is_zero};
use super::sorting::Source;
use super::stored::Checksums;
use crate::convert::{OfModel, from_tch};
use crate::non_finite::NonFinite;
use crate::transformer::Placing;

/// What was read so far.
pub(super) struct Reading<'w, 'p> {
    folder: &'w Path,
    wanted: &'w BTreeMap<String, Source>,
    zeros: &'w [InFile],
    kind: Kind,
    placing: Placing<'p>,
    checksums: Checksums,
    non_finite: Vec<NonFiniteWeight>,
}

/// What the tensors of a file are for, by their names in it.
pub(super) type Uses<'w> = BTreeMap<&'w str, Use<'w>>;

/// What a tensor of a file is for.
#[derive(Clone, Copy)]
pub(super) enum Use<'w> {
    /// It is the weight of this name in the model.
    Plain(&'w str),
    /// It is a part of a weight, which is made when all files were read: its parts may lie anywhere.
    Part,
    /// It may be left out where all of it is zero.
    Zeros,
}

/// What the files were read to.
pub(super) struct Read<'p> {
    pub(super) placing: Placing<'p>,
    pub(super) checksums: Checksums,
    pub(super) non_finite: Vec<NonFiniteWeight>,
}

impl<'w, 'p> Reading<'w, 'p> {
    /// Nothing was read yet.
    pub(super) fn new(
        folder: &'w Path,
        wanted: &'w BTreeMap<String, Source>,
        zeros: &'w [InFile],
        kind: Kind,
        placing: Placing<'p>,
    ) -> Self {
        let (checksums, non_finite) = (Checksums::new(), Vec::new());
        Self { folder, wanted, zeros, kind, placing, checksums, non_finite }
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
                    let parts = weight.parts().filter(|part| part.file == file);
                    uses.extend(parts.map(|part| (part.name.as_str(), Use::Part)));
                }
            }
        }
        uses.extend(self.zeros.iter().filter(|t| t.file == file).map(|t| (t.name.as_str(), Use::Zeros)));
        uses
    }

    /// Takes a tensor of the file of this number for what it is used for.
    pub(super) fn take(
        &mut self,
        file: usize,
        used: Option<Use<'w>>,
        stored: Stored<'_>,
        pieces: &mut Pieces<'_>,
    ) -> Result<(), ModelError> {
        let checksums = match used {
            None => return Ok(()),
            Some(Use::Plain(name)) => self.take_weight(name, stored, pieces)?,
            Some(Use::Part) => pieces.each(|_, _| Ok(()))?,
            Some(Use::Zeros) => return self.take_zeros(stored, pieces),
        };
        self.checksums.insert((file, stored.name.to_owned()), checksums);
        Ok(())
    }

    /// The weight of this name in the model. Of one that does not stay no tensor is made.
    fn take_weight(
        &mut self,
        name: &str,
        stored: Stored<'_>,
        pieces: &mut Pieces<'_>,
    ) -> Result<Vec<u64>, ModelError> {
        let dtype = stored.info.dtype;
        let shape = stored.shape();
        let mut non_finite = NonFinite::default();
        let checksums = if self.placing.stays(name, &shape) {
            let tensor = stored.empty()?;
            let filled = from_tch(&tensor);
            let checksums = pieces.each(|place, bytes| {
                non_finite = non_finite.and(NonFinite::count(bytes, dtype));
                Ok(filled.write_part(place, bytes)?)
            })?;
            drop(filled);
            self.placing.put(name, tensor.f_to_kind(self.kind).of_model()?)?;
            checksums
        } else {
            stored.check()?;
            let checksums = pieces.each(|_, bytes| {
                non_finite = non_finite.and(NonFinite::count(bytes, dtype));
                Ok(())
            })?;
            self.placing.leave(name, &shape)?;
            checksums
        };
        self.non_finite.extend(non_finite.of_weight(stored.name));
        Ok(checksums)
    }

    /// A bias that the model does not have.
    fn take_zeros(&self, stored: Stored<'_>, pieces: &mut Pieces<'_>) -> Result<(), ModelError> {
        let mut zero = true;
        pieces.each(|_, bytes| {
            zero &= is_zero(bytes, stored.info.dtype);
            Ok(())
        })?;
        if zero {
            return Ok(());
        }
        let what = format!(
            "{} is not zero, and the model has no such bias: the quantised weights are those of another model",
            stored.name
        );
        Err(ModelError::File { path: self.folder.to_owned(), what })
    }

    /// What was read.
    pub(super) fn finish(self) -> Read<'p> {
        Read { placing: self.placing, checksums: self.checksums, non_finite: self.non_finite }
    }
}
