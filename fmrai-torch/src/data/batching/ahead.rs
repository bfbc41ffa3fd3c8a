//! The window after this one, made while the model runs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::group::Grouping;
use super::windows::{Read, Window, Windows};
use crate::data::DataError;
use crate::data::records::Records;

/// The windows come back with what they gave, also where they panicked.
type Made<R, G> = (Windows<R, G>, thread::Result<Result<Window, DataError>>);

/// Windows, of which the next may be made by other threads.
pub(super) struct Ahead<R, G> {
    /// `None` while others have them.
    here: Option<Windows<R, G>>,
    made: Option<Receiver<Made<R, G>>>,
    /// As many threads as for all else; made when they are first needed.
    threads: Option<ThreadPool>,
}

impl<R: Records + 'static, G: Grouping + 'static> Ahead<R, G> {
    pub(super) fn new(windows: Windows<R, G>) -> Self {
        Self { here: Some(windows), made: None, threads: None }
    }

    /// The next window; see [`Windows::next`].
    pub(super) fn next(&mut self, lenient: bool) -> Result<Window, DataError> {
        if let Some(Ok((windows, window))) = self.made.take().map(|made| made.recv()) {
            self.here = Some(windows);
            return window.unwrap_or_else(|panic| resume_unwind(panic));
        }
        match &mut self.here {
            Some(windows) => windows.next(lenient),
            None => Err(DataError::Unsuitable("the thread that read the data is gone".to_owned())),
        }
    }

    /// Begins with the next window, unless that has begun. Where there is one thread for all, nothing is done beside it.
    pub(super) fn begin(&mut self, lenient: bool) {
        let count = rayon::current_num_threads();
        if count < 2 || self.made.is_some() {
            return;
        }
        if self.threads.is_none() {
            let named = ThreadPoolBuilder::new().num_threads(count).thread_name(|_| "data".to_owned());
            self.threads = named.build().ok();
        }
        let Some(threads) = &self.threads else { return };
        let Some(mut windows) = self.here.take() else { return };
        let (send, made) = channel();
        threads.spawn(move || {
            let window = catch_unwind(AssertUnwindSafe(|| windows.next(lenient)));
            let _ = send.send((windows, window)); // nobody may want it any more
        });
        self.made = Some(made);
    }

    /// Passes over a window, unless it has begun; see [`Windows::pass_over`].
    pub(super) fn pass_over(&mut self, lenient: bool) -> Option<Result<(u64, Read), DataError>> {
        self.here.as_mut().map(|windows| windows.pass_over(lenient))
    }
}
