//! `fmrai plugin`: makes plugins and tries them.

pub(crate) mod check;
mod decoder;
pub(crate) mod new;
mod recording;
pub(crate) mod trial;
