//! In which forms the weights of a model are stored.

use fmrai_torch::model::{Quantisation, StoredWeight};

use super::in_file::InFile;
use super::sorting::Source;

/// How the weights of a model are stored; `None` if none is quantised.
pub(super) fn quantisation<'s>(weights: impl Iterator<Item = &'s Source>) -> Option<Quantisation> {
    Quantisation::of(weights.map(|source| match source {
        Source::Plain(tensor) => StoredWeight {
            form: tensor.info.dtype.to_string(),
            weights: tensor.elements(),
            bytes: tensor.bytes(),
            quantised: false,
        },
        Source::Made(weight) => StoredWeight {
            form: weight.form(),
            weights: weight.elements(),
            bytes: weight.parts().map(InFile::bytes).sum(),
            quantised: true,
        },
    }))
}
