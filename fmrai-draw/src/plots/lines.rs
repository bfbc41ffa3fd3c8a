//! Lines and points over a common axis.

use std::cell::Cell;
use std::collections::HashMap;

use fmrai_core::report::figure::{Lines, Mark, Series};

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::axes::{Axes, Bottom};
use crate::guides::legend::{Block, Swatch};
use crate::guides::placement::{Wish, place};
use crate::guides::references::paint_references;
use crate::guides::ticks::Range;
use crate::palette;
use crate::scene::{Align, Dash, Rect, Rgb, Scene, Size, Turn, Xy};
use crate::style::{LINE_WIDTH, POINT};
use crate::text::{CAPITAL, Fonts};
use crate::wording::counted;

/// More series than this are taken to have an order, since no eye tells so many hues apart.
const MOST_HUES: usize = 8;
/// Points nearer to an end of the axis than this share of it lie on the axis: it is lengthened by [`ROOM`].
const NEAR: f64 = 0.012;
const ROOM: f64 = 0.035;
/// Longest half of a level stroke, and its share of the distance of neighbouring positions.
const STROKE: (f64, f64) = (16.0, 0.36);
/// Widest label of a point.
const WIDEST_LABEL: f64 = 90.0;
const POINT_RADIUS: f64 = 2.8;

pub(crate) struct LinesPlot<'a> {
    plot: &'a Lines,
    fonts: &'a Fonts,
    ranges: (Range, Range),
    colours: Vec<Rgb>,
    /// Labels that found no room when the plot was painted.
    unlabelled: Cell<usize>,
}

impl<'a> LinesPlot<'a> {
    pub(crate) fn new(plot: &'a Lines, fonts: &'a Fonts) -> Self {
        let known = || plot.series.iter().flat_map(|s| &s.points).filter(|p| !p.0.is_nan() && !p.1.is_nan());
        let ends = plot.series.iter().flat_map(|s| &s.intervals).flat_map(|ends| [ends.0, ends.1]);
        let heights = known().map(|p| p.1).chain(plot.references.iter().map(|r| r.1)).chain(ends);
        let mut ranges = (Range::shown(&plot.x, known().map(|p| p.0)), Range::shown(&plot.y, heights));
        ranges.1 = roomy(ranges.1, plot.series.iter().filter(|s| s.mark != Mark::Line));
        let n = plot.series.len();
        Self { plot, fonts, ranges, colours: palette::marks(n, n > MOST_HUES), unlabelled: Cell::new(0) }
    }

    fn axes(&self) -> Axes<'a> {
        Axes {
            fonts: self.fonts,
            bottom: Bottom::Numbers { axis: &self.plot.x, range: self.ranges.0 },
            left: (&self.plot.y, self.ranges.1),
        }
    }

    fn series(&self, mark: Mark) -> impl Iterator<Item = (&'a Series, (Rgb, Dash))> {
        let looks = (0..self.plot.series.len()).map(|i| self.look(i));
        self.plot.series.iter().zip(looks).filter(move |(series, _)| series.mark == mark)
    }

    /// Colour and dashes of a series. Where there are many, their colours run through a scale, and neighbours differ in
    /// their dashes too.
    fn look(&self, index: usize) -> (Rgb, Dash) {
        let dashes = [Dash::Solid, Dash::Dashed, Dash::Dotted];
        let many = self.plot.series.len() > MOST_HUES;
        let dash = if many { dashes[index % dashes.len()] } else { Dash::Solid };
        (self.colours.get(index).copied().unwrap_or(palette::NEUTRAL), dash)
    }

    /// Paints the points of a series; returns where they are, each with its index.
    fn paint_points(
        &self,
        scene: &mut Scene,
        axes: &Axes<'_>,
        area: Rect,
        series: &Series,
        rgb: Rgb,
    ) -> Vec<(usize, Xy)> {
        let radius = if series.points.len() > 1000 { 1.8 } else { POINT_RADIUS };
        let alpha = if series.points.len() > 1000 { 0.35 } else { 0.5 };
        let points: Vec<(usize, Xy)> =
            series.points.iter().copied().enumerate().filter(|p| self.holds(p.1)).collect();
        let places: Vec<Xy> = points.iter().map(|p| p.1).collect();
        let shifts = spread(&places, axes, area);
        let mut painted = Vec::with_capacity(points.len());
        for ((index, (x, y)), shift) in points.into_iter().zip(shifts) {
            let at = axes.at(area, x, y);
            let x = (at.0 + shift).clamp(area.x, area.right());
            scene.circle((x, at.1), radius, rgb.alpha(alpha));
            painted.push((index, (x, at.1)));
        }
        painted
    }

    /// Paints a stroke at each point of a series; returns where they are, each with its index.
    fn paint_levels(
        &self,
        scene: &mut Scene,
        axes: &Axes<'_>,
        area: Rect,
        series: &Series,
        rgb: Rgb,
    ) -> Vec<(usize, Xy)> {
        let points = || series.points.iter().copied().enumerate().filter(|p| self.holds(p.1));
        let half = (apart_by(points().map(|p| axes.x(area, p.1.0))) * STROKE.1).min(STROKE.0);
        let painted: Vec<(usize, Xy)> = points().map(|(i, (x, y))| (i, axes.at(area, x, y))).collect();
        for (_, (x, y)) in &painted {
            let ends = ((x - half).max(area.x), (x + half).min(area.right()));
            scene.stroke(&[(ends.0, *y), (ends.1, *y)], LINE_WIDTH, rgb, Dash::Solid);
        }
        painted
    }

    fn paint_intervals(&self, scene: &mut Scene, axes: &Axes<'_>, area: Rect, series: &Series, rgb: Rgb) {
        const CAP: f64 = 3.0;
        let (low, high) = (self.ranges.1.low, self.ranges.1.high);
        for (&(x, _), &(from, to)) in series.points.iter().zip(&series.intervals) {
            if !self.ranges.0.holds(x) || from.is_nan() || to.is_nan() || from > high || to < low {
                continue;
            }
            let (x, from_y) = axes.at(area, x, from.max(low));
            let to_y = axes.y(area, to.min(high));
            scene.line(vec![(x, from_y), (x, to_y)], 1.25, rgb);
            for (y, whole) in [(from_y, from >= low), (to_y, to <= high)] {
                if whole {
                    scene.line(vec![(x - CAP, y), (x + CAP, y)], 1.25, rgb);
                }
            }
        }
    }

    /// Writes labels beside their points, clear of all points.
    fn paint_labels(&self, scene: &mut Scene, area: Rect, painted: &[(&Series, Vec<(usize, Xy)>)]) {
        let height = POINT.size * 1.05;
        let label = |series: &Series, index: usize| {
            let text = series.labels.get(index).map_or("", |label| label.trim());
            self.fonts.shorten(text, POINT, WIDEST_LABEL)
        };
        let all: Vec<(String, Xy)> = painted
            .iter()
            .flat_map(|(series, places)| places.iter().map(|(i, at)| (label(series, *i), *at)))
            .collect();
        if all.iter().all(|(label, _)| label.is_empty()) {
            return;
        }
        let wish =
            |(label, at): &(String, Xy)| Wish { at: *at, w: self.fonts.width(label, POINT), h: height };
        let places = place(area, &all.iter().map(wish).collect::<Vec<_>>(), POINT_RADIUS + 0.75);
        let mut without = 0;
        for ((label, _), place) in all.iter().zip(places).filter(|((label, _), _)| !label.is_empty()) {
            let Some(rect) = place else {
                without += 1;
                continue;
            };
            let baseline = rect.y + (height + POINT.size * CAPITAL) / 2.0;
            scene.text(label, (rect.x, baseline), POINT, Align::Start, Turn::Level);
        }
        self.unlabelled.set(without);
    }

    fn paint_line(&self, scene: &mut Scene, axes: &Axes<'_>, area: Rect, series: &Series, look: (Rgb, Dash)) {
        let (rgb, dash) = look;
        for run in series.points.split(|p| p.0.is_nan() || p.1.is_nan()) {
            let path: Vec<Xy> = run.iter().map(|p| axes.at(area, p.0, p.1)).collect();
            if let [alone] = run
                && self.holds(*alone)
            {
                scene.circle(path[0], LINE_WIDTH * 1.2, rgb);
            }
            for piece in clipped(&path, area) {
                scene.stroke(&piece, LINE_WIDTH, rgb, dash);
            }
        }
    }

    fn holds(&self, point: Xy) -> bool {
        self.ranges.0.holds(point.0) && self.ranges.1.holds(point.1)
    }
}

impl Panelled for LinesPlot<'_> {
    fn area(&self, target: Size) -> Size {
        Size { w: target.w, h: target.w * 0.62 }
    }

    fn side(&self) -> Vec<Block> {
        let key = |(index, series): (usize, &Series)| {
            let (rgb, dash) = self.look(index);
            let swatch = match series.mark {
                Mark::Line => Swatch::Line(rgb, dash),
                Mark::Levels => Swatch::Line(rgb, Dash::Solid),
                Mark::Points => Swatch::Dots(rgb),
            };
            (swatch, series.name.clone())
        };
        let keys: Vec<_> = self.plot.series.iter().enumerate().map(key).collect();
        let named = keys.iter().any(|(_, name)| !name.is_empty());
        named.then_some(Block::Keys { title: String::new(), keys }).into_iter().collect()
    }

    fn notes(&self) -> Vec<String> {
        let points = || self.plot.series.iter().flat_map(|s| &s.points);
        let unknown = |p: &&Xy| p.0.is_nan() || p.1.is_nan();
        let missing = points().filter(unknown).count();
        let outside = points().filter(|p| !unknown(p) && !self.holds(**p)).count();
        let references = self.plot.references.iter().filter(|r| !self.ranges.1.holds(r.1)).count();
        [
            (missing, "point", "without a value"),
            (outside, "point", "outside the axes"),
            (references, "reference", "outside the axes"),
            (self.unlabelled.get(), "label", "for lack of room"),
        ]
        .into_iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, what, why)| format!("{} {why}", counted(n, what)))
        .collect()
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        let axes = self.axes();
        axes.paint(scene, area, false);
        if self.plot.series.iter().all(|s| s.points.is_empty()) {
            paint_nothing(scene, area);
        }
        paint_references(scene, self.fonts, &self.plot.references, (&axes, self.ranges.1), area);
        for (series, (rgb, _)) in
            [Mark::Points, Mark::Levels, Mark::Line].map(|m| self.series(m)).into_iter().flatten()
        {
            self.paint_intervals(scene, &axes, area, series, rgb);
        }
        let mut painted = Vec::new();
        for (series, (rgb, _)) in self.series(Mark::Points) {
            painted.push((series, self.paint_points(scene, &axes, area, series, rgb)));
        }
        for (series, (rgb, _)) in self.series(Mark::Levels) {
            painted.push((series, self.paint_levels(scene, &axes, area, series, rgb)));
        }
        for (series, look) in self.series(Mark::Line) {
            self.paint_line(scene, &axes, area, series, look);
            let shown = series.points.iter().enumerate().filter(|(_, p)| self.holds(**p));
            painted.push((series, shown.map(|(i, p)| (i, axes.at(area, p.0, p.1))).collect()));
        }
        self.paint_labels(scene, area, &painted);
    }
}

/// A range with room beyond the marks that lie on its ends.
fn roomy<'a>(range: Range, marks: impl Iterator<Item = &'a Series>) -> Range {
    let room = range.span() * ROOM;
    let (mut low, mut high) = (range.low, range.high);
    for y in marks.flat_map(|series| &series.points).map(|p| p.1).filter(|y| range.holds(*y)) {
        if range.share(y) < NEAR {
            low = range.low - room;
        } else if range.share(y) > 1.0 - NEAR {
            high = range.high + room;
        }
    }
    Range { low, high }
}

/// The least distance between two different positions; infinite for one alone.
fn apart_by(positions: impl Iterator<Item = f64>) -> f64 {
    let mut positions: Vec<f64> = positions.collect();
    positions.sort_by(f64::total_cmp);
    positions.dedup();
    positions.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min)
}

/// How far each point is moved sideways so that points at one position do not hide each other: evenly over at most
/// two fifths of the distance of neighbouring positions, in the order of the golden ratio, which keeps successive points apart.
fn spread(points: &[Xy], axes: &Axes<'_>, area: Rect) -> Vec<f64> {
    const WIDEST: f64 = 22.0;
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let width = (apart_by(points.iter().map(|p| axes.x(area, p.0))) * 0.4).min(WIDEST);
    let mut at: HashMap<u64, usize> = HashMap::new();
    for point in points {
        *at.entry(point.0.to_bits()).or_default() += 1;
    }
    let mut before: HashMap<u64, usize> = HashMap::new();
    points
        .iter()
        .map(|point| {
            let key = point.0.to_bits();
            let index = before.entry(key).or_default();
            *index += 1;
            let alone = at.get(&key).is_none_or(|n| *n < 2);
            if alone { 0.0 } else { width * ((*index as f64 * GOLDEN).fract() - 0.5) }
        })
        .collect()
}

/// The pieces of a path that lie inside a rectangle.
fn clipped(path: &[Xy], area: Rect) -> Vec<Vec<Xy>> {
    let mut pieces: Vec<Vec<Xy>> = Vec::new();
    for pair in path.windows(2) {
        let Some((from, to)) = clipped_segment(pair[0], pair[1], area) else { continue };
        match pieces.last_mut() {
            Some(piece) if piece.last() == Some(&from) => piece.push(to),
            _ => pieces.push(vec![from, to]),
        }
    }
    pieces
}

/// The part of a segment inside a rectangle (Liang and Barsky 1984).
fn clipped_segment(a: Xy, b: Xy, area: Rect) -> Option<(Xy, Xy)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let edges =
        [(-dx, a.0 - area.x), (dx, area.right() - a.0), (-dy, a.1 - area.y), (dy, area.bottom() - a.1)];
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (direction, distance) in edges {
        // Half a point of tolerance keeps lines along the very edge.
        if direction == 0.0 {
            if distance < -0.5 {
                return None;
            }
        } else if direction < 0.0 {
            enter = enter.max((distance + 0.5) / direction);
        } else {
            leave = leave.min((distance + 0.5) / direction);
        }
    }
    let point = |t: f64| {
        if t == 0.0 {
            a
        } else if t == 1.0 {
            b
        } else {
            (a.0 + t * dx, a.1 + t * dy)
        }
    };
    // Far outside, rounding may report a crossing that is none.
    let near = Rect::centred(area.centre(), area.w + 2.0, area.h + 2.0);
    let crosses = |p: Xy| near.contains(&Rect::new(p.0, p.1, 0.0, 0.0));
    let (from, to) = (point(enter), point(leave));
    (enter <= leave && crosses(from) && crosses(to)).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect { x: 0.0, y: 0.0, w: 10.0, h: 10.0 };

    #[test]
    fn a_path_is_cut_at_the_edges() {
        let pieces = clipped(&[(-10.0, 5.0), (5.0, 5.0), (5.0, 30.0), (8.0, 30.0), (8.0, 2.0)], AREA);
        let expected = [vec![(-0.5, 5.0), (5.0, 5.0), (5.0, 10.5)], vec![(8.0, 10.5), (8.0, 2.0)]];
        for (piece, expected) in pieces.iter().flatten().zip(expected.iter().flatten()) {
            assert!((piece.0 - expected.0).abs() < 1e-9 && (piece.1 - expected.1).abs() < 1e-9, "{pieces:?}");
        }
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    }

    /// By hand: 5 on, 3 off, over a corner after 6.
    #[test]
    fn a_broken_line_goes_on_around_corners() {
        let mut scene = Scene::default();
        scene.stroke(&[(0.0, 0.0), (6.0, 0.0), (6.0, 6.0)], 1.0, palette::TEXT, Dash::Dashed);
        let path = |s: &crate::scene::Shape| match s {
            crate::scene::Shape::Line { points, .. } => points.clone(),
            other => panic!("no line: {other:?}"),
        };
        let paths: Vec<Vec<Xy>> = scene.shapes.iter().map(path).collect();
        assert_eq!(paths, [[(0.0, 0.0), (5.0, 0.0)], [(6.0, 2.0), (6.0, 6.0)]]);
    }

    #[test]
    fn neighbours_among_many_lines_look_different() {
        let series = |i: usize| Series::line(&i.to_string(), vec![(0.0, 0.0)]);
        let plot = |n: usize| Lines {
            x: fmrai_core::report::figure::Axis::new("x", None),
            y: fmrai_core::report::figure::Axis::new("y", None),
            series: (0..n).map(series).collect(),
            references: Vec::new(),
        };
        let looks = |n: usize| -> Vec<Dash> {
            let plot = plot(n);
            let drawn = LinesPlot::new(&plot, Fonts::embedded().unwrap());
            (0..n).map(|i| drawn.look(i).1).collect()
        };
        assert!(looks(12).windows(3).all(|w| w[0] != w[1] && w[1] != w[2] && w[0] != w[2]));
        assert!(looks(8).iter().all(|dash| *dash == Dash::Solid));
    }

    #[test]
    fn only_points_that_share_a_position_move_and_never_to_their_neighbours() {
        let axis = fmrai_core::report::figure::Axis::new("x", None);
        let axes = Axes {
            fonts: Fonts::embedded().unwrap(),
            bottom: Bottom::Numbers { axis: &axis, range: Range { low: 0.0, high: 10.0 } },
            left: (&axis, Range { low: 0.0, high: 1.0 }),
        };
        let points = [(1.0, 0.1), (1.0, 0.2), (1.0, 0.3), (4.0, 0.5)];
        let shifts = spread(&points, &axes, AREA);
        assert_eq!(shifts[3], 0.0);
        assert!(shifts[..3].iter().all(|s| s.abs() <= 0.75));
        assert!(shifts[0] != shifts[1] && shifts[1] != shifts[2]);
    }
}
