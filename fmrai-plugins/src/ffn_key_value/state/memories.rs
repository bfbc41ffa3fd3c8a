//! What is counted of the neurons.

use fmrai_core::analyzer::{State, StateError};
use serde_json::{Value, json};

use super::lists::{self, StoredLists};
use super::parts::{broken, rows, token};
use super::texts;
use crate::ffn_key_value::memories::Memories;
use crate::ffn_key_value::moments::Moments;
use crate::ffn_key_value::sign::Sign;
use crate::ffn_key_value::texts::Text;
use crate::finite::finite;

/// Puts everything into a state.
pub(in crate::ffn_key_value) fn write(memories: &Memories, state: &mut State) -> Result<(), StateError> {
    let all = memories.shards.iter().map(|s| s.width).sum::<usize>();
    let moments = |of: fn(&Moments) -> &Vec<f64>| -> Vec<f64> {
        memories.shards.iter().flat_map(|s| of(&s.moments)).copied().collect()
    };
    state.put("mean", [all], moments(|m| &m.mean))?;
    state.put("m2", [all], moments(|m| &m.m2))?;
    state.put("m3", [all], moments(|m| &m.m3))?;
    let active: Vec<u64> = memories.shards.iter().flat_map(|s| &s.moments.active).copied().collect();
    state.put("active", [all], active)?;
    state.put("positions", [memories.positions.len()], memories.positions.clone())?;
    for sign in Sign::BOTH {
        lists::write(memories, sign, state)?;
    }
    texts::write(memories, state)?;
    let next: Vec<u64> = memories.next_tokens.iter().flat_map(|(&t, &n)| [u64::from(t), n]).collect();
    state.put("next_tokens", [next.len() / 2, 2], next)?;
    if let Value::Object(document) = &mut state.document {
        document.insert("seen".to_owned(), json!(memories.seen));
    }
    Ok(())
}

/// Takes a state in; nothing of it if it has an error.
pub(in crate::ffn_key_value) fn merge(memories: &mut Memories, state: &State) -> Result<(), StateError> {
    let stored = Stored::read(memories, state)?;
    let mut first = 0;
    for shard in &mut memories.shards {
        let ours = memories.positions.get(shard.layer).copied().unwrap_or(0);
        let theirs = stored.positions.get(shard.layer).copied().unwrap_or(0);
        let part = |all: &[f64]| all[first..first + shard.width].to_vec();
        let other = Moments {
            mean: part(&stored.moments.mean),
            m2: part(&stored.moments.m2),
            m3: part(&stored.moments.m3),
            active: stored.moments.active[first..first + shard.width].to_vec(),
        };
        shard.moments.merge(ours, &other, theirs);
        for neuron in 0..shard.width {
            stored.positive.offer(first + neuron, &mut shard.positive, neuron);
            if let Some(negative) = &mut shard.negative {
                stored.negative.offer(first + neuron, negative, neuron);
            }
        }
        first += shard.width;
    }
    for (ours, theirs) in memories.positions.iter_mut().zip(&stored.positions) {
        *ours = ours.saturating_add(*theirs);
    }
    for (id, text) in stored.texts {
        memories.texts.insert(id, text);
    }
    for (token, count) in stored.next_tokens {
        let all = memories.next_tokens.entry(token).or_default();
        *all = all.saturating_add(count);
    }
    memories.seen = memories.seen.saturating_add(stored.seen);
    memories.drop_unnamed();
    Ok(())
}

/// A state whose parts fit each other and the model.
struct Stored {
    moments: Moments,
    positions: Vec<u64>,
    positive: StoredLists,
    negative: StoredLists,
    texts: Vec<(u64, Text)>,
    next_tokens: Vec<(u32, u64)>,
    seen: u64,
}

impl Stored {
    fn read(memories: &Memories, state: &State) -> Result<Self, StateError> {
        let all = memories.shards.iter().map(|s| s.width).sum();
        let moments = Moments {
            mean: finite(state, "mean", &[all])?,
            m2: finite(state, "m2", &[all])?,
            m3: finite(state, "m3", &[all])?,
            active: state.get("active", &[all])?,
        };
        let positions: Vec<u64> = state.get("positions", &[memories.positions.len()])?;
        let of_neurons =
            memories.neurons().map(|(shard, _)| positions.get(shard.layer).copied().unwrap_or(0));
        if moments.active.iter().zip(of_neurons).any(|(active, positions)| *active > positions) {
            return Err(broken("active", "more than there are positions", "counts"));
        }
        let next: Vec<u64> = state.get("next_tokens", &[rows(state, "next_tokens"), 2])?;
        let (pairs, _) = next.as_chunks::<2>();
        let seen = &state.document["seen"];
        Ok(Self {
            moments,
            positions,
            positive: StoredLists::read(state, Sign::Positive, all, memories.contexts)?,
            negative: StoredLists::read(state, Sign::Negative, all, memories.contexts)?,
            texts: texts::read(state)?,
            next_tokens: pairs
                .iter()
                .map(|&[id, n]| Ok((token(id)?, n)))
                .collect::<Result<_, StateError>>()?,
            seen: seen.as_u64().ok_or_else(|| broken("seen", &seen.to_string(), "a count"))?,
        })
    }
}
