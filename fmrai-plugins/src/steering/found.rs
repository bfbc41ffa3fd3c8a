//! What was found of the data, as a state that adds up.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::tensor::TensorValue;
use serde_json::json;

use super::directions::Directions;
use crate::sites::Moments;

/// Name of the state.
const NAME: &str = "steering";

/// What was found of the data.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    /// Which sweep through the data it is.
    pub(super) sweep: usize,
    /// Sums over pairs of clean less corrupted `[stream, channel]`; empty before anything was seen.
    pub(super) sums: Vec<Vec<f64>>,
    /// The pairs of these.
    pub(super) summed: f64,
    /// The directions that are added, once they are known.
    pub(super) directions: Option<Directions>,
    pub(super) clean: Moments,
    pub(super) corrupted: Moments,
    /// The metric of steered corrupted texts, and how much it changed, `[layer, strength]`.
    pub(super) effect: Vec<Moments>,
    pub(super) changed: Vec<Moments>,
    /// The metric of clean texts without the direction, and how much it changed, `[layer]`.
    pub(super) ablated: Vec<Moments>,
    pub(super) lost: Vec<Moments>,
}

fn wrong(part: &str, found: &str, needed: &str) -> StateError {
    StateError::Part { part: part.to_owned(), found: found.to_owned(), needed: needed.to_owned() }
}

impl Found {
    pub(super) fn new(layers: usize, strengths: usize, directions: Option<Directions>) -> Self {
        let none = |count: usize| vec![Moments::default(); count];
        Self {
            directions,
            effect: none(layers * strengths),
            changed: none(layers * strengths),
            ablated: none(layers),
            lost: none(layers),
            ..Self::default()
        }
    }

    /// The mean over pairs of clean less corrupted, `[stream, channel]`.
    pub(super) fn mean(&self) -> Result<Directions, AnalyzerError> {
        let channels = self.sums.first().map_or(0, Vec::len);
        let means: Vec<f64> = self.sums.iter().flatten().map(|sum| sum / self.summed).collect();
        let value = TensorValue::new([self.sums.len(), channels], means.into())?;
        Directions::of(&value)
            .map_err(|what| AnalyzerError::Other(format!("the mean difference of the pairs {what}")))
    }

    /// Adds sums over pairs.
    pub(super) fn sum(&mut self, sums: &[Vec<f64>], pairs: f64) -> Result<(), AnalyzerError> {
        if self.sums.is_empty() {
            self.sums = sums.to_vec();
        } else if self.sums.iter().map(Vec::len).eq(sums.iter().map(Vec::len)) {
            for (own, other) in self.sums.iter_mut().zip(sums) {
                own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
            }
        } else {
            return Err(AnalyzerError::Unsuitable {
                found: "streams with another number of channels than before".to_owned(),
                needed: "the same number in every batch".to_owned(),
            });
        }
        self.summed += pairs;
        Ok(())
    }

    fn moments(&self) -> Vec<Moments> {
        let Self { clean, corrupted, effect, changed, ablated, lost, .. } = self;
        [*clean, *corrupted].iter().chain(effect).chain(changed).chain(ablated).chain(lost).copied().collect()
    }

    fn moments_mut(&mut self) -> impl Iterator<Item = &mut Moments> {
        let Self { clean, corrupted, effect, changed, ablated, lost, .. } = self;
        [clean, corrupted].into_iter().chain(effect).chain(changed).chain(ablated).chain(lost)
    }

    pub(super) fn state(&self) -> Result<State, StateError> {
        let channels = self.sums.first().map_or(0, Vec::len);
        let document = json!({ "sweep": self.sweep, "places": self.sums.len(), "channels": channels });
        let mut state = State::new(NAME, 1, document);
        state.put("sums", [self.sums.len(), channels], self.sums.concat())?;
        state.put_number("summed", self.summed)?;
        if let Some(directions) = &self.directions {
            let value = directions.value();
            let elements = value.f64().map_err(|error| StateError::Bytes(error.to_string()))?.to_vec();
            state.put("directions", value.shape(), elements)?;
        }
        let moments = self.moments();
        let numbers = moments.iter().flat_map(Moments::numbers).collect();
        state.put::<f64>("moments", [moments.len(), 3], numbers)?;
        Ok(state)
    }

    /// That of a state; `like` has the sizes.
    pub(super) fn of(state: &State, like: &Self) -> Result<Self, StateError> {
        state.expect(NAME, 1)?;
        let size = |name: &str| {
            let found = &state.document[name];
            let size = found.as_u64().and_then(|size| usize::try_from(size).ok());
            size.ok_or_else(|| wrong(name, &found.to_string(), "a count"))
        };
        let (sweep, places, channels) = (size("sweep")?, size("places")?, size("channels")?);
        let sums = state.get::<f64>("sums", &[places, channels])?;
        let directions = match state.tensors.get("directions") {
            Some(value) => {
                Some(Directions::of(value).map_err(|what| wrong("directions", &what, "directions"))?)
            }
            None => None,
        };
        let mut found = like.clone();
        let count = found.moments().len();
        let numbers = state.get::<f64>("moments", &[count, 3])?;
        for (moments, n) in found.moments_mut().zip(numbers.chunks_exact(3)) {
            *moments = Moments::of([n[0], n[1], n[2]]);
        }
        let sums = sums.chunks(channels.max(1)).map(<[f64]>::to_vec).collect();
        Ok(Self { sweep, sums, summed: state.number("summed")?, directions, ..found })
    }

    /// True if nothing was seen.
    fn is_fresh(&self) -> bool {
        self.sweep == 0 && self.sums.is_empty() && self.clean.count == 0.0
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), AnalyzerError> {
        // What is given by a file is known from the start.
        let same_start = self.sweep == other.sweep && self.directions == other.directions;
        if other.is_fresh() && (other.directions.is_none() || same_start) {
            return Ok(());
        }
        if self.is_fresh() && (self.directions.is_none() || same_start) {
            self.clone_from(other);
            return Ok(());
        }
        if !same_start {
            return Err(wrong("directions", "another one", "the one that this state was found with").into());
        }
        if self.sweep == 0 && !other.sums.is_empty() {
            self.sum(&other.sums, other.summed)?;
        }
        self.moments_mut().zip(other.moments()).for_each(|(own, other)| own.merge(&other));
        Ok(())
    }
}
