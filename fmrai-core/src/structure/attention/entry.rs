//! What is known of one entry of a mask, and of what arithmetic makes of such entries.

/// Scores at or below this are masked. A bias for distance (Press et al. 2022) gets as low only far beyond
/// [`super::visible`]'s horizon.
pub(super) const LOW: f64 = -9e3;
/// Scores between this and `LOW` may be masked or not.
pub(super) const DOUBTFUL: f64 = -50.0;

/// What is known of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Is(f64),
    /// Any usual score.
    Score,
    /// Any number; `both` if it may be another one for each pair of query and key.
    Any {
        both: bool,
    },
    Beyond,
}

pub(super) const QUERY: u8 = 1;
pub(super) const KEY: u8 = 2;

/// A number, and whether it was read at a place that depends on the query's or the key's position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) number: Number,
    pub(super) from: u8,
}

/// A coordinate, and on which position it depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct At {
    pub(super) value: i64,
    pub(super) from: u8,
}

pub(super) const ORIGIN: At = At { value: 0, from: 0 };

/// Nothing is known of an entry read at these places.
pub(super) fn any(at: &[At]) -> Entry {
    let from = at.iter().fold(0, |all, a| all | a.from);
    Entry { number: Number::Any { both: from == QUERY | KEY }, from }
}

pub(super) fn truth(yes: bool) -> Number {
    Number::Is(f64::from(u8::from(yes)))
}

fn both(number: Number) -> bool {
    matches!(number, Number::Any { both: true } | Number::Score)
}

/// What is known of a function of two numbers.
pub(super) fn combined(one: Entry, other: Entry, f: impl Fn(f64, f64) -> f64) -> Entry {
    let number = match (one.number, other.number) {
        (Number::Beyond, _) | (_, Number::Beyond) => Number::Beyond,
        (Number::Is(a), Number::Is(b)) => Number::Is(f(a, b)),
        (a, b) => Number::Any { both: both(a) || both(b) },
    };
    Entry { number, from: one.from | other.from }
}

pub(super) fn sum(one: Entry, other: Entry) -> Entry {
    let from = one.from | other.from;
    let number = match (one.number, other.number) {
        // Whatever is added to it, it stays low.
        (Number::Is(low), Number::Score | Number::Any { .. })
        | (Number::Score | Number::Any { .. }, Number::Is(low))
            if low <= LOW =>
        {
            Number::Is(low)
        }
        (Number::Score, Number::Is(x)) | (Number::Is(x), Number::Score) => {
            if x <= DOUBTFUL {
                Number::Any { both: true }
            } else {
                Number::Score
            }
        }
        (Number::Score, Number::Score) => Number::Score,
        // Padding, the same for all queries or all keys.
        (Number::Score, Number::Any { both: false }) | (Number::Any { both: false }, Number::Score) => {
            Number::Any { both: false }
        }
        _ => return combined(one, other, |a, b| a + b),
    };
    Entry { number, from }
}

pub(super) fn times(one: Entry, other: Entry) -> Entry {
    let from = one.from | other.from;
    let number = match (one.number, other.number) {
        (Number::Is(0.0), Number::Any { .. }) | (Number::Any { .. }, Number::Is(0.0)) => Number::Is(0.0),
        (Number::Score, Number::Is(_) | Number::Score) | (Number::Is(_), Number::Score) => Number::Score,
        _ => return combined(one, other, |a, b| a * b),
    };
    Entry { number, from }
}

/// `yes` where the condition holds, `no` elsewhere.
pub(super) fn chosen(condition: Entry, yes: Entry, no: Entry) -> Entry {
    match condition.number {
        Number::Is(x) => {
            let (taken, left) = if x == 0.0 { (no, yes) } else { (yes, no) };
            match (taken.number, left.number) {
                // Of two things that depend on data, one for these pairs and one for others: no padding.
                (Number::Any { .. }, Number::Any { .. }) if condition.from == QUERY | KEY => {
                    Entry { number: Number::Any { both: true }, ..taken }
                }
                _ => taken,
            }
        }
        Number::Beyond => condition,
        c => {
            let from = condition.from | yes.from | no.from;
            let number = match (yes.number, no.number) {
                (Number::Is(a), Number::Is(b)) if a == b => Number::Is(a),
                (Number::Beyond, _) | (_, Number::Beyond) => Number::Beyond,
                // A score that is masked or not, for all queries or all keys alike.
                (Number::Score, Number::Is(_)) | (Number::Is(_), Number::Score) => {
                    Number::Any { both: both(c) }
                }
                (a, b) => Number::Any { both: both(c) || both(a) || both(b) },
            };
            Entry { number, from }
        }
    }
}

/// And (`decides` 0) or or (1): one operand that decides is enough.
pub(super) fn decided(one: Entry, other: Entry, decides: f64) -> Entry {
    let holds = |number: Number| match number {
        Number::Is(x) => Some(f64::from(u8::from(x != 0.0))),
        _ => None,
    };
    for entry in [one, other] {
        if holds(entry.number) == Some(decides) {
            return Entry { number: Number::Is(decides), from: one.from | other.from };
        }
    }
    combined(one, other, |_, _| 1.0 - decides)
}

/// Coordinates before a reshape: as they are where only axes of size 1 come and go, and 0 where axes are merged or split
/// and all of their coordinates are 0.
pub(super) fn reshaped(old: &[i64], new: &[i64], at: &[At]) -> Option<Vec<At>> {
    let mut result = vec![ORIGIN; old.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        while old.get(i) == Some(&1) {
            i += 1;
        }
        while new.get(j) == Some(&1) {
            j += 1;
        }
        let (Some(&a), Some(&b)) = (old.get(i), new.get(j)) else { break };
        if a == b {
            *result.get_mut(i)? = *at.get(j)?;
            (i, j) = (i + 1, j + 1);
            continue;
        }
        // A group of axes with as many elements on both sides.
        let (mut left, mut right) = (a, b);
        let mut places = vec![*at.get(j)?];
        (i, j) = (i + 1, j + 1);
        while left != right {
            if left < right {
                left = left.checked_mul(*old.get(i)?)?;
                i += 1;
            } else {
                right = right.checked_mul(*new.get(j)?)?;
                places.push(*at.get(j)?);
                j += 1;
            }
        }
        if places.iter().any(|place| *place != ORIGIN) {
            return None;
        }
    }
    Some(result)
}
