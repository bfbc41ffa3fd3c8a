//! The attention of heads, as a picture.

use fmrai_core::report::Figure;
use fmrai_core::report::figure::{Axis, HeatMap, Panel, Plot};

use super::heads::{Attended, Head};
use super::text::strongest;

/// Heads that a picture shows where none was named.
const HEADS: usize = 6;
/// Positions whose shares are written into the cells.
const WRITTEN: usize = 16;

/// The named heads, or those with the strongest link between tokens of the text.
pub(super) fn figure(attended: &Attended, named: bool) -> Figure {
    let mut heads: Vec<(&Head, f32)> = attended
        .heads
        .iter()
        .map(|head| (head, strongest(attended, head).first().map_or(0.0, |(_, _, share)| *share)))
        .collect();
    if !named {
        heads.sort_by(|one, other| other.1.total_cmp(&one.1));
        heads.truncate(HEADS);
    }
    let texts: Vec<&str> = attended.tokens.iter().map(|token| token.text.as_str()).collect();
    let (title, which) = match heads.as_slice() {
        [(head, _)] => (format!("Attention of {}", head.name), String::new()),
        all if named => (format!("Attention of {} heads", all.len()), String::new()),
        all => (
            format!("Attention of the {} heads with the strongest links", all.len()),
            format!(
                " Of {} heads, those with the strongest link between tokens of the text.",
                attended.heads.len()
            ),
        ),
    };
    let columns = heads.len().min(3);
    Figure {
        name: "attention".to_owned(),
        title,
        caption: format!(
            "Each row is a token, and says how it spreads its attention over the tokens in the columns: it sums to 1.{which} Text: {}",
            texts.join(" ")
        ),
        panels: heads.iter().map(|(head, _)| panel(attended, head, heads.len() == 1)).collect(),
        columns,
    }
}

fn panel(attended: &Attended, head: &Head, alone: bool) -> Panel {
    let label = |at: usize, of: usize| {
        let own = (of == attended.tokens.len()).then(|| attended.tokens.get(at)).flatten();
        own.map_or_else(|| at.to_string(), |token| token.text.clone())
    };
    let written = alone && head.keys <= WRITTEN && head.queries <= WRITTEN;
    let texts = head.probabilities.iter().map(|share| match (share * 100.0).round() {
        percent if percent < 1.0 => String::new(),
        percent => format!("{percent:.0}"),
    });
    Panel {
        title: if alone { String::new() } else { head.name.clone() },
        plot: Plot::HeatMap(HeatMap {
            row_axis: "token that attends".to_owned(),
            column_axis: "token attended to".to_owned(),
            rows: (0..head.queries).map(|query| label(query, head.queries)).collect(),
            columns: (0..head.keys).map(|key| label(key, head.keys)).collect(),
            values: head.probabilities.iter().map(|share| f64::from(*share)).collect(),
            scale: Axis::new(if written { "attention, in the cells in percent" } else { "attention" }, None)
                .range(0.0, 1.0),
            diverging: false,
            row_groups: Vec::new(),
            column_groups: Vec::new(),
            texts: if written { texts.collect() } else { Vec::new() },
        }),
    }
}
