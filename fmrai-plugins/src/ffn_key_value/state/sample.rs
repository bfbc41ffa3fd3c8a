//! The streams at the positions that were drawn.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{State, StateError};

use super::parts::{broken, rows};
use crate::ffn_key_value::sample::{Drawn, PARTS, Sample};

impl Sample {
    /// Puts everything into a state.
    pub(in crate::ffn_key_value) fn write(&self, state: &mut State) -> Result<(), StateError> {
        // Hashes and ids are any 64 bits.
        let keys =
            self.at.keys().flat_map(|(hash, text, token)| [*hash as i64, *text as i64, i64::from(*token)]);
        let width = (self.layers.len() * PARTS + 1) * self.channels;
        let vectors: Vec<f32> = self.at.values().flat_map(|drawn| &drawn.vectors).copied().collect();
        let tops: Vec<i64> = self.at.values().map(|drawn| drawn.top.map_or(-1, i64::from)).collect();
        let logits: Vec<f32> = self.at.values().flat_map(|drawn| &drawn.logits).copied().collect();
        let count = self.at.len();
        state.put("sample.keys", [count, 3], keys.collect())?;
        state.put("sample.vectors", [count, width], vectors)?;
        state.put_number("sample.channels", self.channels as u64)?;
        state.put("sample.tops", [count], tops)?;
        state.put("sample.logits", [count, self.kept_logits()], logits)
    }

    /// What a state holds; nothing is taken in yet.
    pub(in crate::ffn_key_value) fn read(&self, state: &State) -> Result<Self, StateError> {
        let channels: u64 = state.number("sample.channels")?;
        let too_many = |_| broken("sample.channels", "too large", "a count");
        let channels = usize::try_from(channels).map_err(too_many)?;
        if channels != 0 && self.channels != 0 && channels != self.channels {
            return Err(broken("sample.channels", &channels.to_string(), &self.channels.to_string()));
        }
        let count = rows(state, "sample.keys");
        let keys: Vec<i64> = state.get("sample.keys", &[count, 3])?;
        if channels == 0 && count > 0 {
            return Err(broken("sample.channels", "0", "those of the positions that were drawn"));
        }
        let numbers = |name: &str, shape: &[usize]| {
            let numbers: Vec<f32> = state.get(name, shape)?;
            let finite = numbers.iter().all(|x| x.is_finite());
            if finite { Ok(numbers) } else { Err(broken(name, "not finite float32", "finite float32")) }
        };
        let width = channels.saturating_mul(self.layers.len() * PARTS + 1);
        let vectors = numbers("sample.vectors", &[count, width])?;
        let kept = self.kept_logits();
        let logits = numbers("sample.logits", &[count, kept])?;
        let tops: Vec<i64> = state.get("sample.tops", &[count])?;
        let mut at = BTreeMap::new();
        for (i, (&[hash, text, token], top)) in keys.as_chunks::<3>().0.iter().zip(tops).enumerate() {
            let token =
                u32::try_from(token).map_err(|_| broken("sample.keys", "no position", "positions"))?;
            let top = u32::try_from(top).ok();
            let known = self.logits.map(|(_, tokens)| tokens);
            if top.map(|top| known.is_some_and(|tokens| (top as usize) < tokens)) != known.map(|_| true) {
                return Err(broken("sample.tops", "other tokens", "tokens of the vocabulary"));
            }
            let drawn = Drawn {
                vectors: vectors[i * width..(i + 1) * width].to_vec(),
                top,
                logits: logits[i * kept..(i + 1) * kept].to_vec(),
            };
            at.insert((hash as u64, text as u64, token), drawn);
        }
        Ok(self.holding(at, channels))
    }
}
