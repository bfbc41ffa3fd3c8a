//! A weight that several tensors make up.

use tch::{Kind, TchError, Tensor};

use super::awq::Awq;
use super::fp8::Fp8;
use super::gptq::Gptq;
use crate::hf_checkpoint::in_file::InFile;

/// A weight that several tensors make up, whose shapes fit each other.
#[derive(Debug)]
pub(in crate::hf_checkpoint) struct QuantisedWeight {
    name: String,
    packing: Packing,
    /// In the order in which the packing takes them.
    parts: Vec<InFile>,
    /// The model holds it as `[in, out]`.
    transposed: bool,
}

/// How the numbers of a weight lie in its parts.
#[derive(Debug)]
pub(super) enum Packing {
    Fp8(Fp8),
    Gptq(Gptq),
    Awq(Awq),
}

impl Packing {
    /// Outputs and inputs.
    fn sizes(&self) -> (usize, usize) {
        match self {
            Self::Fp8(packing) => (packing.outputs(), packing.inputs()),
            Self::Gptq(packing) => (packing.outputs(), packing.inputs()),
            Self::Awq(packing) => (packing.outputs(), packing.inputs()),
        }
    }

    /// True where the numbers come out as `[in, out]`.
    fn by_input(&self) -> bool {
        matches!(self, Self::Gptq(_) | Self::Awq(_))
    }

    fn form(&self) -> String {
        match self {
            Self::Fp8(_) => "FP8 E4M3".to_owned(),
            Self::Gptq(packing) => packing.form(),
            Self::Awq(packing) => packing.form(),
        }
    }
}

impl QuantisedWeight {
    pub(super) fn new(name: &str, packing: Packing, parts: Vec<InFile>, transposed: bool) -> Self {
        Self { name: name.to_owned(), packing, parts, transposed }
    }

    /// The name that it would have in the files if it were one tensor.
    pub(in crate::hf_checkpoint) fn name(&self) -> &str {
        &self.name
    }

    /// The tensors that make it up.
    pub(in crate::hf_checkpoint) fn parts(&self) -> impl Iterator<Item = &InFile> {
        self.parts.iter()
    }

    /// What the form is called that it is stored in.
    pub(in crate::hf_checkpoint) fn form(&self) -> String {
        self.packing.form()
    }

    /// Number of elements.
    pub(in crate::hf_checkpoint) fn elements(&self) -> u64 {
        let (outputs, inputs) = self.packing.sizes();
        outputs as u64 * inputs as u64
    }

    /// Its shape in the model.
    pub(in crate::hf_checkpoint) fn shape(&self) -> Vec<i64> {
        let (outputs, inputs) = self.packing.sizes();
        let sizes = if self.transposed { [inputs, outputs] } else { [outputs, inputs] };
        sizes.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect()
    }

    /// True if tools that make such weights give modules a bias of zeros that have none.
    pub(in crate::hf_checkpoint) fn may_have_extra_bias(&self) -> bool {
        matches!(self.packing, Packing::Gptq(_))
    }

    /// Its numbers, of the elements of its parts.
    ///
    /// # Errors
    /// If the parts contradict each other.
    pub(in crate::hf_checkpoint) fn dequantise(&self, parts: &[&[u8]]) -> Result<Vec<f32>, String> {
        match (&self.packing, parts) {
            (Packing::Fp8(packing), &[weight, scales]) => Ok(packing.dequantise(weight, scales)),
            (Packing::Gptq(packing), &[qweight, qzeros, scales, ref rest @ ..]) => {
                let wrong = |what| {
                    format!(
                        "{}: {what}",
                        self.parts.last().map_or(self.name.as_str(), |part| part.name.as_str())
                    )
                };
                packing.dequantise(qweight, qzeros, scales, rest.first().copied()).map_err(wrong)
            }
            (Packing::Awq(packing), &[qweight, qzeros, scales]) => {
                Ok(packing.dequantise(qweight, qzeros, scales))
            }
            _ => Err(format!("{}: {} parts are too few", self.name, parts.len())),
        }
    }

    /// The weight as the model holds it, with elements of type `kind`, of its [numbers](Self::dequantise).
    pub(in crate::hf_checkpoint) fn tensor(&self, values: &[f32], kind: Kind) -> Result<Tensor, TchError> {
        let (outputs, inputs) = self.packing.sizes();
        if outputs.checked_mul(inputs) != Some(values.len()) {
            let what = format!("{} numbers for {outputs} x {inputs}", values.len());
            return Err(TchError::Shape(what));
        }
        let by_input = self.packing.by_input();
        let sizes = if by_input { [inputs, outputs] } else { [outputs, inputs] };
        let sizes = sizes.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let tensor = Tensor::f_from_slice(values)?.f_to_kind(kind)?.f_reshape(sizes)?;
        if by_input == self.transposed { Ok(tensor) } else { tensor.f_transpose(0, 1)?.f_contiguous() }
    }
}
