//! Horizontal lines of reference with their names.

use crate::guides::axes::Axes;
use crate::guides::ticks::Range;
use crate::palette;
use crate::scene::{Align, Dash, Rect, Scene, Turn};
use crate::style::TICK;
use crate::text::{CAPITAL, Fonts, LEADING};

/// Widest name of a line, which stands right of the data.
const WIDEST: f64 = 96.0;

/// Draws the lines that lie within the vertical range, their names right of the data, never over each other.
pub(crate) fn paint_references(
    scene: &mut Scene,
    fonts: &Fonts,
    references: &[(String, f64)],
    (axes, range): (&Axes<'_>, Range),
    area: Rect,
) {
    let leading = TICK.size * LEADING;
    let shown = references.iter().filter(|(_, height)| range.holds(*height));
    let mut named: Vec<_> =
        shown.map(|(name, height)| (fonts.wrap(name, TICK, WIDEST, 3), *height)).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    let heights: Vec<(f64, f64)> =
        named.iter().map(|(lines, height)| (axes.y(area, *height), lines.len() as f64 * leading)).collect();
    for ((lines, _), (mut top, (y, _))) in named.iter().zip(apart(&heights, area).into_iter().zip(heights)) {
        scene.stroke(&[(area.x, y), (area.right(), y)], 1.25, palette::REFERENCE, Dash::Dashed);
        for line in lines {
            let baseline = top + leading / 2.0 + TICK.size * CAPITAL / 2.0;
            scene.text(line, (area.right() + 6.0, baseline), TICK, Align::Start, Turn::Level);
            top += leading;
        }
    }
}

/// The tops of texts of these heights, each as near to its middle as the others allow, from top to bottom; below the
/// area only where all of it is taken.
fn apart(middles: &[(f64, f64)], area: Rect) -> Vec<f64> {
    let mut free_from = f64::NEG_INFINITY;
    let mut tops: Vec<f64> = Vec::with_capacity(middles.len());
    for (middle, height) in middles {
        let top = (middle - height / 2.0).max(free_from);
        free_from = top + height;
        tops.push(top);
    }
    let mut free_to = area.bottom() + TICK.size;
    let mut moved = tops.clone();
    for (top, (_, height)) in moved.iter_mut().zip(middles).rev() {
        *top = top.min(free_to - height);
        free_to = *top;
    }
    // Too many for the area: they begin at its top, whatever is below.
    if moved.first().is_some_and(|top| *top < area.y - TICK.size) {
        let mut top = area.y - TICK.size;
        for (place, (_, height)) in moved.iter_mut().zip(middles) {
            *place = top;
            top += height;
        }
    }
    moved
}
