//! Medians, quartiles and ranges by category.

use fmrai_core::report::figure::BoxPlot;

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::axes::{Axes, Bottom};
use crate::guides::legend::Block;
use crate::guides::references::paint_references;
use crate::guides::ticks::Range;
use crate::palette;
use crate::scene::{Rect, Scene, Size};
use crate::style::LINE_WIDTH;
use crate::text::Fonts;
use crate::wording::counted;

/// Widest box.
const WIDEST: f64 = 42.0;

pub(crate) struct BoxesPlot<'a> {
    plot: &'a BoxPlot,
    fonts: &'a Fonts,
    range: Range,
}

impl<'a> BoxesPlot<'a> {
    pub(crate) fn new(plot: &'a BoxPlot, fonts: &'a Fonts) -> Self {
        let references = plot.references.iter().map(|r| r.1);
        let range = Range::shown(&plot.y, plot.boxes.iter().flatten().copied().chain(references));
        Self { plot, fonts, range }
    }

    fn axes(&self) -> Axes<'a> {
        Axes {
            fonts: self.fonts,
            bottom: Bottom::Names { title: &self.plot.category_axis, names: &self.plot.categories },
            left: (&self.plot.y, self.range),
        }
    }
}

fn missing(summary: &[f64; 5]) -> bool {
    summary.iter().any(|v| v.is_nan())
}

impl Panelled for BoxesPlot<'_> {
    fn area(&self, target: Size) -> Size {
        let needed = self.plot.categories.len() as f64 * 12.0;
        Size { w: needed.clamp(target.w, 1000.0_f64.max(target.w)), h: target.w * 0.6 }
    }

    fn side(&self) -> Vec<Block> {
        Vec::new()
    }

    fn notes(&self) -> Vec<String> {
        let outside = |b: &&[f64; 5]| !missing(b) && !b.iter().all(|v| self.range.holds(*v));
        let references = self.plot.references.iter().filter(|r| !self.range.holds(r.1)).count();
        let mut counts = vec![
            (self.plot.boxes.iter().filter(|b| missing(b)).count(), "without values"),
            (self.plot.boxes.iter().filter(outside).count(), "cut at the end of the axis"),
        ];
        counts.retain(|(n, _)| *n > 0);
        let told = counts.into_iter();
        let told =
            told.map(|(n, why)| format!("{} {why}", counted(n, "summary").replace("summarys", "summaries")));
        let outside =
            (references > 0).then(|| format!("{} outside the axes", counted(references, "reference")));
        told.chain(outside).collect()
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        let axes = self.axes();
        axes.paint(scene, area, false);
        if self.plot.boxes.iter().all(missing) {
            paint_nothing(scene, area);
        }
        let place = area.w / self.plot.categories.len().max(1) as f64;
        let half = (place * 0.6).min(WIDEST) / 2.0;
        let (ink, fill) = (palette::marks(1, false)[0], palette::tint(palette::marks(1, false)[0], 0.3));
        for (i, summary) in self.plot.boxes.iter().enumerate().filter(|(_, b)| !missing(b)) {
            let x = axes.x(area, i as f64);
            let [low, q1, median, q3, high] =
                summary.map(|v| axes.y(area, v.clamp(self.range.low, self.range.high)));
            for (cap, quartile) in [(low, q1), (high, q3)] {
                scene.line(vec![(x, quartile), (x, cap)], 1.25, ink);
                scene.line(vec![(x - half * 0.5, cap), (x + half * 0.5, cap)], 1.25, ink);
            }
            let body = Rect::new(x - half, q3, 2.0 * half, q1 - q3);
            scene.rect(body, fill);
            scene.frame(body, 1.25, ink);
            scene.line(vec![(x - half, median), (x + half, median)], LINE_WIDTH * 1.4, palette::OUTLINE);
        }
        paint_references(scene, self.fonts, &self.plot.references, (&axes, self.range), area);
    }
}
