//! Weights that are made when a part of a network runs, and given up when it has run: how a model runs whose weights are more than there
//! is memory for.
//!
//! Such a weight is a tensor like any other: it has its name, shape and type at all times, and is the same tensor of libtorch
//! in each pass, so that graphs know it. While its part does not run, all of its elements are one NaN: what reads
//! them by mistake cannot go unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use fmrai_torch::give_back_freed_pages;
use fmrai_torch::model::{ModelError, RemadeWeights};
use tch::{Device, Kind, TchError, Tensor};

use crate::convert::{OfModel, from_tch, model_error};

/// Where weights come from, more than once.
pub(crate) trait WeightSource: Send + Sync + fmt::Debug {
    /// The weight that the network calls `name`, dense and in CPU memory, of the type that the network computes in.
    ///
    /// # Errors
    /// [`ModelError`] if it cannot be read, or if there is no such weight.
    fn make(&self, name: &str) -> Result<Tensor, ModelError>;

    /// True if two weights of the same shape hold the same numbers.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    fn equal(&self, one: &str, other: &str) -> Result<bool, ModelError> {
        self.make(one)?.f_equal(&self.make(other)?).of_model()
    }
}

/// Why a pass whose weights are made on demand fails.
#[derive(Debug)]
pub(crate) enum PassError {
    /// What libtorch reports.
    Torch(TchError),
    /// A weight cannot be made.
    Weight(ModelError),
}

impl From<TchError> for PassError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
}

impl From<ModelError> for PassError {
    fn from(error: ModelError) -> Self {
        Self::Weight(error)
    }
}

impl From<PassError> for ModelError {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Torch(error) => model_error(&error),
            PassError::Weight(error) => error,
        }
    }
}

/// A weight that is made for each pass.
#[derive(Debug)]
struct Weight {
    name: String,
    /// The tensor that the network and its graphs know.
    tensor: Tensor,
    /// What it holds while it is not there.
    absent: Tensor,
}

/// The weights of a network that are made for each pass, by the part of the network that they are of.
#[derive(Debug, Default)]
pub(crate) struct OnDemand {
    source: Option<Arc<dyn WeightSource>>,
    /// By module path, such as `model.layers.0`.
    parts: BTreeMap<String, Vec<Weight>>,
}

impl OnDemand {
    /// The same, where `source` makes the weights again.
    pub(crate) fn made_by(self, source: Arc<dyn WeightSource>) -> Self {
        let source = (!self.parts.is_empty()).then_some(source);
        Self { source, ..self }
    }

    /// Adds a weight of the part at `path`, and gives the tensor that stands for it.
    pub(crate) fn add(
        &mut self,
        path: &str,
        name: &str,
        shape: &[i64],
        kind: Kind,
        device: Device,
    ) -> Result<Tensor, TchError> {
        let absent = Tensor::f_full([1i64; 0], f64::NAN, (kind, device))?.f_expand(shape, false)?;
        let tensor = absent.f_alias()?;
        let weight = Weight { name: name.to_owned(), tensor: tensor.shallow_clone(), absent };
        self.parts.entry(path.to_owned()).or_default().push(weight);
        Ok(tensor)
    }

    /// True if the weight is one of these.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.values().flatten().any(|weight| weight.name == name)
    }

    /// Forgets a weight; `true` if it was one of these.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let had = self.has(name);
        self.parts.values_mut().for_each(|weights| weights.retain(|weight| weight.name != name));
        had
    }

    /// What makes these weights; `None` if there are none.
    pub(crate) fn source(&self) -> Option<&dyn WeightSource> {
        self.source.as_deref()
    }

    /// What gives the values of these weights to those who read them between passes; `None` if there are none.
    pub(crate) fn remade(&self) -> Option<Arc<dyn RemadeWeights>> {
        let names: BTreeSet<String> =
            self.parts.values().flatten().map(|weight| weight.name.clone()).collect();
        let source = self.source.as_ref().filter(|_| !names.is_empty())?;
        Some(Arc::new(Remade { source: Arc::clone(source), names }))
    }

    /// Makes the weights of the part at `path`, until what is given back is dropped.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn hold(&self, path: &str) -> Result<Held<'_>, ModelError> {
        let (Some(source), Some(weights)) = (&self.source, self.parts.get(path)) else {
            return Ok(Held { weights: &[] });
        };
        let place = |weight: &Weight| (weight.name.clone(), weight.tensor.shallow_clone());
        let places: Vec<(String, Tensor)> = weights.iter().map(place).collect();
        let held = Held { weights };
        unseen(move || {
            places.into_iter().try_for_each(|(name, mut tensor)| {
                let made = source.make(&name)?.f_to_device(tensor.device()).of_model()?;
                tensor.f_set_data(&made).of_model()
            })
        })?;
        Ok(held)
    }
}

/// The values of weights that are not in memory.
struct Remade {
    source: Arc<dyn WeightSource>,
    names: BTreeSet<String>,
}

impl RemadeWeights for Remade {
    fn weight(&self, name: &str) -> Option<Result<fmrai_torch::Tensor, ModelError>> {
        self.names.contains(name).then(|| Ok(from_tch(&self.source.make(name)?)))
    }
}

/// Weights that are there as long as this is.
pub(crate) struct Held<'a> {
    weights: &'a [Weight],
}

impl Held<'_> {
    /// Gives the weights up now, unless gradients are recorded for `output`, whose record may need them: then they are given up
    /// when their part has run the next time.
    pub(crate) fn give_up(self, output: &Tensor) {
        if output.requires_grad() {
            std::mem::forget(self);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.weights.is_empty() {
            return;
        }
        let both = |weight: &Weight| (weight.tensor.shallow_clone(), weight.absent.shallow_clone());
        let tensors: Vec<(Tensor, Tensor)> = self.weights.iter().map(both).collect();
        let given_up = unseen(move || {
            tensors.into_iter().try_for_each(|(mut tensor, absent)| tensor.f_set_data(&absent))
        });
        if let Err(error) = given_up {
            tracing::error!(%error, "the memory of weights cannot be given up");
        }
        give_back_freed_pages();
    }
}

/// Does work on a thread of its own, so that no tracker takes it for operations of the pass.
fn unseen<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
