//! Lines of source of code in other languages, such as Python.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::ffi::lines::{Teller, tell};

/// Ends the telling when dropped, and lets tell who did before. Bind it to a name.
#[must_use = "nothing is told after it is dropped"]
pub struct Lines {
    before: Option<Teller>,
    // Lines belong to their thread.
    thread: PhantomData<*const ()>,
}

/// Has `teller` say, for each operation that runs on this thread until the returned [`Lines`] is dropped, in which line of source it is
/// called, as `file:line in function: text`. What it gives becomes [`Operation::source`](fmrai_core::graph::Operation::source) where
/// operations are recorded. It is called before the operation runs, and must not run any itself.
///
/// It is asked for every operation that is seen, whether recorded or compared: use it around passes that are recorded.
pub fn lines(teller: impl Fn() -> String + 'static) -> Lines {
    Lines { before: tell(Some(Rc::new(teller))), thread: PhantomData }
}

impl Drop for Lines {
    fn drop(&mut self) {
        tell(self.before.take());
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}
