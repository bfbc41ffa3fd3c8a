//! One pass of the model, with what acts on it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use fmrai_core::experiment::{BenchError, Place};
use fmrai_core::tracker::{BoxError, CaptureRequest, TrackError};

use crate::capture::{Actions, DispatchTracker, Enough, Kept, Reuse};
use crate::ffi::settings::Gradients;
use crate::ffi::tensor::Tensor;
use crate::model::{Footprint, Model, NamedTensors};

/// An error of what acts on a pass.
#[derive(Debug)]
struct Refused(BenchError);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

pub(super) fn refused(error: BenchError) -> BoxError {
    Box::new(Refused(error))
}

/// A model under a tracker that knows its graph.
#[derive(Clone, Copy)]
pub(super) struct Runner<'b> {
    pub(super) model: &'b dyn Model,
    pub(super) tracker: &'b DispatchTracker,
}

impl Runner<'_> {
    /// Runs the model; `None` if what acts on it has ended the pass, having [`Enough`]. Whatever the pass leaves in the model is taken back.
    pub(super) fn run(
        self,
        inputs: &NamedTensors,
        request: &CaptureRequest,
        actions: Actions,
        reuse: Reuse<'_>,
        gradients: bool,
    ) -> Result<Option<Kept>, BenchError> {
        let failed = |error: &dyn fmt::Display| BenchError::Pass(error.to_string());
        let _gradients = Gradients::set(gradients);
        let acts = !actions.is_empty();
        let pass = || {
            let recording = self.tracker.begin_reusing(request, actions, reuse)?;
            let outcome = self.model.forward(inputs).map(|_| ()).map_err(BoxError::from);
            recording.end_of(outcome)
        };
        let (ended, mut left) = Footprint::of(self.model, pass).map_err(|error| failed(&error))?;
        left.take_back().map_err(|error| failed(&error))?;
        match ended {
            Ok(kept) => Ok(Some(kept)),
            Err(TrackError::Action { source, .. }) if source.is::<Enough>() => Ok(None),
            Err(TrackError::Action { source, place }) => match source.downcast::<Refused>() {
                Ok(refused) => Err(refused.0),
                Err(source) => Err(BenchError::Pass(format!("{place}: {source}"))),
            },
            Err(error @ TrackError::Diverged(_)) if acts => Err(BenchError::Pass(format!(
                "{error} (where an edit replaces a view, what the model then writes through it does not reach the tensor that it was a view of)"
            ))),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// What was read in a pass, by place.
pub(super) type Read = Rc<RefCell<BTreeMap<Place, Tensor>>>;

/// What objectives read in a pass.
#[derive(Default)]
pub(super) struct Readings {
    /// Of logits, the positions that count.
    pub(super) picked: Read,
    /// Of sites, everything.
    pub(super) whole: Read,
    /// Places that have not been read yet.
    pub(super) left: Rc<RefCell<usize>>,
}

/// Lets a place be read: `take` makes of the tensor that the pass goes on with what is kept. After the last place, `end` ends the pass.
pub(super) fn read_at(
    actions: &mut Actions,
    place: Place,
    into: &Read,
    left: &Rc<RefCell<usize>>,
    end: bool,
    mut take: impl FnMut(&Tensor) -> Result<Tensor, BenchError> + 'static,
) {
    *left.borrow_mut() += 1;
    let (into, left) = (Rc::clone(into), Rc::clone(left));
    actions.add(place, move |value| {
        let taken = take(value).map_err(refused)?;
        into.borrow_mut().insert(place, taken);
        *left.borrow_mut() -= 1;
        if end && *left.borrow() == 0 { Err(Box::new(Enough)) } else { Ok(None) }
    });
}
