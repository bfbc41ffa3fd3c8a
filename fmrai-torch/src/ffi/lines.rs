//! Lines of source of programs in other languages.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::message::Sink;

/// As `fmrai_tell_line`.
type TellLine = extern "C" fn(sink: Sink, context: *mut c_void);

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_lines(tell: Option<TellLine>);
}

/// Says in which line the thread is; empty where that is not known.
pub(crate) type Teller = Rc<dyn Fn() -> String>;

thread_local! {
    static TELLER: RefCell<Option<Teller>> = const { RefCell::new(None) };
}

/// Lets it tell the lines of this thread from now on; gives who has told them before.
pub(crate) fn tell(teller: Option<Teller>) -> Option<Teller> {
    let known = teller.is_some();
    // A thread that ends has nobody to tell anything any more.
    let before = TELLER.try_with(|now| now.replace(teller)).unwrap_or_default();
    // SAFETY: the function stays where it is as long as the process runs.
    unsafe { fmrai_lines(known.then_some(line as TellLine)) };
    before
}

extern "C" fn line(sink: Sink, context: *mut c_void) {
    let teller = TELLER.try_with(|now| now.borrow().clone()).ok().flatten();
    let Some(teller) = teller else { return };
    // A line is not worth a pass.
    let text = catch_unwind(AssertUnwindSafe(|| teller())).unwrap_or_default();
    sink(context, text.as_ptr(), text.len());
}
