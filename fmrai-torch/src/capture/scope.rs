//! Module paths of native models.

use std::marker::PhantomData;

use crate::ffi::scopes;

/// Leaves the module when dropped. Bind it to a name: `let _scope = scope("encoder");`.
#[derive(Debug)]
#[must_use = "the module ends where the scope is dropped"]
pub struct Scope {
    depth: usize,
    // Scopes belong to their thread.
    thread: PhantomData<*const ()>,
}

/// Enters a module: what runs on this thread until the returned [`Scope`] is dropped is recorded as part of it.
///
/// Nested scopes are joined with dots, so `scope("encoder")` around `scope("layer.0")` gives `encoder.layer.0`.
/// Costs a few nanoseconds while nothing is tracked.
pub fn scope(name: impl AsRef<str>) -> Scope {
    Scope { depth: scopes::push_scope(name.as_ref()), thread: PhantomData }
}

impl Drop for Scope {
    fn drop(&mut self) {
        scopes::truncate_scopes(self.depth);
    }
}
