//! Module paths of native models.

// Declared as in `shim/api.h`.
unsafe extern "C" {
    fn fmrai_scope_push(name: *const u8, length: usize) -> usize;
    fn fmrai_scope_truncate(depth: usize);
}

pub(crate) fn push_scope(name: &str) -> usize {
    // SAFETY: the name is copied during the call.
    unsafe { fmrai_scope_push(name.as_ptr(), name.len()) }
}

pub(crate) fn truncate_scopes(depth: usize) {
    // SAFETY: takes a number; any value is fine.
    unsafe { fmrai_scope_truncate(depth) }
}
