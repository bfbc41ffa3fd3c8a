//! What acts on a forward pass: where, and how.

use std::collections::BTreeMap;
use std::fmt;

use fmrai_core::experiment::Place;
use fmrai_core::tracker::BoxError;

use crate::ffi::tensor::Tensor;

/// Gives the tensor to go on with in place of the one it is shown, or `None` to leave it: its elements are copied. It has to be of the same
/// shape and device, and of the same element type or another floating one. What it computes is recorded for gradients as if the model did, and seen by no tracker. What it is shown is the model's
/// own tensor: a clone that it keeps is part of the record of gradients. An error of it ends the pass, if not at this operation then at one
/// after it: the model sees that the operation fails.
pub type Action = Box<dyn FnMut(&Tensor) -> Result<Option<Tensor>, BoxError>>;

/// What acts on a pass. At one place, several act in the order in which they were added.
#[derive(Default)]
pub struct Actions {
    pub(super) at: BTreeMap<Place, Vec<Action>>,
}

impl Actions {
    /// Nothing acts.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds what acts at a place.
    pub fn add(
        &mut self,
        place: Place,
        action: impl FnMut(&Tensor) -> Result<Option<Tensor>, BoxError> + 'static,
    ) {
        self.at.entry(place).or_default().push(Box::new(action));
    }

    /// The places where something acts, in their order.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.at.keys().copied()
    }

    /// True if nothing acts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places()).finish()
    }
}
