//! Bars, grouped by category.

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

pub(super) struct BarsPlot<'a> {
    plot: &'a Bars,
    fonts: &'a Fonts,
    range: Range,
    colours: Vec<Rgb>,
}

impl<'a> BarsPlot<'a> {
    pub(super) fn new(plot: &'a Bars, fonts: &'a Fonts) -> Self {
        let heights = || plot.groups.iter().flat_map(|g| g.1.iter().copied());
        let range = match plot.y.range {
            Some((low, high)) => Range { low, high },
            None => {
                let data = Range::of(heights().chain([0.0])).with_zero();
                let padded = data.padded();
                Range {
                    low: if data.low < 0.0 { padded.low } else { 0.0 },
                    high: if data.high > 0.0 { padded.high } else { 0.0 },
                }
            }
        };
        Self { plot, fonts, range, colours: palette::marks(plot.groups.len(), false) }
    }

    fn axes(&self) -> Axes<'a> {
        Axes {
            fonts: self.fonts,
            bottom: Bottom::Names { title: &self.plot.category_axis, names: &self.plot.categories },
            left: (&self.plot.y, self.range),
        }
    }

    fn heights(&self) -> impl Iterator<Item = f64> {
        self.plot.groups.iter().flat_map(|g| g.1.iter().copied())
    }
}

impl Panelled for BarsPlot<'_> {
    fn area(&self, target: Size) -> Size {
        let bars = self.plot.categories.len() * self.plot.groups.len().max(1);
        let needed = bars as f64 * 9.0 + self.plot.categories.len() as f64 * 5.0;
        Size { w: needed.clamp(target.w, 1000.0_f64.max(target.w)), h: target.w * 0.58 }
    }

    fn margins(&self, area: Size) -> Margins {
        self.axes().margins(area)
    }

    fn side(&self) -> Vec<Block> {
        let key = |(group, rgb): (&(String, Vec<f64>), &Rgb)| (Swatch::Bar(*rgb), group.0.clone());
        let keys: Vec<_> = self.plot.groups.iter().zip(&self.colours).map(key).collect();
        let told_apart = keys.len() > 1 || keys.iter().any(|(_, name)| !name.is_empty());
        told_apart.then_some(Block::Keys { title: String::new(), keys }).into_iter().collect()
    }

    fn notes(&self) -> Vec<String> {
        let missing = self.heights().filter(|v| v.is_nan()).count();
        let cut = self.heights().filter(|v| !v.is_nan() && !self.range.holds(*v)).count();
        [(missing, "without a value"), (cut, "cut at the end of the axis")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, why)| format!("{} {why}", counted(n, "bar")))
            .collect()
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        let axes = self.axes();
        axes.paint(scene, area, false);
        if self.heights().all(f64::is_nan) {
            paint_nothing(scene, area);
        }
        let groups = self.plot.groups.len().max(1) as f64;
        let place = area.w / self.plot.categories.len().max(1) as f64;
        let width = (place * FILL / groups).min(WIDEST);
        let inside = |value: f64| axes.y(area, value.clamp(self.range.low, self.range.high));
        let base = inside(0.0);
        for (g, ((_, heights), rgb)) in self.plot.groups.iter().zip(&self.colours).enumerate() {
            for (category, height) in heights.iter().enumerate().filter(|(_, h)| !h.is_nan()) {
                let left = axes.x(area, category as f64) + (g as f64 - groups / 2.0) * width;
                let tip = inside(*height);
                let gap = if groups > 1.0 { (width * 0.08).min(1.0) } else { 0.0 };
                scene.rect(Rect::new(left, tip.min(base), width - gap, (tip - base).abs()), *rgb);
            }
        }
        if self.range.low <= 0.0 && self.range.high >= 0.0 {
            let y = crisp(base.min(area.bottom()));
            scene.line(vec![(area.x, y), (area.right(), y)], AXIS_WIDTH, palette::AXIS);
        }
    }
}
