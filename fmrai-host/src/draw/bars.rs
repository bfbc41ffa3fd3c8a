//! Bars, grouped by category, side by side or on each other.

use fmrai_core::report::figure::Bars;

use super::axes::{Axes, Bottom};
use super::legend::{Block, Swatch};
use super::palette;
use super::plot::{Margins, Panelled, counted, paint_nothing};
use super::scene::{Rect, Rgb, Scene, Size, crisp};
use super::style::AXIS_WIDTH;
use super::text::Fonts;
use super::ticks::Range;

/// Share of a category's place that its bars fill.
const FILL: f64 = 0.78;
/// Widest bar.
const WIDEST: f64 = 46.0;
/// Paper between the segments of a stack, and the share of a small segment that it may take.
const STACK_GAP: (f64, f64) = (0.75, 0.25);
/// Share of the axis by which a sum of heights may pass its end through rounding.
const ROUNDING: f64 = 1e-9;

/// A bar, or a segment of a stack.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Segment {
    group: usize,
    category: usize,
    /// Where it stands, on the vertical axis.
    from: f64,
    /// Where it ends.
    to: f64,
}

/// All bars that have a height, group by group.
fn segments(plot: &Bars) -> Vec<Segment> {
    // How high and how low the stack of each category is.
    let mut reached = vec![(0.0, 0.0); plot.categories.len()];
    let mut segments = Vec::new();
    for (group, (_, heights)) in plot.groups.iter().enumerate() {
        for ((category, height), (up, down)) in heights.iter().copied().enumerate().zip(&mut reached) {
            if height.is_nan() {
                continue;
            }
            let mut from = 0.0;
            if plot.stacked {
                let end = if height < 0.0 { down } else { up };
                from = *end;
                *end += height;
            }
            segments.push(Segment { group, category, from, to: from + height });
        }
    }
    segments
}

/// The category whose stack reaches farther than `most`, and how far.
pub(super) fn too_far(plot: &Bars, most: f64) -> Option<(&str, f64)> {
    let beyond = segments(plot).into_iter().find(|segment| segment.to.abs() > most)?;
    Some((plot.categories.get(beyond.category)?, beyond.to))
}

pub(super) struct BarsPlot<'a> {
    plot: &'a Bars,
    fonts: &'a Fonts,
    range: Range,
    colours: Vec<Rgb>,
    segments: Vec<Segment>,
}

impl<'a> BarsPlot<'a> {
    pub(super) fn new(plot: &'a Bars, fonts: &'a Fonts) -> Self {
        let segments = segments(plot);
        let range = match plot.y.range {
            Some((low, high)) => Range { low, high },
            None => {
                let data = Range::of(segments.iter().map(|s| s.to).chain([0.0])).with_zero();
                let padded = data.padded();
                Range {
                    low: if data.low < 0.0 { padded.low } else { 0.0 },
                    high: if data.high > 0.0 { padded.high } else { 0.0 },
                }
            }
        };
        Self { plot, fonts, range, colours: palette::marks(plot.groups.len(), false), segments }
    }

    fn axes(&self) -> Axes<'a> {
        Axes {
            fonts: self.fonts,
            bottom: Bottom::Names { title: &self.plot.category_axis, names: &self.plot.categories },
            left: (&self.plot.y, self.range),
        }
    }

    /// Bars beside each other in a category.
    fn abreast(&self) -> usize {
        if self.plot.stacked { 1 } else { self.plot.groups.len().max(1) }
    }

    /// True if the end of the axis hides a part.
    fn cut(&self, segment: &Segment) -> bool {
        let slack = self.range.span() * ROUNDING;
        let holds = |v: f64| v >= self.range.low - slack && v <= self.range.high + slack;
        !holds(segment.to) || (segment.from != 0.0 && !holds(segment.from))
    }
}

impl Panelled for BarsPlot<'_> {
    fn area(&self, target: Size) -> Size {
        let bars = self.plot.categories.len() * self.abreast();
        let needed = bars as f64 * 9.0 + self.plot.categories.len() as f64 * 5.0;
        Size { w: needed.clamp(target.w, 1000.0_f64.max(target.w)), h: target.w * 0.58 }
    }

    fn margins(&self, area: Size) -> Margins {
        self.axes().margins(area)
    }

    fn side(&self) -> Vec<Block> {
        let key = |(group, rgb): (&(String, Vec<f64>), &Rgb)| (Swatch::Bar(*rgb), group.0.clone());
        let mut keys: Vec<_> = self.plot.groups.iter().zip(&self.colours).map(key).collect();
        let upwards: f64 = self.segments.iter().map(|s| s.to - s.from).sum();
        if self.plot.stacked && upwards >= 0.0 {
            // The eye reads both stacks and keys from the top.
            keys.reverse();
        }
        let told_apart = keys.len() > 1 || keys.iter().any(|(_, name)| !name.is_empty());
        told_apart.then_some(Block::Keys { title: String::new(), keys }).into_iter().collect()
    }

    fn notes(&self) -> Vec<String> {
        let bars: usize = self.plot.groups.iter().map(|group| group.1.len()).sum();
        let missing = bars - self.segments.len();
        let cut = self.segments.iter().filter(|segment| self.cut(segment)).count();
        let what = if self.plot.stacked { "segment" } else { "bar" };
        [(missing, "without a value"), (cut, "cut at the end of the axis")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, why)| format!("{} {why}", counted(n, what)))
            .collect()
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        let axes = self.axes();
        axes.paint(scene, area, false);
        if self.segments.is_empty() {
            paint_nothing(scene, area);
        }
        let abreast = self.abreast() as f64;
        let place = area.w / self.plot.categories.len().max(1) as f64;
        let width = (place * FILL / abreast).min(WIDEST);
        let beside = if abreast > 1.0 { (width * 0.08).min(1.0) } else { 0.0 };
        let inside = |value: f64| axes.y(area, value.clamp(self.range.low, self.range.high));
        let base = inside(0.0);
        for segment in &self.segments {
            let column = if self.plot.stacked { 0.0 } else { segment.group as f64 };
            let left = axes.x(area, segment.category as f64) + (column - abreast / 2.0) * width;
            let (from, to) = (inside(segment.from), inside(segment.to));
            let below =
                if segment.from == 0.0 { 0.0 } else { STACK_GAP.0.min(STACK_GAP.1 * (to - from).abs()) };
            let from = if to < from { from - below } else { from + below };
            scene.rect(
                Rect::new(left, to.min(from), width - beside, (to - from).abs()),
                self.colours[segment.group],
            );
        }
        if self.range.low <= 0.0 && self.range.high >= 0.0 {
            let y = crisp(base.min(area.bottom()));
            scene.line(vec![(area.x, y), (area.right(), y)], AXIS_WIDTH, palette::AXIS);
        }
    }
}
