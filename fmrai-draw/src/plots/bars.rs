//! Bars, grouped by category, side by side or on each other.

use fmrai_core::report::figure::Bars;

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::axes::{Axes, Bottom};
use crate::guides::legend::{Block, Swatch};
use crate::guides::ticks::Range;
use crate::palette;
use crate::scene::{Rect, Rgb, Scene, Size, crisp};
use crate::style::AXIS_WIDTH;
use crate::text::Fonts;
use crate::wording::counted;

/// Share of a category's place that its bars fill.
const FILL: f64 = 0.78;
/// Widest bar.
const WIDEST: f64 = 46.0;
/// Paper between the segments of a stack, in whole points, so that all gaps look alike; and the share of a small segment that
/// it may take.
const STACK_GAP: (f64, f64) = (1.0, 0.25);
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
pub(crate) fn too_far(plot: &Bars, most: f64) -> Option<(&str, f64)> {
    let beyond = segments(plot).into_iter().find(|segment| segment.to.abs() > most)?;
    Some((plot.categories.get(beyond.category)?, beyond.to))
}

pub(crate) struct BarsPlot<'a> {
    plot: &'a Bars,
    fonts: &'a Fonts,
    range: Range,
    colours: Vec<Rgb>,
    segments: Vec<Segment>,
}

impl<'a> BarsPlot<'a> {
    pub(crate) fn new(plot: &'a Bars, fonts: &'a Fonts) -> Self {
        let segments = segments(plot);
        let range = match plot.y.range {
            Some((low, high)) => Range { low, high },
            // Bars grow upwards where nothing says otherwise.
            None if segments.iter().all(|s| s.to == 0.0) => Range { low: 0.0, high: 1.0 },
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

#[cfg(test)]
mod tests {
    use fmrai_core::report::figure::Axis;
    use proptest::prelude::*;

    use super::*;
    use crate::scene::Shape;

    fn stacked(groups: &[&[f64]]) -> Bars {
        let name = |(i, heights): (usize, &&[f64])| (format!("group {i}"), heights.to_vec());
        Bars {
            category_axis: "layer".to_owned(),
            categories: (0..groups[0].len()).map(|i| i.to_string()).collect(),
            y: Axis::new("share", None),
            groups: groups.iter().enumerate().map(name).collect(),
            stacked: true,
        }
    }

    fn drawn(plot: &Bars) -> BarsPlot<'_> {
        BarsPlot::new(plot, Fonts::embedded().unwrap())
    }

    fn keys(plot: &Bars) -> Vec<String> {
        match drawn(plot).side().as_slice() {
            [Block::Keys { keys, .. }] => keys.iter().map(|key| key.1.clone()).collect(),
            other => panic!("expected one list of keys, got {other:?}"),
        }
    }

    #[test]
    fn segments_stand_on_those_before_them_of_their_sign() {
        let plot = stacked(&[&[1.0, -1.0], &[-2.0, f64::NAN], &[3.0, -4.0]]);
        let ends: Vec<_> = segments(&plot).into_iter().map(|s| (s.group, s.category, s.from, s.to)).collect();
        let expected =
            [(0, 0, 0.0, 1.0), (0, 1, 0.0, -1.0), (1, 0, 0.0, -2.0), (2, 0, 1.0, 4.0), (2, 1, -1.0, -5.0)];
        assert_eq!(ends, expected);
        let range = drawn(&plot).range;
        assert!(range.low < -5.0 && range.low > -6.0 && range.high > 4.0 && range.high < 5.0, "{range:?}");
        assert_eq!(drawn(&plot).notes(), ["1 segment without a value"]);
    }

    #[test]
    fn bars_without_height_stand_on_an_axis_that_begins_at_zero() {
        for heights in [&[][..], &[0.0, 0.0], &[f64::NAN]] {
            assert_eq!(drawn(&stacked(&[heights])).range, Range { low: 0.0, high: 1.0 });
        }
        assert!(drawn(&stacked(&[&[-2.0]])).range.low < -2.0);
    }

    #[test]
    fn shares_that_sum_to_one_but_for_rounding_are_not_cut() {
        let heights = [0.2, 0.4, 0.3, 0.1];
        let mut plot = stacked(&heights.each_ref().map(std::slice::from_ref));
        assert!(heights.iter().sum::<f64>() > 1.0);
        plot.y = plot.y.range(0.0, 1.0);
        assert!(drawn(&plot).notes().is_empty());
        plot.y = plot.y.range(0.0, 0.25);
        assert_eq!(drawn(&plot).notes(), ["3 segments cut at the end of the axis"]);
    }

    #[test]
    fn keys_are_read_in_the_order_of_the_stack() {
        assert_eq!(keys(&stacked(&[&[1.0], &[2.0]])), ["group 1", "group 0"]);
        assert_eq!(keys(&stacked(&[&[-1.0], &[-2.0]])), ["group 0", "group 1"]);
        assert_eq!(keys(&Bars { stacked: false, ..stacked(&[&[1.0], &[2.0]]) }), ["group 0", "group 1"]);
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        /// Segments part neatly: none overlaps another, and the top of each is where its height says.
        #[test]
        fn segments_never_overlap(heights in prop::collection::vec(-5.0..5.0_f64, 2..12)) {
            let groups: Vec<&[f64]> = heights.iter().map(std::slice::from_ref).collect();
            let plot = stacked(&groups);
            let drawn = drawn(&plot);
            let area = Rect::new(0.0, 0.0, 300.0, 200.0);
            let mut scene = Scene::default();
            drawn.paint(&mut scene, area);
            let rect = |s: &Shape| if let Shape::Rect { rect, .. } = s { Some(*rect) } else { None };
            let rects: Vec<Rect> = scene.shapes.iter().filter_map(rect).collect();
            prop_assert_eq!(rects.len(), heights.len());
            for (i, (rect, segment)) in rects.iter().zip(segments(&plot)).enumerate() {
                let tip = drawn.axes().y(area, segment.to);
                let end = if segment.to > segment.from { rect.y } else { rect.bottom() };
                prop_assert!((end - tip).abs() < 1e-9, "{rect:?} ends at {end}, not {tip}");
                let inner = |r: &Rect| Rect::new(r.x, r.y + 1e-9, r.w, (r.h - 2e-9).max(0.0));
                prop_assert!(rects[..i].iter().all(|other| !inner(rect).overlaps(&inner(other))));
            }
        }
    }
}
