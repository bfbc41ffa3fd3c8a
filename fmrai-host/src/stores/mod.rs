//! The stores that analyses have left: where they are, and what they answer.

mod answer;
mod cell;
mod json;
mod limits;
mod open;
mod places;

pub(crate) use answer::{Answered, answer, defaults};
pub(crate) use json::{document, section};
pub(crate) use open::OpenStore;
pub(crate) use places::stores;
