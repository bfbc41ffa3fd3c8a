//! Points in a plane.

use std::cell::Cell;

use fmrai_core::report::figure::{Legend, Point, Scatter};

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::axes::{Axes, Bottom};
use crate::guides::legend::{Block, Ramp, Swatch};
use crate::guides::marker::{Form, Marker};
use crate::guides::placement::{Wish, place};
use crate::guides::ticks::{Label, Range};
use crate::palette;
use crate::scene::{Align, Rect, Rgb, Scene, Size, Turn};
use crate::style::POINT;
use crate::text::{CAPITAL, Fonts};
use crate::wording::counted;

/// Ordered legends with more entries become a bar of colours.
const MOST_ORDERED_KEYS: usize = 24;
/// With more points than this, none is labelled.
const MOST_LABELLED: usize = 3000;
const WIDEST_LABEL: f64 = 90.0;

pub(crate) struct ScatterPlot<'a> {
    plot: &'a Scatter,
    fonts: &'a Fonts,
    ranges: (Range, Range),
    shown: Vec<&'a Point>,
    colours: Vec<Rgb>,
    /// Labels that found no room when the plot was painted.
    unlabelled: Cell<usize>,
}

impl<'a> ScatterPlot<'a> {
    pub(crate) fn new(plot: &'a Scatter, fonts: &'a Fonts) -> Self {
        let known = || plot.points.iter().filter(|p| !p.x.is_nan() && !p.y.is_nan());
        let x = Range::shown(&plot.x, known().map(|p| p.x));
        let y = Range::shown(&plot.y, known().map(|p| p.y));
        let shown = known().filter(|p| x.holds(p.x) && y.holds(p.y)).collect();
        let colours = palette::marks(plot.colours.entries.len().max(1), plot.colours.ordered);
        Self { plot, fonts, ranges: (x, y), shown, colours, unlabelled: Cell::new(0) }
    }

    /// The axes for a size of the data; with equal aspect the shorter range is widened to both sides.
    fn axes(&self, area: Size) -> Axes<'a> {
        let (mut x, mut y) = self.ranges;
        if self.plot.equal_aspect && area.w > 0.0 && area.h > 0.0 {
            let unit = (x.span() / area.w).max(y.span() / area.h);
            let widened = |range: Range, length: f64| {
                let room = (unit * length - range.span()).max(0.0) / 2.0;
                Range { low: range.low - room, high: range.high + room }
            };
            (x, y) = (widened(x, area.w), widened(y, area.h));
        }
        Axes {
            fonts: self.fonts,
            bottom: Bottom::Numbers { axis: &self.plot.x, range: x },
            left: (&self.plot.y, y),
        }
    }

    fn radius(&self) -> f64 {
        match self.shown.len() {
            0..=80 => 4.4,
            81..=250 => 3.7,
            251..=1500 => 2.8,
            _ => 1.8,
        }
    }

    fn marker(&self, point: &Point) -> Marker {
        Marker::nth(if self.plot.shapes.is_some() { point.shape } else { 0 })
    }

    fn colour_block(&self, legend: &Legend) -> Option<Block> {
        let n = legend.entries.len();
        if n == 0 || (n == 1 && legend.title.is_empty()) {
            return None;
        }
        if legend.ordered && n > MOST_ORDERED_KEYS {
            let share = |i: usize| (i as f64 + 0.5) / n as f64;
            let ticks = legend.entries.iter().enumerate().map(|(i, text)| (share(i), text.clone()));
            return Some(Block::Ramp(Ramp {
                title: Label::plain(&legend.title),
                beside: false,
                colours: self.colours.clone(),
                ticks: ticks.collect(),
                beyond: (false, false),
                missing: false,
            }));
        }
        // Where shapes mean something, a colour alone has none.
        let swatch = |rgb: Rgb| match self.plot.shapes {
            Some(_) => Swatch::Bar(rgb),
            None => Swatch::Mark(Marker::of(Form::Circle), rgb),
        };
        let keys = legend.entries.iter().zip(&self.colours);
        let keys = keys.map(|(text, rgb)| (swatch(*rgb), text.clone())).collect();
        Some(Block::Keys { title: legend.title.clone(), keys })
    }
}

impl Panelled for ScatterPlot<'_> {
    fn area(&self, target: Size) -> Size {
        Size { w: target.w, h: target.w * 0.8 }
    }

    fn side(&self) -> Vec<Block> {
        let shapes = self.plot.shapes.as_ref().filter(|s| !s.entries.is_empty()).map(|legend| {
            let key =
                |(i, text): (usize, &String)| (Swatch::Mark(Marker::nth(i), palette::NEUTRAL), text.clone());
            Block::Keys {
                title: legend.title.clone(),
                keys: legend.entries.iter().enumerate().map(key).collect(),
            }
        });
        self.colour_block(&self.plot.colours).into_iter().chain(shapes).collect()
    }

    fn notes(&self) -> Vec<String> {
        let unknown = self.plot.points.iter().filter(|p| p.x.is_nan() || p.y.is_nan()).count();
        let outside = self.plot.points.len() - unknown - self.shown.len();
        [
            (unknown, "point", "without a position"),
            (outside, "point", "outside the axes"),
            (self.unlabelled.get(), "label", "for lack of room"),
        ]
        .into_iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, what, why)| format!("{} {why}", counted(n, what)))
        .collect()
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        let axes = self.axes(Size { w: area.w, h: area.h });
        axes.paint(scene, area, true);
        if self.plot.points.is_empty() {
            paint_nothing(scene, area);
        }
        let radius = self.radius();
        let many = self.shown.len() > 1500;
        for point in &self.shown {
            let at = axes.at(area, point.x, point.y);
            let rgb = self.colours.get(point.colour).copied().unwrap_or(palette::NEUTRAL);
            if many && self.plot.shapes.is_none() {
                scene.circle(at, radius, rgb.alpha(0.55));
            } else {
                self.marker(point).draw(scene, at, radius, rgb);
            }
        }
        if self.shown.len() > MOST_LABELLED {
            self.unlabelled.set(self.shown.iter().filter(|p| !p.label.trim().is_empty()).count());
            return;
        }
        let height = POINT.size * 1.05;
        let labels: Vec<String> =
            self.shown.iter().map(|p| self.fonts.shorten(p.label.trim(), POINT, WIDEST_LABEL)).collect();
        let wishes: Vec<Wish> = self
            .shown
            .iter()
            .zip(&labels)
            .map(|(p, label)| Wish {
                at: axes.at(area, p.x, p.y),
                w: self.fonts.width(label, POINT),
                h: height,
            })
            .collect();
        let places = place(area, &wishes, radius * 1.35 + 0.75);
        let lacking =
            labels.iter().zip(&places).filter(|(label, place)| !label.is_empty() && place.is_none());
        self.unlabelled.set(lacking.count());
        for (label, place) in labels.iter().zip(places) {
            if let Some(rect) = place {
                let baseline = rect.y + (height + POINT.size * CAPITAL) / 2.0;
                scene.text(label, (rect.x, baseline), POINT, Align::Start, Turn::Level);
            }
        }
    }
}
