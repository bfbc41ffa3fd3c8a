//! Where title, panels, legends and caption go on the picture.

use fmrai_core::report::Figure;

use super::legend::{self, Block};
use super::plot::{Margins, Panelled, panelled};
use super::scene::{Align, Rect, Scene, Size, Turn, Type, Xy};
use super::style::{CAPTION, PANEL, TITLE};
use super::text::{Fonts, LEADING};

const PADDING: f64 = 18.0;
const GUTTER: f64 = 22.0;
/// Room between a plot and what stands beside it.
const SIDE_GAP: f64 = 14.0;
/// Width of a single panel's data; several panels share the wider one.
const ONE: f64 = 640.0;
const SEVERAL: f64 = 1120.0;
/// Narrowest picture, for the sake of title and caption.
const NARROWEST: f64 = 460.0;

/// The sizes that all panels of a picture share.
struct Grid {
    columns: usize,
    area: Size,
    margins: Margins,
    headings: usize,
    /// Width and height beside every panel.
    side: (f64, f64),
}

impl Grid {
    fn cell(&self) -> Size {
        let side = if self.side.0 > 0.0 { SIDE_GAP + self.side.0 } else { 0.0 };
        let below = (self.area.h + self.margins.bottom).max(self.side.1);
        Size {
            w: self.margins.left + self.area.w + self.margins.right + side,
            h: self.heading() + self.margins.top + below,
        }
    }

    fn heading(&self) -> f64 {
        if self.headings == 0 { 0.0 } else { self.headings as f64 * PANEL.size * LEADING + 5.0 }
    }
}

/// Lays a checked figure out and paints it; returns the size of the picture.
pub(super) fn compose(scene: &mut Scene, figure: &Figure, fonts: &Fonts) -> Size {
    let plots: Vec<_> = figure.panels.iter().map(|panel| panelled(&panel.plot, fonts)).collect();
    let sides: Vec<Vec<Block>> = plots.iter().map(|plot| plot.side()).collect();
    let shared = sides.len() > 1 && sides.windows(2).all(|pair| pair[0] == pair[1]);
    let (grid, headings) = measure(figure, fonts, &plots, if shared { &[] } else { &sides });
    let cell = grid.cell();
    let (columns, rows) = (grid.columns as f64, figure.panels.len().div_ceil(grid.columns) as f64);
    let panels = Size { w: columns * (cell.w + GUTTER) - GUTTER, h: rows * (cell.h + GUTTER) - GUTTER };
    let common: &[Block] = if shared { &sides[0] } else { &[] };
    let beside = legend::extent(fonts, common, panels.h.min(420.0));
    let content = panels.w + if beside.0 > 0.0 { SIDE_GAP + beside.0 } else { 0.0 };
    let width = content.max(NARROWEST);

    let mut y = PADDING;
    y += paint_lines(scene, &fonts.wrap(&figure.title, TITLE, width, 4), TITLE, (PADDING, y), 8.0);
    for (i, plot) in plots.iter().enumerate() {
        let (column, row) = ((i % grid.columns) as f64, (i / grid.columns) as f64);
        let corner = (PADDING + column * (cell.w + GUTTER), y + row * (cell.h + GUTTER));
        let left = (corner.0 + grid.margins.left).round();
        paint_lines(scene, &headings[i], PANEL, (left, corner.1), 0.0);
        let top = (corner.1 + grid.heading() + grid.margins.top).round();
        plot.paint(scene, Rect::new(left, top, grid.area.w, grid.area.h));
        if !shared {
            let right = left + grid.area.w + grid.margins.right + SIDE_GAP;
            legend::paint(scene, fonts, &sides[i], (right, top), plot.height(grid.area));
        }
    }
    if shared {
        let at = (PADDING + panels.w + SIDE_GAP, y + grid.heading() + grid.margins.top);
        legend::paint(scene, fonts, common, at, panels.h.min(420.0));
    }
    y += panels.h.max(grid.heading() + grid.margins.top + beside.1);

    let caption = fonts.wrap(&caption(figure, &plots), CAPTION, width, 60);
    if !caption.is_empty() {
        y += 12.0 + paint_lines(scene, &caption, CAPTION, (PADDING, y + 12.0), 0.0);
    }
    Size { w: (width + 2.0 * PADDING).ceil(), h: (y + PADDING * 0.8).ceil() }
}

/// Sizes of all panels and the lines of their headings. Panels of one picture are of one size.
fn measure(
    figure: &Figure,
    fonts: &Fonts,
    plots: &[Box<dyn Panelled + '_>],
    sides: &[Vec<Block>],
) -> (Grid, Vec<Vec<String>>) {
    let columns = figure.columns.min(plots.len()).max(1);
    let each = if plots.len() == 1 { ONE } else { (SEVERAL / columns as f64 - 50.0).clamp(170.0, 480.0) };
    let target = Size { w: each, h: each };
    let mut area = Size { w: 0.0, h: 0.0 };
    for size in plots.iter().map(|plot| plot.area(target)) {
        area = Size { w: area.w.max(size.w), h: area.h.max(size.h) };
    }
    let margins = plots.iter().map(|plot| plot.margins(area)).fold(Margins::default(), Margins::union);
    let side = sides
        .iter()
        .map(|blocks| legend::extent(fonts, blocks, area.h))
        .fold((0.0, 0.0), |(w, h): (f64, f64), extent| (w.max(extent.0), h.max(extent.1)));
    let width = area.w + margins.right + if side.0 > 0.0 { SIDE_GAP + side.0 } else { 0.0 };
    let headings: Vec<Vec<String>> =
        figure.panels.iter().map(|panel| fonts.wrap(&panel.title, PANEL, width, 3)).collect();
    let most = headings.iter().map(Vec::len).max().unwrap_or(0);
    (Grid { columns, area, margins, headings: most, side }, headings)
}

/// The caption, and what the panels do not show.
fn caption(figure: &Figure, plots: &[Box<dyn Panelled + '_>]) -> String {
    let mut text = figure.caption.trim().to_owned();
    for (i, (plot, panel)) in plots.iter().zip(&figure.panels).enumerate() {
        let notes = plot.notes();
        if notes.is_empty() {
            continue;
        }
        let place = match (plots.len(), panel.title.as_str()) {
            (1, _) => String::new(),
            (_, "") => format!(" in panel {}", i + 1),
            (_, title) => format!(" in \u{201c}{title}\u{201d}"),
        };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("Not shown{place}: {}.", notes.join(", ")));
    }
    text
}

/// Writes lines below each other from the corner `at`; returns their height with `gap` below.
fn paint_lines(scene: &mut Scene, lines: &[String], letters: Type, at: Xy, gap: f64) -> f64 {
    for (i, line) in lines.iter().enumerate() {
        let baseline = at.1 + letters.size * (0.9 + LEADING * i as f64);
        scene.text(line, (at.0, baseline), letters, Align::Start, Turn::Level);
    }
    if lines.is_empty() { 0.0 } else { lines.len() as f64 * letters.size * LEADING + gap }
}
