//! The stored form of what was counted.

use std::cmp::Ordering;
use std::sync::Arc;

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::tensor::{TensorData, TensorValue};
use serde_json::{Map, Value, json};

use super::contexts::{WINDOW, Window};
use super::memories::{Memories, Sign};
use super::moments::Moments;
use super::shard::Lists;
use super::texts::Text;
use super::triggers::Trigger;
use crate::attention::{read_counts, read_f64};

/// Puts everything into a state.
pub(super) fn write(memories: &Memories, state: &mut State) -> Result<(), AnalyzerError> {
    let mut put = |name: &str, shape: Vec<usize>, data| match TensorValue::new(shape, data) {
        Ok(tensor) => {
            state.tensors.insert(name.to_owned(), tensor);
            Ok(())
        }
        Err(error) => Err(AnalyzerError::Other(format!("{name}: {error}"))),
    };
    let all = memories.shards.iter().map(|s| s.width).sum::<usize>();
    let moments = |of: fn(&Moments) -> &Vec<f64>| {
        TensorData::F64(memories.shards.iter().flat_map(|s| of(&s.moments)).copied().collect())
    };
    put("mean", vec![all], moments(|m| &m.mean))?;
    put("m2", vec![all], moments(|m| &m.m2))?;
    put("m3", vec![all], moments(|m| &m.m3))?;
    let active = memories.shards.iter().flat_map(|s| &s.moments.active).map(|&n| n as i64).collect();
    put("active", vec![all], TensorData::I64(active))?;
    let positions: Vec<i64> = memories.positions.iter().map(|&n| n as i64).collect();
    put("positions", vec![positions.len()], TensorData::I64(positions))?;
    for sign in Sign::BOTH {
        let lists: Vec<_> = memories.neurons().map(|(shard, n)| shard.triggers(sign, n)).collect();
        let entries: Vec<Trigger> = lists.iter().flatten().copied().collect();
        let count = entries.len();
        let name = sign.name();
        put(
            &format!("{name}.lengths"),
            vec![all],
            TensorData::I64(lists.iter().map(|l| l.len() as i64).collect()),
        )?;
        put(
            &format!("{name}.sizes"),
            vec![count],
            TensorData::F32(entries.iter().map(|e| e.size).collect()),
        )?;
        let texts = entries.iter().map(|e| e.text as i64).collect();
        put(&format!("{name}.texts"), vec![count], TensorData::I64(texts))?;
        let positions = entries.iter().map(|e| i64::from(e.position)).collect();
        put(&format!("{name}.positions"), vec![count], TensorData::I64(positions))?;
        let windows = memories.neurons().flat_map(|(shard, n)| shard.contexts(sign, n));
        let windows: Vec<&[f32]> = windows.map(|(_, window)| window.known()).collect();
        let lengths: Vec<i64> = windows.iter().map(|w| w.len() as i64).collect();
        put(&format!("{name}.window_lengths"), vec![lengths.len()], TensorData::I64(lengths))?;
        let windows = windows.concat();
        put(&format!("{name}.windows"), vec![windows.len()], TensorData::F32(windows))?;
    }
    let named = memories.named();
    let texts: Vec<_> = memories.texts.iter().filter(|(id, _)| named.binary_search(id).is_ok()).collect();
    put("texts.ids", vec![texts.len()], TensorData::I64(texts.iter().map(|(id, _)| *id as i64).collect()))?;
    let lengths = texts.iter().map(|(_, t)| t.tokens.len() as i64).collect();
    put("texts.lengths", vec![texts.len()], TensorData::I64(lengths))?;
    let tokens: Vec<i64> = texts.iter().flat_map(|(_, t)| &t.tokens).map(|&t| i64::from(t)).collect();
    put("texts.tokens", vec![tokens.len()], TensorData::I64(tokens))?;
    let ends: Vec<i64> = texts.iter().flat_map(|(_, t)| &t.ends).map(|&e| i64::from(e)).collect();
    put("texts.ends", vec![ends.len()], TensorData::I64(ends))?;
    let next: Vec<i64> = memories.next_tokens.iter().flat_map(|(&t, &n)| [i64::from(t), n as i64]).collect();
    put("next_tokens", vec![next.len() / 2, 2], TensorData::I64(next))?;
    let strings = || texts.iter().map(|(_, t)| t.text.as_deref());
    let sizes = strings().map(|s| s.map_or(-1, |s| s.len() as i64)).collect();
    put("texts.sizes", vec![texts.len()], TensorData::I64(sizes))?;
    let bytes: Vec<u8> = strings().flatten().flat_map(str::bytes).collect();
    put("texts.bytes", vec![bytes.len().div_ceil(PACKED)], TensorData::I64(packed(&bytes)))?;
    if let Value::Object(document) = &mut state.document {
        document.insert("seen".to_owned(), json!(memories.seen));
    }
    Ok(())
}

/// Takes a state in; nothing of it if it has an error.
pub(super) fn merge(memories: &mut Memories, state: &State) -> Result<(), StateError> {
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

/// Triggers of all neurons, one list after the other, and the windows of the first `contexts` of each.
struct StoredLists {
    ends: Vec<usize>,
    entries: Vec<Trigger>,
    window_ends: Vec<usize>,
    windows: Vec<Window>,
}

/// Part `i` of several that end at `ends`.
fn part<'a, T>(all: &'a [T], ends: &[usize], i: usize) -> &'a [T] {
    let start = i.checked_sub(1).and_then(|i| ends.get(i)).copied().unwrap_or(0);
    all.get(start..ends.get(i).copied().unwrap_or(start)).unwrap_or_default()
}

impl StoredLists {
    /// Offers the triggers of neuron `from` to a neuron's lists.
    fn offer(&self, from: usize, lists: &mut Lists, neuron: usize) {
        let triggers = part(&self.entries, &self.ends, from);
        for trigger in triggers {
            lists.triggers.offer(neuron, *trigger);
        }
        for (trigger, window) in triggers.iter().zip(part(&self.windows, &self.window_ends, from)) {
            lists.contexts.offer(neuron, *trigger, || *window);
        }
    }

    fn read(state: &State, sign: Sign, neurons: usize, contexts: usize) -> Result<Self, StateError> {
        let name = sign.name();
        let lengths = read_counts(state, &format!("{name}.lengths"), neurons)?;
        let with_window = lengths.iter().map(|&n| n.min(contexts as u64)).collect();
        let window_ends = ends(with_window, name)?;
        let ends = ends(lengths, name)?;
        let count = ends.last().copied().unwrap_or(0);
        let sizes_name = format!("{name}.sizes");
        let sizes = state.tensor(&sizes_name, &[count])?;
        let texts = read_counts(state, &format!("{name}.texts"), count)?;
        let positions = read_counts(state, &format!("{name}.positions"), count)?;
        let sizes = match sizes.data() {
            TensorData::F32(sizes) if sizes.iter().all(|s| *s > 0.0 && s.is_finite()) => sizes,
            _ => return Err(broken(&sizes_name, "not positive float32", "positive float32")),
        };
        let mut entries = Vec::with_capacity(count);
        for ((&size, &text), &position) in sizes.iter().zip(&texts).zip(&positions) {
            let position =
                u32::try_from(position).map_err(|_| broken(name, "a position too large", "positions"))?;
            entries.push(Trigger { size, text, position });
        }
        let windows = windows(state, sign, window_ends.last().copied().unwrap_or(0))?;
        let lists = Self { ends, entries, window_ends, windows };
        for neuron in 0..neurons {
            let triggers = part(&lists.entries, &lists.ends, neuron);
            if !triggers.is_sorted_by(|a, b| a.order(b) == Ordering::Less) {
                return Err(broken(name, "a list out of order", "triggers, the strongest first"));
            }
            let mut texts: Vec<u64> = triggers.iter().map(|t| t.text).collect();
            texts.sort_unstable();
            if !texts.is_sorted_by(|a, b| a < b) {
                return Err(broken(name, "two triggers of one text", "one trigger of each text"));
            }
            let windows = part(&lists.windows, &lists.window_ends, neuron);
            if !triggers.iter().zip(windows).all(|(trigger, window)| window.fits(trigger)) {
                return Err(broken(name, "a window that ends before its trigger", "windows with it"));
            }
        }
        Ok(lists)
    }
}

/// The windows of all triggers that have one.
fn windows(state: &State, sign: Sign, count: usize) -> Result<Vec<Window>, StateError> {
    let name = format!("{}.windows", sign.name());
    let lengths = read_counts(state, &format!("{}.window_lengths", sign.name()), count)?;
    if lengths.iter().any(|&n| n > WINDOW as u64) {
        return Err(broken(&name, "a longer one", "windows of at most 32 coefficients"));
    }
    let ends = ends(lengths, &name)?;
    let windows = state.tensor(&name, &[ends.last().copied().unwrap_or(0)])?;
    let TensorData::F32(coefficients) = windows.data() else {
        return Err(broken(&name, &windows.data().dtype().to_string(), "float32"));
    };
    Ok((0..count).map(|i| Window::of(part(coefficients, &ends, i).iter().copied())).collect())
}

impl Stored {
    fn read(memories: &Memories, state: &State) -> Result<Self, StateError> {
        let all = memories.shards.iter().map(|s| s.width).sum();
        let number = |name: &str| read_f64(state, name, &[all]);
        let moments = Moments {
            mean: number("mean")?,
            m2: number("m2")?,
            m3: number("m3")?,
            active: read_counts(state, "active", all)?,
        };
        let positions = read_counts(state, "positions", memories.positions.len())?;
        let of_neurons =
            memories.neurons().map(|(shard, _)| positions.get(shard.layer).copied().unwrap_or(0));
        if moments.active.iter().zip(of_neurons).any(|(active, positions)| *active > positions) {
            return Err(broken("active", "more than there are positions", "counts"));
        }
        let count =
            |name: &str| state.tensors.get(name).and_then(|t| t.shape().first()).copied().unwrap_or(0);
        let ids = read_counts(state, "texts.ids", count("texts.ids"))?;
        let ends = ends(read_counts(state, "texts.lengths", ids.len())?, "texts.lengths")?;
        let tokens = read_counts(state, "texts.tokens", ends.last().copied().unwrap_or(0))?;
        let tokens = tokens.into_iter().map(token).collect::<Result<Vec<_>, _>>()?;
        let string_ends = read_counts(state, "texts.ends", count("texts.ends"))?;
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
        let rows = count("next_tokens");
        let next = state.tensor("next_tokens", &[rows, 2])?;
        let next = next.i64().map_err(|e| broken("next_tokens", &e.to_string(), "int64"))?;
        let pair = |pair: &[i64]| {
            let [id, n] = *pair else { return Err(broken("next_tokens", "odd", "pairs")) };
            let count = |n: i64| u64::try_from(n).map_err(|_| broken("next_tokens", "negative", "counts"));
            Ok((token(count(id)?)?, count(n)?))
        };
        let seen = &state.document["seen"];
        Ok(Self {
            moments,
            positions,
            positive: StoredLists::read(state, Sign::Positive, all, memories.contexts)?,
            negative: StoredLists::read(state, Sign::Negative, all, memories.contexts)?,
            texts,
            next_tokens: next.chunks(2).map(pair).collect::<Result<_, _>>()?,
            seen: seen.as_u64().ok_or_else(|| broken("seen", &seen.to_string(), "a count"))?,
        })
    }
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
    let sizes = state.tensor("texts.sizes", &[count])?.i64().map_err(|e| wrong(&e.to_string()))?;
    let length = state.tensors.get("texts.bytes").map_or(0, |t| t.shape().iter().product());
    let numbers = state.tensor("texts.bytes", &[length])?.i64().map_err(|e| wrong(&e.to_string()))?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut start = 0_usize;
    let mut all = Vec::with_capacity(count);
    for &size in sizes {
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

/// Where lists of these lengths end if they stand one after the other.
fn ends(lengths: Vec<u64>, part: &str) -> Result<Vec<usize>, StateError> {
    let mut end = 0_usize;
    let add = |n: u64| {
        end = usize::try_from(n).ok().and_then(|n| end.checked_add(n))?;
        Some(end)
    };
    let ends: Option<Vec<usize>> = lengths.into_iter().map(add).collect();
    ends.ok_or_else(|| broken(part, "too large", "lengths"))
}

fn token(id: u64) -> Result<u32, StateError> {
    u32::try_from(id).map_err(|_| broken("tokens", "too large", "token ids"))
}

fn place(end: u64) -> Result<u32, StateError> {
    u32::try_from(end).map_err(|_| broken("texts.ends", "too large", "places in a text"))
}

fn broken(part: &str, found: &str, needed: &str) -> StateError {
    StateError::Part { part: part.to_owned(), found: found.to_owned(), needed: needed.to_owned() }
}

/// Checks that a state was made with the same settings; those that only matter in the end are not among them.
pub(super) fn check_settings(found: &Value, needed: &Map<String, Value>) -> Result<(), StateError> {
    for (name, value) in needed {
        if found.get(name) != Some(value) {
            let found = found.get(name).map_or_else(|| "absent".to_owned(), ToString::to_string);
            return Err(StateError::Part { part: name.clone(), found, needed: value.to_string() });
        }
    }
    Ok(())
}
