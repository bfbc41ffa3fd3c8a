//! Transformers written in tch: the networks, and what they need of a file of weights, whatever its format.

mod activation;
pub(crate) mod decoder;
pub(crate) mod encoder;
mod fields;
mod inputs;
mod loaded;
mod memory;
mod modules;
mod needs;
mod on_demand;
mod placing;

pub(crate) use fields::{Fields, MAX_SIZE};
pub(crate) use loaded::{Loaded, count};
pub(crate) use needs::Needs;
pub(crate) use on_demand::WeightSource;
pub(crate) use placing::{Placed, Placing};
