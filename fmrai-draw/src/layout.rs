//! Where title, panels, legends and caption go on the picture.

use fmrai_core::report::Figure;

use crate::guides::legend::{self, Block};
use crate::plots::{Panelled, panelled};
use crate::scene::{Align, Rect, Scene, Size, Turn, Type, Xy};
use crate::sheet::Sheet;
use crate::style::{CAPTION, PANEL, TITLE};
use crate::text::{Fonts, LEADING};

const PADDING: f64 = 18.0;
const GUTTER: f64 = 22.0;
/// Room between a plot and what stands beside it.
const SIDE_GAP: f64 = 14.0;
/// Width of a single panel's data; several panels share the wider one.
const ONE: f64 = 640.0;
const SEVERAL: f64 = 1120.0;
/// Highest place for what all panels share.
const HIGHEST_COMMON: f64 = 420.0;
/// Narrowest picture, for the sake of title and caption.
const NARROWEST: f64 = 460.0;

/// A panel that has been drawn, before it has its place.
struct Drawn {
    plot: Sheet,
    area: Size,
    /// What stands beside it; nothing if all panels share that.
    side: Sheet,
    heading: Vec<String>,
}

impl Drawn {
    /// From the left end of the data to the right end of what is drawn for them.
    fn right(&self) -> f64 {
        self.plot.bounds.right().max(self.area.w)
    }
}

/// Room around the data of every panel; the same in all, so that data of one row and one column are aligned.
struct Grid {
    columns: usize,
    /// Room left of the data, and above them with the heading.
    left: f64,
    top: f64,
    cell: Size,
}

/// Lays a checked figure out and paints it; returns the size of the picture.
pub(crate) fn compose(scene: &mut Scene, figure: &Figure, fonts: &Fonts) -> Size {
    let plots: Vec<_> = figure.panels.iter().map(|panel| panelled(&panel.plot, fonts)).collect();
    let sides: Vec<Vec<Block>> = plots.iter().map(|plot| plot.side()).collect();
    let shared = sides.len() > 1 && sides.windows(2).all(|pair| pair[0] == pair[1]);
    let columns = figure.columns.min(plots.len()).max(1);
    let areas = areas(&plots, columns);
    let mut drawn: Vec<Drawn> = plots
        .iter()
        .zip(areas)
        .zip(&sides)
        .map(|((plot, area), blocks)| Drawn {
            plot: Sheet::painted(fonts, |scene| plot.paint(scene, Rect::new(0.0, 0.0, area.w, area.h))),
            area,
            side: legend::sheet(fonts, if shared { &[] } else { blocks }, area.h),
            heading: Vec::new(),
        })
        .collect();
    let grid = measure(figure, fonts, &mut drawn, columns);
    let (wide, high) = (grid.columns as f64, drawn.len().div_ceil(grid.columns) as f64);
    let panels =
        Size { w: wide * (grid.cell.w + GUTTER) - GUTTER, h: high * (grid.cell.h + GUTTER) - GUTTER };
    let common = legend::sheet(fonts, if shared { &sides[0] } else { &[] }, panels.h.min(HIGHEST_COMMON));
    let beside = common.bounds.right();
    let width = (panels.w + if beside > 0.0 { SIDE_GAP + beside } else { 0.0 }).max(NARROWEST);

    let mut y = PADDING;
    y += paint_lines(scene, &fonts.wrap(&figure.title, TITLE, width, 4), TITLE, (PADDING, y), 8.0);
    let top = (grid.top).max(-common.bounds.y);
    let bottom = y + panels.h.max(top + common.bounds.bottom());
    common.place(scene, (PADDING + panels.w + SIDE_GAP, y + top));
    for (i, panel) in drawn.into_iter().enumerate() {
        let (column, row) = ((i % grid.columns) as f64, (i / grid.columns) as f64);
        let corner = (PADDING + column * (grid.cell.w + GUTTER), y + row * (grid.cell.h + GUTTER));
        let (left, top) = ((corner.0 + grid.left).round(), (corner.1 + grid.top).round());
        paint_lines(scene, &panel.heading, PANEL, (left, corner.1), 0.0);
        let beside = left + panel.right() + SIDE_GAP;
        panel.plot.place(scene, (left, top));
        panel.side.place(scene, (beside, top));
    }

    let caption = fonts.wrap(&caption(figure, &plots), CAPTION, width, 60);
    let mut y = bottom;
    if !caption.is_empty() {
        y += 12.0 + paint_lines(scene, &caption, CAPTION, (PADDING, y + 12.0), 0.0);
    }
    Size { w: (width + 2.0 * PADDING).ceil(), h: (y + PADDING * 0.8).ceil() }
}

/// Size of the data of every panel.
fn areas(plots: &[Box<dyn Panelled + '_>], columns: usize) -> Vec<Size> {
    let each = if plots.len() == 1 { ONE } else { (SEVERAL / columns as f64 - 50.0).clamp(170.0, 480.0) };
    let own: Vec<Size> = plots.iter().map(|plot| plot.area(Size { w: each, h: each })).collect();
    let most = |of: fn(&Size) -> f64| own.iter().map(of).fold(0.0, f64::max);
    let place = Size { w: most(|s| s.w), h: most(|s| s.h) };
    plots.iter().zip(own).map(|(plot, own)| plot.fit(own, place)).collect()
}

/// The room that all panels need, and the lines of their headings.
fn measure(figure: &Figure, fonts: &Fonts, drawn: &mut [Drawn], columns: usize) -> Grid {
    let most = |of: &dyn Fn(&Drawn) -> f64| drawn.iter().map(of).fold(0.0, f64::max);
    let left = most(&|d| -d.plot.bounds.x).ceil();
    let width = most(&|d| match d.side.bounds.right() {
        side if side > 0.0 => d.right() + SIDE_GAP + side,
        _ => d.right(),
    });
    let above = most(&|d| -d.plot.bounds.y.min(d.side.bounds.y)).ceil();
    let below = most(&|d| d.plot.bounds.bottom().max(d.area.h).max(d.side.bounds.bottom()));
    for (panel, drawn) in figure.panels.iter().zip(&mut *drawn) {
        drawn.heading = fonts.wrap(&panel.title, PANEL, width, 3);
    }
    let lines = drawn.iter().map(|d| d.heading.len()).max().unwrap_or(0);
    let heading = if lines == 0 { 0.0 } else { lines as f64 * PANEL.size * LEADING + 5.0 };
    let top = heading + above;
    // Data are moved to whole points, by half of one at most.
    Grid { columns, left, top, cell: Size { w: left + width + 1.0, h: top + below + 1.0 } }
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
