//! Lines and points over a common axis.

use std::collections::HashMap;

use fmrai_core::report::figure::{Lines, Mark, Series};

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::axes::{Axes, Bottom};
use crate::guides::legend::{Block, Swatch};
use crate::guides::ticks::Range;
use crate::palette;
use crate::scene::{Align, Dash, Rect, Rgb, Scene, Size, Turn, Xy};
use crate::style::{LINE_WIDTH, TICK};
use crate::text::{CAPITAL, Fonts, LEADING};
use crate::wording::counted;

/// More series than this are taken to have an order, since no eye tells so many hues apart.
const MOST_HUES: usize = 8;
/// Width left of the data for names of reference lines.
const REFERENCE: f64 = 96.0;

pub(crate) struct LinesPlot<'a> {
    plot: &'a Lines,
    fonts: &'a Fonts,
    ranges: (Range, Range),
    colours: Vec<Rgb>,
}

impl<'a> LinesPlot<'a> {
    pub(crate) fn new(plot: &'a Lines, fonts: &'a Fonts) -> Self {
        let known = || plot.series.iter().flat_map(|s| &s.points).filter(|p| !p.0.is_nan() && !p.1.is_nan());
        let heights = known().map(|p| p.1).chain(plot.references.iter().map(|r| r.1));
        let ranges = (Range::shown(&plot.x, known().map(|p| p.0)), Range::shown(&plot.y, heights));
        let n = plot.series.len();
        Self { plot, fonts, ranges, colours: palette::marks(n, n > MOST_HUES) }
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

    fn references(&self) -> Vec<(Vec<String>, f64)> {
        let shown = self.plot.references.iter().filter(|r| self.ranges.1.holds(r.1));
        let mut lines: Vec<_> =
            shown.map(|(name, y)| (self.fonts.wrap(name, TICK, REFERENCE, 3), *y)).collect();
        lines.sort_by(|a, b| b.1.total_cmp(&a.1));
        lines
    }

    fn paint_references(&self, scene: &mut Scene, axes: &Axes<'_>, area: Rect) {
        let leading = TICK.size * LEADING;
        let references = self.references();
        let heights: Vec<(f64, f64)> = references
            .iter()
            .map(|(lines, height)| (axes.y(area, *height), lines.len() as f64 * leading))
            .collect();
        for ((lines, _), (mut top, (y, _))) in
            references.iter().zip(apart(&heights, area).into_iter().zip(heights))
        {
            scene.stroke(&[(area.x, y), (area.right(), y)], 1.25, palette::REFERENCE, Dash::Dashed);
            for line in lines {
                let baseline = top + leading / 2.0 + TICK.size * CAPITAL / 2.0;
                scene.text(line, (area.right() + 6.0, baseline), TICK, Align::Start, Turn::Level);
                top += leading;
            }
        }
    }

    fn paint_points(&self, scene: &mut Scene, axes: &Axes<'_>, area: Rect, series: &Series, rgb: Rgb) {
        let radius = if series.points.len() > 1000 { 1.8 } else { 2.8 };
        let alpha = if series.points.len() > 1000 { 0.35 } else { 0.5 };
        let points: Vec<Xy> = series.points.iter().copied().filter(|p| self.holds(*p)).collect();
        for ((x, y), shift) in points.iter().zip(spread(&points, axes, area)) {
            let at = axes.at(area, *x, *y);
            let x = (at.0 + shift).clamp(area.x, area.right());
            scene.circle((x, at.1), radius, rgb.alpha(alpha));
        }
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
        self.paint_references(scene, &axes, area);
        for (series, (rgb, _)) in self.series(Mark::Points) {
            self.paint_points(scene, &axes, area, series, rgb);
        }
        for (series, look) in self.series(Mark::Line) {
            self.paint_line(scene, &axes, area, series, look);
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

/// How far each point is moved sideways so that points at one position do not hide each other: evenly over at most
/// half the distance of neighbouring positions, in the order of the golden ratio, which keeps successive points apart.
fn spread(points: &[Xy], axes: &Axes<'_>, area: Rect) -> Vec<f64> {
    const WIDEST: f64 = 22.0;
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut positions: Vec<f64> = points.iter().map(|p| axes.x(area, p.0)).collect();
    positions.sort_by(f64::total_cmp);
    positions.dedup();
    let apart = positions.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    let width = (apart / 2.0).min(WIDEST);
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
        let series = |i: usize| Series { name: i.to_string(), mark: Mark::Line, points: vec![(0.0, 0.0)] };
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
