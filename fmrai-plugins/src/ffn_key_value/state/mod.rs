//! The stored form of what was absorbed.

mod lists;
mod memories;
mod parts;
mod sample;
mod texts;
mod windows;

pub(super) use memories::{merge, write};
