//! `fmrai plugin`: makes plugins and tries them.

pub(crate) mod check;
pub(crate) mod new;
mod recording;
pub(crate) mod trial;
