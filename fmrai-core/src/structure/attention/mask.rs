//! The values of a mask, entry by entry, from the operations that make it: comparisons of ranges, triangles, constants.
//!
//! Nothing is computed in advance: an entry is asked of the scores, which ask their operands for the entries that they
//! need, up to ranges, constants and inputs. So an entry beyond the recorded sizes can be asked for too, which tells a
//! window from a triangle where the recorded texts are shorter than it.

use std::collections::HashMap;

use crate::analyzer::Weights;
use crate::graph::{Graph, Operation, Origin, TensorId, Value};
use crate::structure::operator::{Effect, effect, first_input, stem};
use crate::structure::shape::axis as counted;
use crate::structure::weights::PlainWeights;
use crate::structure::{product, shape};
use crate::tensor::{DType, TensorValue, TensorView};

use super::entry::{
    At, DOUBTFUL, Entry, KEY, LOW, Number, ORIGIN, QUERY, any, chosen, combined, decided, reshaped, sum,
    times, truth,
};

/// Steps for one entry.
const STEPS: u32 = 20_000;
/// Operations one after another.
const DEPTH: u32 = 200;

/// Whether a query sees a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Yes,
    No,
    /// Yes or no, as data tell for all queries or all keys alike: padding, where all keys that may be seen are such.
    Shared,
    /// It depends on the data.
    Unknown,
    /// A constant ends before it.
    Beyond,
}

/// Reads masks of a graph.
pub(in crate::structure) struct Masks<'g> {
    graph: &'g dyn Graph,
    plain: &'g PlainWeights,
    weights: Option<&'g dyn Weights>,
    read: HashMap<TensorId, Option<TensorValue>>,
    cache: HashMap<(TensorId, Vec<At>), Entry>,
    steps: u32,
    depth: u32,
}

impl<'g> Masks<'g> {
    pub(in crate::structure) fn new(
        graph: &'g dyn Graph,
        plain: &'g PlainWeights,
        weights: Option<&'g dyn Weights>,
    ) -> Self {
        Self { graph, plain, weights, read: HashMap::new(), cache: HashMap::new(), steps: 0, depth: 0 }
    }

    /// Whether a score, `[.., query, key]`, is that of a key that is seen.
    pub(super) fn score(&mut self, id: TensorId, rank: usize, query: i64, key: i64) -> Seen {
        match self.ask(id, rank, query, key).number {
            Number::Beyond => Seen::Beyond,
            Number::Is(x) if x <= LOW || x.is_nan() => Seen::No,
            Number::Score => Seen::Yes,
            Number::Any { both: false } => Seen::Shared,
            Number::Is(x) if x > DOUBTFUL => Seen::Yes,
            Number::Is(_) | Number::Any { both: true } => Seen::Unknown,
        }
    }

    /// The same of the mask of a fused operation: true or a term near 0 where the key is seen.
    pub(super) fn mask(&mut self, id: TensorId, rank: usize, query: i64, key: i64) -> Seen {
        let truth = self.graph.tensor(id).is_some_and(|t| t.dtype == DType::Bool);
        match self.ask(id, rank, query, key).number {
            Number::Beyond => Seen::Beyond,
            Number::Is(x) if truth => {
                if x == 0.0 {
                    Seen::No
                } else {
                    Seen::Yes
                }
            }
            Number::Is(x) if x <= LOW || x.is_nan() => Seen::No,
            Number::Is(x) if x > DOUBTFUL => Seen::Yes,
            Number::Score => Seen::Yes,
            Number::Any { both: false } => Seen::Shared,
            Number::Is(_) | Number::Any { both: true } => Seen::Unknown,
        }
    }

    fn ask(&mut self, id: TensorId, rank: usize, query: i64, key: i64) -> Entry {
        self.steps = 0;
        if self.cache.len() > 1 << 18 {
            self.cache.clear();
        }
        let mut at = vec![ORIGIN; rank.saturating_sub(2)];
        at.push(At { value: query, from: QUERY });
        at.push(At { value: key, from: KEY });
        let at = self.aligned(id, &at);
        self.entry(id, &at)
    }

    fn shape(&self, id: TensorId) -> &'g [i64] {
        shape::of(self.graph, id).unwrap_or(&[])
    }

    /// Coordinates in an operand of what has the coordinates `at`: axes are aligned at the end, those of size 1 repeated.
    fn aligned(&self, id: TensorId, at: &[At]) -> Vec<At> {
        let sizes = self.shape(id);
        let more = at.len().saturating_sub(sizes.len());
        let at = at.get(more..).unwrap_or(&[]);
        let missing = sizes.len() - at.len().min(sizes.len());
        let all = std::iter::repeat_n(ORIGIN, missing).chain(at.iter().copied());
        all.zip(sizes).map(|(at, &size)| if size == 1 { ORIGIN } else { at }).collect()
    }

    fn operand(&mut self, id: TensorId, at: &[At]) -> Entry {
        let at = self.aligned(id, at);
        self.entry(id, &at)
    }

    fn entry(&mut self, id: TensorId, at: &[At]) -> Entry {
        let key = (id, at.to_vec());
        if let Some(known) = self.cache.get(&key) {
            return *known;
        }
        self.steps += 1;
        if self.steps > STEPS || self.depth > DEPTH {
            self.steps = STEPS + 1; // whatever is asked for above is not known either
            return any(at);
        }
        self.depth += 1;
        let found = self.compute(id, at);
        self.depth -= 1;
        if self.steps <= STEPS {
            self.cache.insert(key, found);
        }
        found
    }

    fn compute(&mut self, id: TensorId, at: &[At]) -> Entry {
        let Some(operation) = self.graph.producer(id) else { return self.leaf(id, at) };
        if operation.outputs.first() != Some(&id) {
            return any(at);
        }
        if product::factors(self.graph, operation).is_some() {
            return self.product(operation, at);
        }
        let found = self
            .made(operation, at)
            .or_else(|| self.view(operation, at))
            .or_else(|| self.arithmetic(operation, at));
        let Some(found) = found else { return any(at) };
        let whole = self.graph.tensor(id).is_some_and(|t| matches!(t.dtype, DType::Bool));
        match found.number {
            Number::Is(x) if whole => Entry { number: truth(x != 0.0), ..found },
            _ => found,
        }
    }

    fn leaf(&mut self, id: TensorId, at: &[At]) -> Entry {
        let given = any(at);
        if self.graph.tensor(id).is_none_or(|t| t.origin == Origin::Input) {
            return given;
        }
        // What is not read is no padding, wherever it is used: it may be what is written in place of hidden scores.
        let unknown = Entry { number: Number::Any { both: true }, ..given };
        let Some(view) = self.constant(id) else { return unknown };
        let Ok(data) = view.f32() else { return unknown };
        let mut index = 0;
        for (at, &size) in at.iter().zip(view.shape()) {
            let Some(place) = usize::try_from(at.value).ok().filter(|place| *place < size) else {
                return Entry { number: Number::Beyond, ..unknown };
            };
            index = index * size + place;
        }
        let number = data.get(index).map_or(Number::Beyond, |x| Number::Is(f64::from(*x)));
        Entry { number, ..unknown }
    }

    /// The elements of a constant, if they can be read.
    fn constant(&mut self, id: TensorId) -> Option<TensorView<'_>> {
        let weights = self.weights;
        let read = || weights?.weight(id)?.ok();
        self.read.entry(id).or_insert_with(read).as_ref().map(TensorValue::view)
    }

    /// A bias from a table by the distance or the like: scores, if no number of the table is as low as those of masks. A
    /// learned table that cannot be read is taken for one of scores; nothing is known of any other.
    fn looked_up(&mut self, operation: &Operation, at: &[At]) -> Option<Entry> {
        let table = operation.tensor("weight")?;
        let scores = Entry { number: Number::Score, from: QUERY | KEY };
        let all = self.constant(table).and_then(|view| view.f32().ok());
        match all.map(|all| all.iter().all(|x| f64::from(*x) > DOUBTFUL)) {
            Some(true) => Some(scores),
            Some(false) => {
                let (column, front) = at.split_last()?;
                let row = self.operand(operation.tensor("indices")?, front);
                let Number::Is(x) = row.number else {
                    return Some(Entry { number: Number::Any { both: true }, from: row.from | column.from });
                };
                Some(self.entry(table, &[At { value: x as i64, from: row.from }, *column]))
            }
            None => {
                let learned = self.graph.tensor(table).is_some_and(|t| t.origin == Origin::Parameter);
                learned.then_some(scores)
            }
        }
    }

    /// Of two activations it is a score, and a mask may be added at once; of anything else nothing is known.
    fn product(&mut self, operation: &Operation, at: &[At]) -> Entry {
        let factors = product::factors(self.graph, operation);
        let scores = factors.is_some_and(|f| !self.plain.contains(f.left) && !self.plain.contains(f.right));
        if !scores {
            return any(at);
        }
        let score = Entry { number: Number::Score, from: QUERY | KEY };
        let added = ["self", "input"].into_iter().find_map(|name| operation.tensor(name));
        match added.filter(|_| matches!(stem(operation), "baddbmm" | "addmm")) {
            Some(mask) if operation.argument("beta").and_then(Value::as_float) != Some(0.0) => {
                let mask = self.operand(mask, at);
                sum(score, mask)
            }
            _ => score,
        }
    }

    /// What is made of nothing.
    fn made(&mut self, operation: &Operation, at: &[At]) -> Option<Entry> {
        let from = at.iter().fold(0, |all, a| all | a.from);
        let entry = |x: f64| Some(Entry { number: Number::Is(x), from });
        let number = |name: &str| operation.argument(name).and_then(Value::as_float);
        match stem(operation) {
            "ones" | "ones_like" | "new_ones" => entry(1.0),
            "zeros" | "zeros_like" | "new_zeros" => entry(0.0),
            "full" | "full_like" | "new_full" => entry(self.fill(operation, "fill_value")?),
            "scalar_tensor" => entry(number("s")?),
            "arange" => {
                let [at] = at else { return None };
                let start = if operation.argument("start").is_some() { number("start")? } else { 0.0 };
                let step = number("step").unwrap_or(1.0);
                Some(Entry { number: Number::Is(start + step * at.value as f64), from: at.from })
            }
            "eye" => match at {
                [i, j] => entry(f64::from(u8::from(i.value == j.value))),
                _ => None,
            },
            _ => None,
        }
    }

    /// A number, or a tensor of one.
    fn fill(&mut self, operation: &Operation, name: &str) -> Option<f64> {
        match operation.argument(name)? {
            Value::Tensor(id) => {
                let at = vec![ORIGIN; self.shape(*id).len()];
                match self.entry(*id, &at).number {
                    Number::Is(x) => Some(x),
                    _ => None,
                }
            }
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            other => other.as_float(),
        }
    }

    /// Entries of the main operand at other places.
    fn view(&mut self, operation: &Operation, at: &[At]) -> Option<Entry> {
        let input = first_input(operation)?;
        let old = self.shape(input);
        let rank = old.len();
        let dimension = |name: &str| counted(operation.argument(name)?.as_int()?, rank);
        let name = stem(operation);
        match effect(operation) {
            Effect::Same => Some(self.operand(input, at)),
            Effect::Broadcast if !name.starts_with("repeat") && name != "tile" => {
                Some(self.operand(input, at))
            }
            Effect::Reshape => {
                let new = self.shape(*operation.outputs.first()?);
                let at = reshaped(old, new, at);
                at.map(|at| self.entry(input, &at))
            }
            Effect::Permute => {
                let mut old_at = vec![ORIGIN; rank];
                let order: Vec<usize> = match name {
                    "permute" | "permute_copy" => {
                        let dims = operation.argument("dims")?.as_ints()?;
                        dims.iter().map(|d| counted(*d, rank)).collect::<Option<_>>()?
                    }
                    _ => {
                        let (a, b) = match name {
                            "transpose" | "transpose_copy" | "swapaxes" | "swapdims" => (
                                dimension("dim0").or_else(|| dimension("axis0"))?,
                                dimension("dim1").or_else(|| dimension("axis1"))?,
                            ),
                            "movedim" | "moveaxis" => return None,
                            _ => (rank.checked_sub(2)?, rank.checked_sub(1)?),
                        };
                        let mut order: Vec<usize> = (0..rank).collect();
                        order.swap(a, b);
                        order
                    }
                };
                for (place, old_axis) in at.iter().zip(order) {
                    *old_at.get_mut(old_axis)? = *place;
                }
                Some(self.entry(input, &old_at))
            }
            Effect::Part => self.part(operation, input, at),
            Effect::Join => self.joined(operation, at),
            _ => None,
        }
    }

    fn part(&mut self, operation: &Operation, input: TensorId, at: &[At]) -> Option<Entry> {
        let old = self.shape(input);
        let number = |name: &str| operation.argument(name).and_then(Value::as_int);
        let name = stem(operation);
        if matches!(name, "pad" | "constant_pad_nd") {
            let pad = operation.argument("pad")?.as_ints()?;
            let fill = operation.argument("value").and_then(Value::as_float).unwrap_or(0.0);
            let mut at = at.to_vec();
            for (i, pair) in pad.chunks_exact(2).enumerate() {
                let axis = old.len().checked_sub(i + 1)?;
                let place = at.get_mut(axis)?;
                place.value = place.value.saturating_sub(pair[0]);
                let ends = pair[1] > 0 && place.value >= *old.get(axis)?;
                if place.value < 0 || ends {
                    return Some(Entry { number: Number::Is(fill), from: place.from });
                }
            }
            return Some(self.entry(input, &at));
        }
        let axis = counted(number("dim").unwrap_or(0), old.len())?;
        let mut at = at.to_vec();
        match name.trim_end_matches("_copy") {
            "slice" | "narrow" => {
                let (start, step) = (number("start").unwrap_or(0), number("step").unwrap_or(1));
                let start = if start < 0 { start.saturating_add(*old.get(axis)?) } else { start };
                let place = at.get_mut(axis)?;
                place.value = step.saturating_mul(place.value).saturating_add(start);
            }
            "select" => {
                let index = number("index")?;
                let index = if index < 0 { index.saturating_add(*old.get(axis)?) } else { index };
                at.insert(axis.min(at.len()), At { value: index, from: 0 });
            }
            _ => return None,
        }
        Some(self.entry(input, &at))
    }

    fn joined(&mut self, operation: &Operation, at: &[At]) -> Option<Entry> {
        match stem(operation) {
            "tril" | "triu" => {
                let &[.., i, j] = at else { return None };
                let diagonal = operation.argument("diagonal").and_then(Value::as_int).unwrap_or(0);
                let above = j.value.saturating_sub(i.value);
                let kept = if stem(operation) == "tril" { above <= diagonal } else { above >= diagonal };
                if kept {
                    return Some(self.operand(first_input(operation)?, at));
                }
                Some(Entry { number: Number::Is(0.0), from: i.from | j.from })
            }
            "cat" | "concat" | "concatenate" => {
                let axis = counted(operation.argument("dim").map_or(Some(0), Value::as_int)?, at.len())?;
                let parts: Vec<TensorId> = operation.inputs().collect();
                let mut at = at.to_vec();
                for (i, part) in parts.iter().enumerate() {
                    let size = *self.shape(*part).get(axis)?;
                    let place = at.get_mut(axis)?;
                    // Constants put after the positions, such as sinks, end no text that is longer.
                    let positions = place.from != 0 && parts[i + 1..].iter().all(|p| self.plain.contains(*p));
                    if place.value < size || positions {
                        return Some(self.entry(*part, &at));
                    }
                    place.value = place.value.saturating_sub(size);
                }
                None
            }
            "copy" => Some(self.operand(operation.tensor("src")?, at)),
            "index" => {
                let table = operation.tensor("self")?;
                let Value::Tensors(ids) = operation.argument("indices")? else { return None };
                let given: Vec<Option<TensorId>> = ids.clone();
                let whole = given.iter().all(Option::is_some);
                // With gaps the indexed axes stay in place only if they are one.
                if !whole && (given.len() != 1 || given.is_empty()) {
                    return None;
                }
                let rest = self.shape(table).len().checked_sub(given.len())?;
                let front = at.len().checked_sub(rest)?;
                let mut place = Vec::with_capacity(given.len() + rest);
                for id in given.into_iter().flatten() {
                    let index = self.operand(id, at.get(..front)?);
                    let Number::Is(x) = index.number else {
                        let from = at.iter().fold(index.from, |all, a| all | a.from);
                        return Some(Entry { number: Number::Any { both: from == QUERY | KEY }, from });
                    };
                    place.push(At { value: x as i64, from: index.from });
                }
                place.extend(at.get(front..)?);
                for (place, &size) in place.iter_mut().zip(self.shape(table)) {
                    if place.value < 0 {
                        place.value = place.value.saturating_add(size);
                    }
                }
                Some(self.entry(table, &place))
            }
            _ => None,
        }
    }

    /// One operand of an operation between tensors and numbers.
    fn term(&mut self, operation: &Operation, name: &str, at: &[At]) -> Option<Entry> {
        let number = |x| Some(Entry { number: Number::Is(x), from: 0 });
        match operation.argument(name)? {
            Value::Tensor(id) => Some(self.operand(*id, at)),
            Value::Bool(b) => number(f64::from(u8::from(*b))),
            other => number(other.as_float()?),
        }
    }

    fn arithmetic(&mut self, operation: &Operation, at: &[At]) -> Option<Entry> {
        let alpha = operation.argument("alpha").and_then(Value::as_float).unwrap_or(1.0);
        let scaled = |entry: Entry, by: f64| times(entry, Entry { number: Number::Is(by), from: 0 });
        let name = stem(operation);
        match name {
            "where" => {
                let condition = self.term(operation, "condition", at)?;
                let (yes, no) = (self.term(operation, "self", at)?, self.term(operation, "other", at)?);
                return Some(chosen(condition, yes, no));
            }
            "masked_fill" => {
                let (mask, own) = (self.term(operation, "mask", at)?, self.term(operation, "self", at)?);
                let fill = self.fill(operation, "value")?;
                return Some(chosen(mask, Entry { number: Number::Is(fill), from: 0 }, own));
            }
            "fill" => {
                let fill = self.fill(operation, "value")?;
                return Some(Entry { number: Number::Is(fill), from: 0 });
            }
            "logical_not" | "bitwise_not" => {
                let own = self.term(operation, "self", at)?;
                return Some(combined(own, own, |a, _| f64::from(u8::from(a == 0.0))));
            }
            "embedding" => return self.looked_up(operation, at),
            _ => {}
        }
        let own = self.term(operation, "self", at).or_else(|| self.term(operation, "input", at))?;
        let unary: Option<fn(f64) -> f64> = match name {
            "neg" | "negative" => Some(|x| -x),
            "abs" => Some(f64::abs),
            "exp" => Some(f64::exp),
            "log" => Some(f64::ln),
            "sqrt" => Some(f64::sqrt),
            "floor" => Some(f64::floor),
            "ceil" => Some(f64::ceil),
            "sign" | "sgn" => Some(f64::signum),
            "tanh" => Some(f64::tanh),
            _ => None,
        };
        if let Some(f) = unary {
            let same = matches!(own.number, Number::Score);
            return Some(if same { own } else { combined(own, own, |a, _| f(a)) });
        }
        if matches!(name, "clamp" | "clip" | "clamp_min" | "clamp_max" | "hardtanh") {
            let bound = |names: [&str; 2]| {
                names.into_iter().find_map(|n| operation.argument(n).and_then(Value::as_float))
            };
            let (low, high) = (bound(["min", "min_val"]), bound(["max", "max_val"]));
            let clamped = |x: f64| x.max(low.unwrap_or(f64::NEG_INFINITY)).min(high.unwrap_or(f64::INFINITY));
            return Some(match own.number {
                Number::Score => own,
                _ => combined(own, own, |a, _| clamped(a)),
            });
        }
        if name == "nan_to_num" {
            return Some(own);
        }
        let other = self.term(operation, "other", at).or_else(|| self.term(operation, "exponent", at))?;
        let flag = |b: bool| f64::from(u8::from(b));
        let floors =
            operation.argument("rounding_mode").is_some_and(|m| matches!(m, Value::Text(t) if t == "floor"));
        Some(match name {
            "add" => sum(own, scaled(other, alpha)),
            "sub" | "subtract" => sum(own, scaled(other, -alpha)),
            "rsub" => sum(other, scaled(own, -alpha)),
            "mul" | "multiply" => times(own, other),
            "div" | "divide" | "true_divide" if floors => combined(own, other, |a, b| (a / b).floor()),
            "div" | "divide" | "true_divide" => match (own.number, other.number) {
                (Number::Score, _) => own,
                _ => combined(own, other, |a, b| a / b),
            },
            "floor_divide" => combined(own, other, |a, b| (a / b).floor()),
            "remainder" => combined(own, other, f64::rem_euclid),
            "pow" => combined(own, other, f64::powf),
            "minimum" | "min" => combined(own, other, f64::min),
            "maximum" | "max" => combined(own, other, f64::max),
            "eq" => combined(own, other, |a, b| flag(a == b)),
            "ne" => combined(own, other, |a, b| flag(a != b)),
            "lt" => combined(own, other, |a, b| flag(a < b)),
            "le" => combined(own, other, |a, b| flag(a <= b)),
            "gt" => combined(own, other, |a, b| flag(a > b)),
            "ge" => combined(own, other, |a, b| flag(a >= b)),
            "logical_and" | "bitwise_and" | "__and__" | "__iand__" => decided(own, other, 0.0),
            "logical_or" | "bitwise_or" | "__or__" | "__ior__" => decided(own, other, 1.0),
            "logical_xor" | "bitwise_xor" | "__xor__" => {
                combined(own, other, |a, b| flag((a != 0.0) != (b != 0.0)))
            }
            _ => return None,
        })
    }
}
