//! The texts that triggers name.

use std::sync::Arc;

use fmrai_core::analyzer::{State, StateError};

use super::parts::{broken, ends, rows, token};
use crate::ffn_key_value::memories::Memories;
use crate::ffn_key_value::texts::Text;

/// Puts them into a state.
pub(super) fn write(memories: &Memories, state: &mut State) -> Result<(), StateError> {
    let named = memories.named();
    let texts: Vec<_> = memories.texts.iter().filter(|(id, _)| named.binary_search(id).is_ok()).collect();
    let count = texts.len();
    state.put("texts.ids", [count], texts.iter().map(|(id, _)| *id).collect())?;
    let lengths: Vec<u64> = texts.iter().map(|(_, t)| t.tokens.len() as u64).collect();
    state.put("texts.lengths", [count], lengths)?;
    let tokens: Vec<i64> = texts.iter().flat_map(|(_, t)| &t.tokens).map(|&t| i64::from(t)).collect();
    state.put("texts.tokens", [tokens.len()], tokens)?;
    let ends: Vec<i64> = texts.iter().flat_map(|(_, t)| &t.ends).map(|&e| i64::from(e)).collect();
    state.put("texts.ends", [ends.len()], ends)?;
    let strings = || texts.iter().map(|(_, t)| t.text.as_deref());
    let sizes: Vec<i64> = strings().map(|s| s.map_or(-1, |s| s.len() as i64)).collect();
    state.put("texts.sizes", [count], sizes)?;
    let bytes: Vec<u8> = strings().flatten().flat_map(str::bytes).collect();
    state.put("texts.bytes", [bytes.len().div_ceil(PACKED)], packed(&bytes))
}

/// The texts of a state with their ids.
pub(super) fn read(state: &State) -> Result<Vec<(u64, Text)>, StateError> {
    let ids: Vec<u64> = state.get("texts.ids", &[rows(state, "texts.ids")])?;
    let ends = ends(state.get("texts.lengths", &[ids.len()])?, "texts.lengths")?;
    let tokens: Vec<u64> = state.get("texts.tokens", &[ends.last().copied().unwrap_or(0)])?;
    let tokens = tokens.into_iter().map(token).collect::<Result<Vec<_>, _>>()?;
    let string_ends: Vec<u64> = state.get("texts.ends", &[rows(state, "texts.ends")])?;
    let string_ends = string_ends.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut string_ends = string_ends.into_iter();
    let strings = strings(state, ids.len())?;
    let mut texts = Vec::with_capacity(ids.len());
    let mut start = 0;
    for ((id, end), text) in ids.into_iter().zip(ends).zip(strings) {
        let tokens = tokens.get(start..end).unwrap_or_default().to_vec();
        let ends =
            if text.is_some() { string_ends.by_ref().take(tokens.len()).collect() } else { Vec::new() };
        if text.is_some() && ends.len() != tokens.len() {
            return Err(broken("texts.ends", "too few", "one for each token of a text"));
        }
        texts.push((id, Text { text, tokens, ends }));
        start = end;
    }
    if string_ends.next().is_some() {
        return Err(broken("texts.ends", "too many", "one for each token of a text"));
    }
    Ok(texts)
}

/// Bytes in a number. Texts are kept in a tensor: they may be more than the header of a state's file can hold.
const PACKED: usize = size_of::<i64>();

fn packed(bytes: &[u8]) -> Vec<i64> {
    let number = |chunk: &[u8]| {
        let mut all = [0; PACKED];
        all.iter_mut().zip(chunk).for_each(|(a, b)| *a = *b);
        i64::from_le_bytes(all)
    };
    bytes.chunks(PACKED).map(number).collect()
}

/// The strings of the texts, `None` where a text has none.
fn strings(state: &State, count: usize) -> Result<Vec<Option<Arc<str>>>, StateError> {
    let wrong = |found: &str| broken("texts.bytes", found, "the texts that texts.sizes describes");
    let sizes: Vec<i64> = state.get("texts.sizes", &[count])?;
    let numbers: Vec<i64> = state.get("texts.bytes", &[rows(state, "texts.bytes")])?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut start = 0_usize;
    let mut all = Vec::with_capacity(count);
    for size in sizes {
        let Ok(size) = usize::try_from(size) else {
            all.push(None);
            continue;
        };
        let end = start.checked_add(size).ok_or_else(|| wrong("too short"))?;
        let text = bytes.get(start..end).ok_or_else(|| wrong("too short"))?;
        all.push(Some(std::str::from_utf8(text).map_err(|_| wrong("no UTF-8"))?.into()));
        start = end;
    }
    Ok(all)
}

fn place(end: u64) -> Result<u32, StateError> {
    u32::try_from(end).map_err(|_| broken("texts.ends", "too large", "places in a text"))
}
