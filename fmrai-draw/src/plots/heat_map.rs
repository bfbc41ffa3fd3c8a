//! A matrix of colours with its colour bar, groups of rows and columns, and texts in its cells.

use fmrai_core::report::figure::HeatMap;

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::axes::{Names, Room, paint_level_label, paint_upright_label, step};
use crate::guides::colour_scale::ColourScale;
use crate::guides::legend::{Block, Ramp};
use crate::guides::missing::paint_missing;
use crate::guides::ticks::Label;
use crate::palette;
use crate::scene::{Align, Rect, Rgb, Scene, Shape, Size, Turn, Type};
use crate::style::{LEGEND, NAME};
use crate::text::{CAPITAL, Fonts, LEADING, visible};

/// Maps with more cells are drawn as images.
const MOST_RECTANGLES: usize = 20_000;
/// Largest side of a cell.
const LARGEST_CELL: f64 = 34.0;
/// Longest side over shortest side up to which cells are squares.
const SQUARE_UP_TO: f64 = 4.0;
const WIDEST_NAME: f64 = 120.0;
const WIDEST_GROUP: f64 = 80.0;
/// Cells smaller than this would be hidden by lines between groups.
const SMALLEST_PARTED: f64 = 2.0;
const GAP: f64 = 4.0;
/// Height of a cell with a text, and its narrowest and widest.
const TEXT_CELL: f64 = 17.0;
const TEXT_WIDTHS: (f64, f64) = (26.0, 64.0);
/// Room left and right of a text in its cell.
const TEXT_GAP: f64 = 3.0;
/// Length of the brackets that show groups.
const BRACKET: f64 = 4.0;

pub(crate) struct HeatMapPlot<'a> {
    map: &'a HeatMap,
    fonts: &'a Fonts,
    scale: ColourScale<'a>,
    row_names: Vec<String>,
    texts: Vec<String>,
}

impl<'a> HeatMapPlot<'a> {
    pub(crate) fn new(map: &'a HeatMap, fonts: &'a Fonts) -> Self {
        let colours = match (map.texts.is_empty(), map.diverging) {
            (true, false) => palette::sequential,
            (true, true) => palette::diverging,
            (false, false) => palette::behind_text,
            (false, true) => palette::behind_text_diverging,
        };
        let scale = ColourScale::new(&map.scale, map.diverging, colours, map.values.iter().copied());
        let row_names = map.rows.iter().map(|name| fonts.shorten(name, NAME, WIDEST_NAME)).collect();
        let most = TEXT_WIDTHS.1 - 2.0 * TEXT_GAP;
        let texts = map.texts.iter().map(|text| fonts.shorten(&visible(fonts, text), NAME, most)).collect();
        Self { map, fonts, scale, row_names, texts }
    }

    /// Size of cells with texts; `None` where there are none.
    fn text_cell(&self) -> Option<Size> {
        let widest = self.fonts.widest(self.texts.iter().map(String::as_str), NAME) + 2.0 * TEXT_GAP;
        let width = widest.ceil().clamp(TEXT_WIDTHS.0, TEXT_WIDTHS.1);
        (!self.texts.is_empty()).then_some(Size { w: width, h: TEXT_CELL })
    }

    fn paint_texts(&self, scene: &mut Scene, area: Rect) {
        let (cell_w, cell_h) = self.cell(area);
        let columns = self.map.columns.len().max(1);
        for (at, (text, value)) in self.texts.iter().zip(&self.map.values).enumerate() {
            let behind = if value.is_nan() { palette::MISSING } else { self.scale.colour(*value) };
            let x = area.x + cell_w * ((at % columns) as f64 + 0.5);
            let y = area.y + cell_h * ((at / columns) as f64 + 0.5) + NAME.size * CAPITAL / 2.0;
            let letters = Type { rgb: palette::letters_on(behind), ..NAME };
            scene.text(text, (x, y), letters, Align::Middle, Turn::Level);
        }
    }

    /// Names of groups of columns, and the height of all of them: a name that is wider than its group stands upright.
    fn column_groups(&self, cell: f64) -> (Vec<(Turn, String)>, f64) {
        let fitted = |(name, n): &(String, usize)| {
            let whole = self.fonts.shorten(name, LEGEND, *n as f64 * cell - 4.0);
            match whole == *name || *n == 0 {
                true => (Turn::Level, whole),
                false => (Turn::Up, self.fonts.shorten(name, LEGEND, WIDEST_GROUP)),
            }
        };
        let names: Vec<(Turn, String)> = self.map.column_groups.iter().map(fitted).collect();
        let high = |(turn, name): &(Turn, String)| match turn {
            Turn::Level => LEGEND.size * LEADING + 2.0 * GAP,
            Turn::Up => self.fonts.width(name, LEGEND) + 3.0 * GAP,
        };
        let highest = names.iter().map(high).reduce(f64::max).map_or(0.0, |height| height + BRACKET);
        (names, highest)
    }

    fn row_groups(&self) -> (Vec<String>, f64) {
        let names =
            self.map.row_groups.iter().map(|(name, _)| self.fonts.shorten(name, LEGEND, WIDEST_GROUP));
        let names: Vec<String> = names.collect();
        let widest = self.fonts.widest(names.iter().map(String::as_str), LEGEND);
        let width = if names.is_empty() { 0.0 } else { widest + BRACKET + 2.0 * GAP };
        (names, width)
    }

    fn names_width(&self) -> f64 {
        self.fonts.widest(self.row_names.iter().map(String::as_str), NAME)
    }

    fn paint_cells(&self, scene: &mut Scene, area: Rect) {
        let (rows, columns) = (self.map.rows.len(), self.map.columns.len());
        if self.map.values.len() > MOST_RECTANGLES {
            let colour = |v: &f64| if v.is_nan() { palette::MISSING } else { self.scale.colour(*v) };
            let pixels = self.map.values.iter().map(colour).collect();
            scene.shapes.push(Shape::Pixels { rect: area, columns, rows, pixels });
            return;
        }
        let edge = |i: usize, n: usize, from: f64, length: f64| from + length * i as f64 / n as f64;
        // Cells reach a little under their right and lower neighbours, lest viewers show paper between them.
        let under = |i: usize, n: usize| if i == n { 0.0 } else { 0.5 };
        for (row, values) in self.map.values.chunks(columns.max(1)).enumerate() {
            let (top, bottom) = (edge(row, rows, area.y, area.h), edge(row + 1, rows, area.y, area.h));
            let colours: Vec<Option<Rgb>> =
                values.iter().map(|v| (!v.is_nan()).then(|| self.scale.colour(*v))).collect();
            let mut start = 0;
            for run in colours.chunk_by(|a, b| a == b) {
                let end = start + run.len();
                let (left, right) =
                    (edge(start, columns, area.x, area.w), edge(end, columns, area.x, area.w));
                let rect = Rect::new(left, top, right - left, bottom - top);
                match run.first().copied().flatten() {
                    Some(rgb) => scene.rect(
                        Rect { w: rect.w + under(end, columns), h: rect.h + under(row + 1, rows), ..rect },
                        rgb,
                    ),
                    None => paint_missing(scene, rect),
                }
                start = end;
            }
        }
    }

    fn paint_groups(&self, scene: &mut Scene, area: Rect) {
        let (cell_w, cell_h) = self.cell(area);
        let smallest = cell_w.min(cell_h);
        if smallest < SMALLEST_PARTED {
            return;
        }
        let (rgb, most) = if self.map.diverging { (palette::AXIS, 0.75) } else { (palette::PAPER, 1.5) };
        let width = (smallest / 4.0).min(most);
        for start in starts(&self.map.row_groups).skip(1) {
            let y = area.y + cell_h * start as f64;
            scene.line(vec![(area.x, y), (area.right(), y)], width, rgb);
        }
        for start in starts(&self.map.column_groups).skip(1) {
            let x = area.x + cell_w * start as f64;
            scene.line(vec![(x, area.y), (x, area.bottom())], width, rgb);
        }
    }

    fn cell(&self, area: Rect) -> (f64, f64) {
        (area.w / self.map.columns.len().max(1) as f64, area.h / self.map.rows.len().max(1) as f64)
    }

    /// How many names are between two that are written, where rows and columns are the same things and some are left out: the
    /// same on both sides, so that a row is found among the columns. `None` where each side may do as it likes.
    fn common_step(&self, area: Rect) -> Option<usize> {
        let (cell_w, cell_h) = self.cell(area);
        let needed = NAME.size * LEADING;
        let every =
            step(needed, cell_w, &self.map.column_groups).max(step(needed, cell_h, &self.map.row_groups));
        let level = self.fonts.widest(self.map.columns.iter().map(String::as_str), NAME) + 5.0;
        let same = self.map.row_axis == self.map.column_axis && self.map.rows == self.map.columns;
        (same && (every > 1 || level > cell_w)).then_some(every)
    }

    fn paint_left(&self, scene: &mut Scene, area: Rect) {
        let (_, cell_h) = self.cell(area);
        let every =
            self.common_step(area).unwrap_or_else(|| step(NAME.size * 1.15, cell_h, &self.map.row_groups));
        let mut right = area.x - GAP;
        for (i, name) in self.row_names.iter().enumerate().step_by(every) {
            let baseline = area.y + cell_h * (i as f64 + 0.5) + NAME.size * CAPITAL / 2.0;
            scene.text(name, (right, baseline), NAME, Align::End, Turn::Level);
        }
        right -= self.names_width() + GAP;
        let (names, width) = self.row_groups();
        let mut free_from = f64::NEG_INFINITY;
        for ((name, start), (_, n)) in
            names.iter().zip(starts(&self.map.row_groups)).zip(&self.map.row_groups)
        {
            if *n == 0 {
                continue;
            }
            let (top, bottom) =
                (area.y + cell_h * start as f64 + 1.5, area.y + cell_h * (start + n) as f64 - 1.5);
            bracket(scene, |along, across| (right - BRACKET + across, along), (top, bottom));
            let middle = f64::midpoint(top, bottom);
            if middle - LEGEND.size / 2.0 >= free_from {
                free_from = middle + LEGEND.size / 2.0 + 1.0;
                let at = (right - BRACKET - GAP, middle + LEGEND.size * CAPITAL / 2.0);
                scene.text(name, at, LEGEND, Align::End, Turn::Level);
            }
        }
        paint_upright_label(
            scene,
            self.fonts,
            &Label::plain(&self.map.row_axis),
            right - width,
            (area.y, area.bottom()),
        );
    }

    fn paint_bottom(&self, scene: &mut Scene, area: Rect) {
        let (cell_w, _) = self.cell(area);
        let names = match self.common_step(area) {
            Some(every) => Names::upright(self.fonts, &self.map.columns, every),
            None => Names::fit(self.fonts, &self.map.columns, cell_w, Room::Cells(&self.map.column_groups)),
        };
        names.paint(scene, |i| area.x + cell_w * (i as f64 + 0.5), area.bottom());
        let top = area.bottom() + GAP + names.height;
        let (names, height) = self.column_groups(cell_w);
        let mut free_from = f64::NEG_INFINITY;
        let groups = starts(&self.map.column_groups).zip(&self.map.column_groups);
        for ((start, (_, n)), (turn, name)) in groups.zip(&names) {
            if *n == 0 {
                continue;
            }
            let (left, right) =
                (area.x + cell_w * start as f64 + 1.5, area.x + cell_w * (start + n) as f64 - 1.5);
            bracket(scene, |along, across| (along, top + GAP + BRACKET - across), (left, right));
            let middle = f64::midpoint(left, right);
            let y = top + BRACKET + 2.0 * GAP;
            match turn {
                Turn::Level => {
                    let at = (middle, y + LEGEND.size * 0.8);
                    scene.text(name, at, LEGEND, Align::Middle, Turn::Level);
                }
                Turn::Up if middle - LEGEND.size / 2.0 >= free_from => {
                    free_from = middle + LEGEND.size / 2.0 + 1.0;
                    let at = (middle + LEGEND.size * CAPITAL / 2.0, y);
                    scene.text(name, at, LEGEND, Align::End, Turn::Up);
                }
                Turn::Up => {}
            }
        }
        paint_level_label(
            scene,
            self.fonts,
            &Label::plain(&self.map.column_axis),
            top + height + 2.0,
            (area.x, area.right()),
        );
    }
}

impl Panelled for HeatMapPlot<'_> {
    fn area(&self, target: Size) -> Size {
        let (rows, columns) = (self.map.rows.len().max(1) as f64, self.map.columns.len().max(1) as f64);
        if let Some(cell) = self.text_cell() {
            return Size { w: columns * cell.w, h: rows * cell.h };
        }
        let target = Size { w: target.w, h: target.w };
        if rows.max(columns) / rows.min(columns) <= SQUARE_UP_TO {
            let cell = (target.w / columns).min(target.h / rows).min(LARGEST_CELL);
            let cell = if cell > 2.0 { (cell * 4.0).floor() / 4.0 } else { cell };
            return Size { w: columns * cell, h: rows * cell };
        }
        let side = |n: f64, length: f64| (n * LARGEST_CELL).min(length);
        Size { w: side(columns, target.w), h: side(rows, target.h) }
    }

    fn side(&self) -> Vec<Block> {
        let missing = self.map.values.iter().any(|v| v.is_nan());
        let bar = self.scale.bar(self.map.values.iter().copied());
        bar.map(|bar| Block::Ramp(Ramp { missing, ..bar })).into_iter().collect()
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Cells keep their size, and their shape.
    fn fit(&self, own: Size, _place: Size) -> Size {
        own
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        if self.map.values.is_empty() {
            paint_nothing(scene, area);
        } else {
            self.paint_cells(scene, area);
            self.paint_groups(scene, area);
            self.paint_texts(scene, area);
        }
        scene.frame(area, 0.75, palette::AXIS);
        self.paint_left(scene, area);
        self.paint_bottom(scene, area);
    }
}

/// Where each group begins.
fn starts(groups: &[(String, usize)]) -> impl Iterator<Item = usize> {
    groups.iter().scan(0, |next, (_, n)| {
        let start = *next;
        *next += n;
        Some(start)
    })
}

/// A bracket along a group; `at` places a length along and a length towards the map.
fn bracket(scene: &mut Scene, at: impl Fn(f64, f64) -> (f64, f64), (from, to): (f64, f64)) {
    if to > from {
        let path = [(from, BRACKET), (from, 0.0), (to, 0.0), (to, BRACKET)];
        for ends in path.windows(2) {
            scene.line(vec![at(ends[0].0, ends[0].1), at(ends[1].0, ends[1].1)], 0.75, palette::REFERENCE);
        }
    }
}
