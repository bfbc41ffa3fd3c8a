//! Which weights stay in memory, and which are made again for each pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use fmrai_torch::give_back_freed_pages;
use fmrai_torch::model::ModelError;
use tch::{Device, Kind, Tensor};

use super::memory;
use super::on_demand::{OnDemand, WeightSource};
use crate::convert::OfModel;
use crate::options::Options;

/// Of the memory that is free when a model is loaded, so many of so many parts are for its weights.
const SHARE: (u64, u64) = (2, 3);

/// So many bytes of weights are given up before their memory goes back to the system.
const GIVE_BACK: u64 = 256 << 20;

/// The weights of a network while it is loaded, each where it will be.
pub(crate) struct Placing<'a> {
    kind: Kind,
    device: Device,
    /// Module paths of the parts whose weights are made for each pass.
    remade: Vec<&'a str>,
    placed: Placed,
    given_up: u64,
}

/// The weights of a network, each in its place.
pub(crate) struct Placed {
    /// By name in the network.
    pub(crate) weights: BTreeMap<String, Tensor>,
    /// Those among them that are made for each pass.
    pub(crate) on_demand: OnDemand,
    /// How many bytes these are.
    pub(crate) remade_bytes: u64,
}

impl<'a> Placing<'a> {
    /// Places for weights of these names and shapes. `parts` are module paths of what may be made for each pass, those first that should rather
    /// stay: all weights that are there at a time are at most as many bytes as `options` allow, where the largest part and what is in none let them.
    pub(crate) fn new(shapes: &BTreeMap<String, Vec<i64>>, parts: &'a [String], options: &Options) -> Self {
        let (kind, device) = (options.dtype.kind(), options.device);
        let remade = remade(shapes, parts, kind, budget(options));
        let placed = Placed { weights: BTreeMap::new(), on_demand: OnDemand::default(), remade_bytes: 0 };
        Self { kind, device, remade, placed, given_up: 0 }
    }

    /// The part that a weight is made with for each pass; `None` for one that stays.
    fn part(&self, name: &str, shape: &[i64]) -> Option<&'a str> {
        self.remade.iter().find(|part| moves(name, shape, part)).copied()
    }

    /// True for a weight that stays in memory.
    pub(crate) fn stays(&self, name: &str, shape: &[i64]) -> bool {
        self.part(name, shape).is_none()
    }

    /// Takes a weight that was made: it stays, or is given up until a pass needs it.
    ///
    /// # Errors
    /// What libtorch reports.
    pub(crate) fn put(&mut self, name: &str, weight: Tensor) -> Result<(), ModelError> {
        let shape = weight.size();
        if !self.stays(name, &shape) {
            drop(weight);
            self.given_up += bytes(&shape, self.kind);
            if self.given_up > GIVE_BACK {
                give_back_freed_pages();
                self.given_up = 0;
            }
            return self.leave(name, &shape);
        }
        let weight = weight.f_to_device(self.device).of_model()?;
        self.placed.weights.insert(name.to_owned(), weight);
        Ok(())
    }

    /// Takes note of a weight that does not stay, and was not made yet.
    ///
    /// # Errors
    /// What libtorch reports.
    pub(crate) fn leave(&mut self, name: &str, shape: &[i64]) -> Result<(), ModelError> {
        let Some(part) = self.part(name, shape) else { return Ok(()) };
        let placed = &mut self.placed;
        let weight = placed.on_demand.add(part, name, shape, self.kind, self.device).of_model()?;
        placed.remade_bytes += bytes(shape, self.kind);
        placed.weights.insert(name.to_owned(), weight);
        Ok(())
    }

    /// All weights, of which `source` makes those again that did not stay.
    pub(crate) fn finish(self, source: Arc<dyn WeightSource>) -> Placed {
        let Placed { weights, on_demand, remade_bytes } = self.placed;
        Placed { weights, on_demand: on_demand.made_by(source), remade_bytes }
    }
}

/// Most bytes that weights may take at a time.
fn budget(options: &Options) -> u64 {
    if options.device != Device::Cpu {
        return options.weight_bytes.unwrap_or(u64::MAX);
    }
    let free = || memory::free().map(|free| free / SHARE.1 * SHARE.0);
    let own = options.weight_bytes.or_else(free).unwrap_or(u64::MAX);
    own.min(options.most_weight_bytes.unwrap_or(u64::MAX))
}

/// The parts whose weights are made for each pass, so that all weights that are there at a time are at most `budget` bytes.
fn remade<'a>(
    shapes: &BTreeMap<String, Vec<i64>>,
    parts: &'a [String],
    kind: Kind,
    budget: u64,
) -> Vec<&'a str> {
    let of_part = |part: &str| {
        let own = shapes.iter().filter(|(name, shape)| moves(name, shape, part));
        own.map(|(_, shape)| bytes(shape, kind)).sum::<u64>()
    };
    let all: u64 = shapes.values().map(|shape| bytes(shape, kind)).sum();
    if all <= budget {
        return Vec::new();
    }
    let parts: Vec<(&str, u64)> = parts.iter().map(|part| (part.as_str(), of_part(part))).collect();
    let in_parts: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    let largest = parts.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let mut room = budget.saturating_sub(all - in_parts).saturating_sub(largest);
    let mut remade = Vec::new();
    for (part, bytes) in parts {
        if bytes <= room {
            room -= bytes;
        } else {
            remade.push(part);
        }
    }
    remade
}

/// True for a weight of the module at `path`, or of one inside of it, that may be given up between passes: vectors are not worth it.
fn moves(name: &str, shape: &[i64], path: &str) -> bool {
    shape.len() > 1 && name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
}

/// Bytes of a weight in memory.
pub(super) fn bytes(shape: &[i64], kind: Kind) -> u64 {
    let elements: u64 = shape.iter().map(|n| u64::try_from(*n).unwrap_or(0)).product();
    elements * if kind == Kind::Float { 4 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> BTreeMap<String, Vec<i64>> {
        let named = [
            ("embed.weight", vec![10, 10]),
            ("layers.0.w", vec![10, 20]),
            ("layers.0.norm", vec![10]),
            ("layers.1.w", vec![10, 20]),
            ("layers.10.w", vec![10, 20]),
            ("norm", vec![5]),
        ];
        named.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()
    }

    /// In float32: 400 bytes of embedding, 800 of each layer, 60 of vectors, so 2860 in all.
    #[test]
    fn the_first_parts_stay_that_there_is_room_for_beside_the_largest() {
        let parts = ["embed", "layers.0", "layers.1", "layers.10"].map(str::to_owned);
        let remade = |budget| remade(&shapes(), &parts, Kind::Float, budget);
        let layers = ["layers.0", "layers.1", "layers.10"];
        assert_eq!(remade(2860), [""; 0]);
        assert_eq!(remade(2859), ["layers.1", "layers.10"][..]);
        assert_eq!(remade(60 + 800 + 400 + 800), ["layers.1", "layers.10"]);
        assert_eq!(remade(60 + 800 + 400 + 799), layers);
        assert_eq!(remade(60 + 800 + 399), ["embed", "layers.0", "layers.1", "layers.10"]);
        assert_eq!(remade(0).len(), 4);
    }
}
