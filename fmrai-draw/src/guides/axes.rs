//! Axes around a plot: ranges onto paper, grid lines, ticks, names of categories, labels.

use fmrai_core::report::figure::Axis;

use crate::guides::ticks::{Label, Range, Ticks};
use crate::palette;
use crate::scene::{Align, Rect, Scene, Turn, Xy, crisp};
use crate::style::{AXIS, AXIS_WIDTH, NAME, TICK, TICK_LENGTH};
use crate::text::{CAPITAL, Fonts, LEADING};

const GAP: f64 = 3.0;
/// Length that every label of an axis may have, however short the axis is.
const SHORTEST_LABEL: f64 = 130.0;
const LABEL_LINES: usize = 2;
/// Longest name of a category that is written upright.
const UPRIGHT: f64 = 120.0;

/// The horizontal axis of a plot.
pub(crate) enum Bottom<'a> {
    /// Numbers.
    Numbers { axis: &'a Axis, range: Range },
    /// One place per name, from left to right.
    Names { title: &'a str, names: &'a [String] },
}

/// The axes of a plot.
pub(crate) struct Axes<'a> {
    pub(crate) fonts: &'a Fonts,
    pub(crate) bottom: Bottom<'a>,
    pub(crate) left: (&'a Axis, Range),
}

impl Axes<'_> {
    /// Where a number of the horizontal axis stands; the number of a category is its index.
    pub(crate) fn x(&self, area: Rect, value: f64) -> f64 {
        match &self.bottom {
            Bottom::Numbers { range, .. } => area.x + area.w * range.share(value),
            Bottom::Names { names, .. } => area.x + area.w * (value + 0.5) / names.len().max(1) as f64,
        }
    }

    /// Where a number of the vertical axis stands.
    pub(crate) fn y(&self, area: Rect, value: f64) -> f64 {
        area.bottom() - area.h * self.left.1.share(value)
    }

    pub(crate) fn at(&self, area: Rect, x: f64, y: f64) -> Xy {
        (self.x(area, x), self.y(area, y))
    }

    fn left_ticks(&self, height: f64) -> Ticks {
        Ticks::over(self.left.1, ((height / 42.0) as usize).clamp(2, 8), self.left.0.whole)
    }

    fn bottom_ticks(&self, axis: &Axis, range: Range, width: f64) -> Ticks {
        let mut most = ((width / 45.0) as usize).clamp(1, 12);
        loop {
            let ticks = Ticks::over(range, most, axis.whole);
            let widest = self.fonts.widest(ticks.at.iter().map(|t| t.1.as_str()), TICK);
            if most == 1 || ticks.at.len() as f64 * (widest + 10.0) <= width + widest {
                return ticks;
            }
            most -= 1;
        }
    }

    /// Draws grid lines (vertical ones only if asked for), axes, ticks and labels.
    pub(crate) fn paint(&self, scene: &mut Scene, area: Rect, vertical_grid: bool) {
        let (left, bottom) = (crisp(area.x), crisp(area.bottom()));
        let ticks = self.left_ticks(area.h);
        for (value, text) in &ticks.at {
            let y = crisp(self.y(area, *value));
            if (y - bottom).abs() > 1.0 {
                scene.line(vec![(left, y), (area.right(), y)], AXIS_WIDTH, palette::GRID);
            }
            scene.line(vec![(left - TICK_LENGTH, y), (left, y)], AXIS_WIDTH, palette::AXIS);
            let at = (left - TICK_LENGTH - GAP, y + TICK.size * CAPITAL / 2.0);
            scene.text(text, at, TICK, Align::End, Turn::Level);
        }
        let texts = self.fonts.widest(ticks.at.iter().map(|t| t.1.as_str()), TICK);
        let label = Label::of(self.left.0, ticks.exponent);
        paint_upright_label(
            scene,
            self.fonts,
            &label,
            left - TICK_LENGTH - 2.0 * GAP - texts,
            (area.y, area.bottom()),
        );

        let (names, label) = match &self.bottom {
            Bottom::Numbers { axis, range } => {
                let ticks = self.bottom_ticks(axis, *range, area.w);
                for (value, text) in &ticks.at {
                    let x = crisp(self.x(area, *value));
                    if vertical_grid && (x - left).abs() > 1.0 {
                        scene.line(vec![(x, area.y), (x, bottom)], AXIS_WIDTH, palette::GRID);
                    }
                    scene.line(vec![(x, bottom), (x, bottom + TICK_LENGTH)], AXIS_WIDTH, palette::AXIS);
                    let at = (x, bottom + TICK_LENGTH + GAP + TICK.size * 0.75);
                    scene.text(text, at, TICK, Align::Middle, Turn::Level);
                }
                (TICK.size * LEADING, Label::of(axis, ticks.exponent))
            }
            Bottom::Names { title, names } => {
                let fitted = Names::fit(self.fonts, names, area.w / names.len().max(1) as f64, Room::Wide);
                fitted.paint(scene, |i| self.x(area, i as f64), bottom + TICK_LENGTH);
                (fitted.height, Label::plain(title))
            }
        };
        paint_level_label(
            scene,
            self.fonts,
            &label,
            bottom + TICK_LENGTH + GAP + names,
            (area.x, area.right()),
        );
        let half = AXIS_WIDTH / 2.0;
        scene.line(vec![(left, area.y), (left, bottom + half)], AXIS_WIDTH, palette::AXIS);
        scene.line(vec![(left - half, bottom), (area.right(), bottom)], AXIS_WIDTH, palette::AXIS);
    }
}

/// Writes a label below `top`, centred between two positions. One that is wider begins at the first.
pub(crate) fn paint_level_label(scene: &mut Scene, fonts: &Fonts, label: &Label, top: f64, span: (f64, f64)) {
    let lines = label.lines(fonts, AXIS, (span.1 - span.0).max(SHORTEST_LABEL), LABEL_LINES);
    let wider = fonts.widest(lines.iter().map(String::as_str), AXIS) > span.1 - span.0;
    let (x, align) =
        if wider { (span.0, Align::Start) } else { (f64::midpoint(span.0, span.1), Align::Middle) };
    for (i, line) in lines.iter().enumerate() {
        let baseline = top + AXIS.size * (0.95 + LEADING * i as f64);
        scene.text(line, (x, baseline), AXIS, align, Turn::Level);
    }
}

/// Writes a label from bottom to top, left of `right`, centred between two heights. One that is longer begins at the
/// lower and ends above the other, where no axis is.
pub(crate) fn paint_upright_label(
    scene: &mut Scene,
    fonts: &Fonts,
    label: &Label,
    right: f64,
    span: (f64, f64),
) {
    let lines = label.lines(fonts, AXIS, (span.1 - span.0).max(SHORTEST_LABEL), LABEL_LINES);
    let longer = fonts.widest(lines.iter().map(String::as_str), AXIS) > span.1 - span.0;
    let (y, align) =
        if longer { (span.1, Align::Start) } else { (f64::midpoint(span.0, span.1), Align::Middle) };
    for (i, line) in lines.iter().rev().enumerate() {
        let x = right - AXIS.size * (0.35 + LEADING * i as f64);
        scene.text(line, (x, y), AXIS, align, Turn::Up);
    }
}

/// What names stand under.
#[derive(Clone, Copy)]
pub(crate) enum Room<'a> {
    /// Bars or boxes: names may take several lines.
    Wide,
    /// The columns of a matrix, in groups: names are small and take one line.
    Cells(&'a [(String, usize)]),
}

/// Names along a horizontal axis, made to fit without touching.
pub(crate) struct Names {
    /// The lines of each name; none for those left out.
    lines: Vec<Vec<String>>,
    turn: Turn,
    pub(crate) height: f64,
    letters: crate::scene::Type,
}

impl Names {
    /// Names `pitch` apart: level where they fit (in several lines if there is room), else upright. Where even that is
    /// too narrow, some are left out.
    pub(crate) fn fit(fonts: &Fonts, names: &[String], pitch: f64, room: Room<'_>) -> Self {
        let (wrap, letters, groups) = match room {
            Room::Wide => (true, TICK, &[][..]),
            Room::Cells(groups) => (false, NAME, groups),
        };
        let names: Vec<String> =
            names.iter().map(|name| fonts.shorten(name, letters, 3.0 * UPRIGHT)).collect();
        let names = names.as_slice();
        let line = letters.size * LEADING;
        let widest = fonts.widest(names.iter().map(String::as_str), letters);
        let level_step = step(widest + 5.0, pitch, groups);
        let upright_step = step(line, pitch, groups);
        if level_step == 1 || (widest <= 34.0 && level_step <= 6) || names.is_empty() {
            let lines = thinned(names, level_step, |name| vec![name.to_owned()]);
            return Self { lines, turn: Turn::Level, height: line, letters };
        }
        if wrap && pitch > 40.0 {
            let lines: Vec<Vec<String>> =
                names.iter().map(|name| fonts.wrap(name, letters, pitch - 6.0, 5)).collect();
            let words = names.iter().flat_map(|name| name.split_whitespace());
            let most = lines.iter().map(Vec::len).max().unwrap_or(1);
            if most <= 4 && fonts.widest(words, letters) <= pitch - 6.0 {
                return Self { lines, turn: Turn::Level, height: most as f64 * line, letters };
            }
        }
        Self::turned(fonts, names, upright_step, letters)
    }

    /// Every so many-th name of the columns of a matrix, upright.
    pub(crate) fn upright(fonts: &Fonts, names: &[String], every: usize) -> Self {
        Self::turned(fonts, names, every, NAME)
    }

    fn turned(fonts: &Fonts, names: &[String], every: usize, letters: crate::scene::Type) -> Self {
        let lines = thinned(names, every, |name| vec![fonts.shorten(name, letters, UPRIGHT)]);
        let height = fonts.widest(lines.iter().flatten().map(String::as_str), letters) + 2.0;
        Self { lines, turn: Turn::Up, height, letters }
    }

    /// Writes the names below `top`, each at its position.
    pub(crate) fn paint(&self, scene: &mut Scene, position: impl Fn(usize) -> f64, top: f64) {
        let size = self.letters.size;
        for (i, lines) in self.lines.iter().enumerate() {
            for (row, text) in lines.iter().enumerate() {
                match self.turn {
                    Turn::Level => {
                        let at = (position(i), top + GAP + size * (0.75 + LEADING * row as f64));
                        scene.text(text, at, self.letters, Align::Middle, Turn::Level);
                    }
                    Turn::Up => {
                        let at = (position(i) + size * CAPITAL / 2.0, top + GAP);
                        scene.text(text, at, self.letters, Align::End, Turn::Up);
                    }
                }
            }
        }
    }
}

/// The least step that leaves `needed` room between marks `pitch` apart: one that divides groups of equal size, so that
/// every group begins with a mark, else one of 1, 2, 5, 10, 20 ...
pub(crate) fn step(needed: f64, pitch: f64, groups: &[(String, usize)]) -> usize {
    let fits = |step: &usize| *step as f64 * pitch >= needed;
    if let Some(&(_, size)) = groups.first()
        && groups.iter().all(|group| group.1 == size)
        && let Some(step) = (1..=size).filter(|n| size.is_multiple_of(*n)).find(fits)
    {
        return step;
    }
    let rounds = (0..9).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
    rounds.into_iter().find(fits).unwrap_or(usize::MAX)
}

fn thinned(names: &[String], step: usize, lines: impl Fn(&str) -> Vec<String>) -> Vec<Vec<String>> {
    names.iter().enumerate().map(|(i, name)| if i % step == 0 { lines(name) } else { Vec::new() }).collect()
}
