//! A limit of time: code that does not come back cannot be stopped in this process, so it ends it.

use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Exit;
use crate::{calls, terminal};

/// The limit of a plan, shared by all that it holds for; without one nothing is watched.
#[derive(Clone, Default)]
pub(super) struct Limit(Option<Arc<Owner>>);

/// Ends the watching with the last that is watched.
struct Owner(Arc<Watch>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.changed.notify_all();
    }
}

struct Watch {
    limit: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What has to be done by when: a batch, or a call outside of batches.
    step: Option<(String, Instant)>,
    /// The call that runs, within a batch or outside.
    call: Option<String>,
    /// The run is over.
    over: bool,
}

/// Something that is being watched, until this is dropped.
pub(super) struct Limited(Option<Part>);

/// What ends with a [`Limited`].
enum Part {
    Step(Arc<Watch>),
    Call(Arc<Watch>),
}

impl Limit {
    /// Watches that no step takes longer than so many seconds.
    ///
    /// # Errors
    /// What the system says if there can be no thread for it.
    pub(super) fn new(seconds: Option<u64>) -> std::io::Result<Self> {
        let Some(seconds) = seconds else { return Ok(Self(None)) };
        let watch = Arc::new(Watch {
            limit: Duration::from_secs(seconds),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watching = Arc::clone(&watch);
        std::thread::Builder::new().name("limit".to_owned()).spawn(move || watching.wait())?;
        Ok(Self(Some(Arc::new(Owner(watch)))))
    }

    /// Batch number `index` begins, with all that is done with it.
    pub(super) fn batch(&self, index: u64) -> Limited {
        let Some(watch) = self.watch() else { return Limited(None) };
        watch.begin(format!("batch {index}"));
        Limited(Some(Part::Step(Arc::clone(watch))))
    }

    /// A call begins: the `stage` of `who`. Outside of batches it is a step of its own.
    pub(super) fn call(&self, stage: &str, who: &str) -> Limited {
        let Some(watch) = self.watch() else { return Limited(None) };
        let what = format!("{stage} of {who}");
        let alone = {
            let mut state = watch.state();
            state.call = Some(what);
            state.step.is_none()
        };
        if alone {
            watch.begin(String::new());
        }
        Limited(Some(if alone { Part::Step(Arc::clone(watch)) } else { Part::Call(Arc::clone(watch)) }))
    }

    fn watch(&self) -> Option<&Arc<Watch>> {
        self.0.as_ref().map(|owner| &owner.0)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        match self.0.take() {
            Some(Part::Step(watch)) => {
                let mut state = watch.state();
                state.step = None;
                state.call = None;
                watch.changed.notify_all();
            }
            Some(Part::Call(watch)) => watch.state().call = None,
            None => {}
        }
    }
}

impl Watch {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, step: String) {
        // What no clock can tell never comes.
        self.state().step = Instant::now().checked_add(self.limit).map(|end| (step, end));
        self.changed.notify_all();
    }

    /// Waits until a step is late, which ends the process, or the run is over.
    fn wait(&self) {
        let mut state = self.state();
        while !state.over {
            let left = state.step.as_ref().map(|(_, end)| end.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if !state.over {
            end(&late(&state, self.limit));
        }
    }
}

/// What is said of a step that is late.
fn late(state: &State, limit: Duration) -> String {
    let mut text = "error: ".to_owned();
    if let Some((step, _)) = state.step.as_ref().filter(|(step, _)| !step.is_empty()) {
        let _ = write!(text, "{step}: ");
    }
    let seconds = limit.as_secs();
    let what = state.call.as_deref().unwrap_or("the model's pass, with what is written of it,");
    let _ = write!(
        text,
        "{what} has not come back within {seconds} seconds (batch_seconds); the run ends, --resume goes on from its last \
         checkpoint"
    );
    text
}

/// Ends the process at once: destructors would run beside the code that does not come back.
fn end(message: &str) {
    terminal::note(message);
    calls::done(Exit::Internal as i32);
    #[cfg(unix)]
    signal_hook::low_level::exit(Exit::Internal as i32);
    #[cfg(not(unix))]
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_a_batch_share_its_time_and_others_have_their_own() {
        let limit = Limit::new(Some(3600)).unwrap();
        let watch = Arc::clone(limit.watch().unwrap());
        let prepare = limit.call("prepare", "the analysis \"a\"");
        assert!(
            late(&watch.state(), watch.limit).starts_with("error: prepare of the analysis \"a\" has not")
        );
        drop(prepare);
        assert!(watch.state().step.is_none());
        let batch = limit.batch(3);
        let end = watch.state().step.clone();
        assert!(late(&watch.state(), watch.limit).starts_with("error: batch 3: the model's pass"));
        let call = limit.call("track_batch", "x");
        assert_eq!(watch.state().step, end, "the batch's time goes on");
        assert!(
            late(&watch.state(), watch.limit)
                .contains("batch 3: track_batch of x has not come back within 3600")
        );
        drop(call);
        assert!(watch.state().step.is_some() && watch.state().call.is_none());
        drop(batch);
        assert!(watch.state().step.is_none());
        drop(limit);
        assert!(watch.state().over, "nobody watches any more");
        let endless = Limit::new(Some(u64::MAX)).unwrap();
        let _batch = endless.batch(0);
    }
}
