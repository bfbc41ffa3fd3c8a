//! Weights that are quantised: several tensors of the files make up one weight of the model.
//!
//! config.json says by which method (`quantization_config`), and which modules are is told by the tensors that are there. The parts of a
//! weight become one before anything is compared with what the model needs, so that its network knows nothing of it.

mod awq;
mod config;
mod fp8;
mod gptq;
mod numbers;
mod parts;
mod refusals;
mod weight;

pub(super) use weight::QuantisedWeight;

use std::collections::{BTreeMap, BTreeSet};

use safetensors::Dtype;

use super::found::{Found, Place};
use parts::Parts;
use weight::Packing;

/// How the weights of a checkpoint are quantised, as its config.json says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scheme {
    /// 8 bits with an exponent, and scales.
    Fp8(fp8::Config),
    /// Integers of few bits with scales and zeros, along the inputs.
    Gptq(gptq::Config),
    /// The same along the outputs, in an order of its own.
    Awq(awq::Config),
}

/// What was found, with one weight in place of the parts of each.
pub(super) struct Gathered {
    pub(super) found: Vec<Found>,
    /// Names of scales of activations: these are computed in full precision.
    pub(super) activations: Vec<String>,
}

impl Scheme {
    /// Makes one weight of the parts of each. `model_type` is that of config.json.
    ///
    /// # Errors
    /// If parts are missing, or do not fit each other.
    pub(super) fn gather(&self, found: Vec<Found>, model_type: &str) -> Result<Gathered, String> {
        let modules: BTreeSet<String> = found.iter().filter_map(|found| self.module(found)).collect();
        let (mut rest, mut activations) = (Vec::new(), Vec::new());
        let mut parts: BTreeMap<String, Parts> = BTreeMap::new();
        for weight in found {
            let (module, part) = weight.name.rsplit_once('.').unwrap_or(("", &weight.name));
            if self.parts().contains(&part) && modules.contains(module) {
                let module = module.to_owned();
                let parts = parts.entry(module.clone()).or_insert_with(|| Parts::of(module));
                match weight.place {
                    Place::File(tensor) => parts.add(tensor),
                    Place::Nowhere(nowhere) => parts.lack(nowhere),
                    Place::Made(_) => {}
                }
            } else if self.activations().contains(&part) && matches!(weight.place, Place::File(_)) {
                activations.push(weight.name);
            } else {
                rest.push(weight);
            }
        }
        for (_, mut parts) in parts {
            let name = parts.name("weight");
            let place = match parts.nowhere() {
                Some(nowhere) => Place::Nowhere(nowhere),
                None => {
                    let transposed = is_transposed(model_type, &name);
                    let packing = self.packing(&mut parts, transposed)?;
                    Place::Made(QuantisedWeight::new(&name, packing, parts.take_used(), transposed))
                }
            };
            rest.push(Found { name, place });
            rest.extend(
                parts.left().map(|tensor| Found { name: tensor.name.clone(), place: Place::File(tensor) }),
            );
        }
        Ok(Gathered { found: rest, activations })
    }

    /// The module that a tensor makes a quantised one.
    fn module(&self, found: &Found) -> Option<String> {
        let (module, part) = found.name.rsplit_once('.')?;
        let makes = match (self, &found.place) {
            (Self::Fp8(_), Place::File(tensor)) => part == "weight" && tensor.info.dtype == Dtype::F8_E4M3,
            (Self::Fp8(_), _) => false,
            (Self::Gptq(_) | Self::Awq(_), _) => part == "qweight",
        };
        makes.then(|| module.to_owned())
    }

    /// The last parts of the names of tensors that make up a weight.
    fn parts(&self) -> &'static [&'static str] {
        match self {
            Self::Fp8(_) => &["weight", "weight_scale", "weight_scale_inv"],
            Self::Gptq(_) => &["qweight", "qzeros", "scales", "g_idx"],
            Self::Awq(_) => &["qweight", "qzeros", "scales"],
        }
    }

    /// The last parts of the names of tensors that quantise activations.
    fn activations(&self) -> &'static [&'static str] {
        match self {
            Self::Fp8(_) => &[
                "activation_scale",
                "input_scale",
                "input_scale_ub",
                "output_scale",
                "q_scale",
                "k_scale",
                "v_scale",
            ],
            Self::Gptq(_) | Self::Awq(_) => &[],
        }
    }

    fn packing(&self, parts: &mut Parts, transposed: bool) -> Result<Packing, String> {
        match self {
            Self::Gptq(config) => gptq::Gptq::of(config, parts).map(Packing::Gptq),
            _ if transposed => Err(format!(
                "{} lies as [in, out], as the Conv1D of GPT-2 does, which of the quantised forms is read as GPTQ alone: use the \
                 checkpoint that it was made of",
                parts.name("weight")
            )),
            Self::Fp8(config) => fp8::Fp8::of(config, parts).map(Packing::Fp8),
            Self::Awq(config) => awq::Awq::of(config, parts).map(Packing::Awq),
        }
    }
}

/// True for the weight of a `Conv1D` of GPT-2, which the model holds as `[in, out]`.
fn is_transposed(model_type: &str, name: &str) -> bool {
    let mut parts = name.rsplit('.').skip(1);
    model_type == "gpt2" && parts.next().is_some_and(|module| module.starts_with("c_"))
}
