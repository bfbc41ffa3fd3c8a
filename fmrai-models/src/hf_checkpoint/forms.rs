//! In which forms the weights of a model are stored.

use std::collections::BTreeMap;

use fmrai_torch::model::Quantisation;

use super::in_file::InFile;
use super::sorting::Source;

/// How the weights of a model are stored; `None` if none is quantised.
#[expect(clippy::cast_precision_loss, reason = "numbers of weights are far below 2^52")]
pub(super) fn quantisation<'s>(weights: impl Iterator<Item = &'s Source>) -> Option<Quantisation> {
    let mut forms: BTreeMap<String, u64> = BTreeMap::new();
    let (mut elements, mut bytes, mut quantised) = (0, 0, false);
    for source in weights {
        let (form, count) = match source {
            Source::Plain(tensor) => {
                bytes += tensor.bytes();
                (tensor.info.dtype.to_string(), tensor.elements())
            }
            Source::Made(weight) => {
                quantised = true;
                bytes += weight.parts().map(InFile::bytes).sum::<u64>();
                (weight.form(), weight.elements())
            }
        };
        elements += count;
        *forms.entry(form).or_insert(0) += count;
    }
    let bits_per_weight = (bytes * 8) as f64 / elements.max(1) as f64;
    quantised.then_some(Quantisation { bits_per_weight, weights: forms })
}
