//! Which keys the queries of a block see, read from its mask: a band around the diagonal, or nothing that is known.

use super::mask::{Masks, Seen};
use super::{Attention, AttentionForm, Visible};
use crate::graph::{Graph, TensorId, Value};
use crate::structure::Positions;

/// Positions looked at; a wider window counts as none.
const HORIZON: i64 = 16_384;

/// Rows and columns in which a band is compared with the mask, entry by entry.
const COMPARED: i64 = 12;

/// What the graph, and the constants that can be read, say of a block of self-attention.
pub(super) fn of(graph: &dyn Graph, masks: &mut Masks<'_>, block: &Attention) -> Visible {
    let Some(shape) = graph.tensor(block.probabilities).map(|t| t.shape.as_slice()) else {
        return Visible::Unknown;
    };
    let &[.., queries, keys] = shape else { return Visible::Unknown };
    // With one query or key an axis of size 1 may be one that is repeated.
    if queries < 2 || keys < 2 {
        return Visible::Unknown;
    }
    let before = |axis: &Option<Positions>| axis.as_ref().map_or(0, |p| p.before);
    let shift = [before(&block.query_positions), before(&block.key_positions)];
    if shift[0] < 0 || shift[1] < shift[0] {
        return Visible::Unknown;
    }
    let rank = shape.len();
    // Extra keys before those of the queries' positions are sinks.
    let offset = shift[1].saturating_sub(shift[0]);
    let scored: Box<dyn FnMut(i64, i64) -> Seen> = match block.form {
        AttentionForm::Eager => {
            let Some(scores) = block.scores else { return Visible::Unknown };
            Box::new(move |i, j| masks.score(scores, rank, i, j.saturating_add(offset)))
        }
        AttentionForm::Fused => match fused(graph, block) {
            Fused::Causal => return Visible::Causal,
            Fused::Bare => return Visible::Full,
            Fused::Unknown => return Visible::Unknown,
            Fused::Mask(mask) => Box::new(move |i, j| masks.mask(mask, rank, i, j.saturating_add(offset))),
        },
    };
    band(scored).unwrap_or_default()
}

enum Fused {
    Causal,
    Bare,
    Mask(TensorId),
    Unknown,
}

fn fused(graph: &dyn Graph, block: &Attention) -> Fused {
    let Some(operation) = graph.operation(block.operation) else { return Fused::Unknown };
    match (operation.argument("is_causal"), operation.argument("attn_mask")) {
        (Some(Value::Bool(true)), _) => Fused::Causal,
        (_, Some(Value::Tensor(mask))) => Fused::Mask(*mask),
        (_, None | Some(Value::None)) => Fused::Bare,
        _ => Fused::Unknown,
    }
}

/// The band of keys around the diagonal that are seen, if it is one whatever the length of the text.
fn band(mut at: impl FnMut(i64, i64) -> Seen) -> Option<Visible> {
    // As far as the mask can be read.
    let mut last = 1;
    while last < HORIZON && at(last * 2, last * 2) != Seen::Beyond {
        last *= 2;
    }
    while last > 1 && at(last, last) == Seen::Beyond {
        last -= 1;
    }
    let mut known = true;
    // Whether there are keys that are seen whatever the data, and keys that data may hide.
    let (mut certain, mut shared) = (false, false);
    let mut sees = |i: i64, j: i64| match at(i, j) {
        Seen::Yes => {
            // That a query sees itself tells nothing of other keys.
            certain |= i != j;
            true
        }
        Seen::Shared => {
            shared = true;
            true
        }
        Seen::No => false,
        Seen::Unknown | Seen::Beyond => {
            known = false;
            false
        }
    };
    // The longest distance that is seen, by bisection; whether all shorter ones are is looked at below.
    let reach = |entry: &mut dyn FnMut(i64) -> bool| -> Option<Option<u64>> {
        if entry(last) {
            return Some(None);
        }
        let (mut low, mut high) = (0, last);
        while low + 1 < high {
            let middle = i64::midpoint(low, high);
            if entry(middle) { low = middle } else { high = middle }
        }
        Some(Some(u64::try_from(low).ok()?))
    };
    let before = reach(&mut |distance| sees(last, last - distance))?;
    let after = reach(&mut |distance| sees(0, distance))?;
    let found = Visible::of_reach(before, after);
    let inside = |i: i64, j: i64| {
        let within = |distance: i64, reach: Option<u64>| {
            reach.is_none_or(|reach| u64::try_from(distance).is_ok_and(|distance| distance <= reach))
        };
        if j <= i { within(i - j, before) } else { within(j - i, after) }
    };
    let mut compare = |i: i64, j: i64| i < 0 || j < 0 || i > last || j > last || sees(i, j) == inside(i, j);
    let mut alike = true;
    for i in 0..COMPARED {
        for j in 0..COMPARED {
            alike &= compare(i, j) && compare(last - i, last - j);
        }
    }
    // At the edges of the window, in the middle of a long text.
    let edges = [before, after].map(|reach| reach.map_or(1, |reach| i64::try_from(reach).unwrap_or(1)));
    for middle in [last / 2, last / 3] {
        for step in -2..=2 {
            alike &= compare(middle, middle - edges[0] + step) && compare(middle, middle + edges[1] + step);
        }
    }
    // Padding is said of all keys that may be seen. Where data decide of some pairs only, they decide what is seen.
    (alike && known && !(certain && shared)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sees: impl Fn(i64, i64) -> bool) -> Option<Visible> {
        band(|i, j| if sees(i, j) { Seen::Yes } else { Seen::No })
    }

    #[test]
    fn bands_are_told_by_their_edges() {
        assert_eq!(of(|_, _| true), Some(Visible::Full));
        assert_eq!(of(|i, j| j <= i), Some(Visible::Causal));
        let window = |before, after| Some(Visible::Window { before, after });
        assert_eq!(of(|i, j| j <= i && i - j < 4), window(Some(3), Some(0)));
        assert_eq!(of(|i, j| (i - j).abs() <= 4096), window(Some(4096), Some(4096)));
        assert_eq!(of(|i, j| j >= i), window(Some(0), None));
        assert_eq!(of(|i, j| i == j), window(Some(0), Some(0)));
    }

    #[test]
    fn what_is_no_band_is_not_known() {
        assert_eq!(of(|i, j| i / 8 == j / 8), None, "chunks");
        assert_eq!(of(|i, j| j <= i || j < 5), None, "a prefix that all see");
        assert_eq!(of(|i, j| j < i), None, "never itself");
        assert_eq!(of(|i, j| j <= i && (i - j) % 3 == 0), None, "dilated");
        assert_eq!(band(|_, _| Seen::Unknown), None);
        assert_eq!(
            band(|i, j| if j <= i { Seen::Yes } else { Seen::Shared }),
            None,
            "a prefix that data tell"
        );
        assert_eq!(
            band(|i, j| if j <= i { Seen::Shared } else { Seen::No }),
            Some(Visible::Causal),
            "padding"
        );
        let buffer = |i: i64, j: i64| {
            if i.max(j) > 40 {
                Seen::Beyond
            } else if j <= i {
                Seen::Yes
            } else {
                Seen::No
            }
        };
        assert_eq!(band(buffer), Some(Visible::Causal), "a buffer that ends");
    }
}
