//! The boundary to the C++ in `shim/`: safe functions around its calls.
#![expect(unsafe_code, reason = "calls into C++; every block says why it is sound")]

pub(crate) mod autocast;
pub(crate) mod call;
pub(crate) mod clean;
pub(crate) mod gradients;
mod handover;
pub(crate) mod lines;
mod message;
pub(crate) mod meter;
pub(crate) mod plain;
pub(crate) mod scopes;
pub(crate) mod script;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod tensor;
pub(crate) mod undo;
