//! What stands beside a plot: keys of colours and shapes, and colour bars.

use crate::guides::marker::Marker;
use crate::guides::missing::paint_missing;
use crate::guides::ticks::Label;
use crate::palette;
use crate::scene::{Align, Dash, Rect, Rgb, Scene, Turn, Xy, crisp};
use crate::sheet::Sheet;
use crate::style::{AXIS, LEGEND, LEGEND_TITLE, LINE_WIDTH, TICK};
use crate::text::{CAPITAL, Fonts, LEADING};

/// Distance of lines of a key.
const LINE: f64 = 15.5;
/// Width of a swatch with the room behind it.
const SWATCH: f64 = 20.0;
/// Widest text of a key.
const WIDEST: f64 = 150.0;
/// Keys of one list; more are counted, not shown.
const MOST_KEYS: usize = 120;
const BLOCK_GAP: f64 = 12.0;
const BAR: f64 = 12.0;
/// Length that every title beside a bar may have, however short the bar is.
const SHORTEST_TITLE: f64 = 130.0;

/// A part of what stands beside a plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// Texts with what they look like in the plot.
    Keys { title: String, keys: Vec<(Swatch, String)> },
    /// A bar of colours.
    Ramp(Ramp),
}

/// What a key looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Swatch {
    Mark(Marker, Rgb),
    Line(Rgb, Dash),
    Dots(Rgb),
    Bar(Rgb),
}

/// A bar of colours, the first at the bottom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ramp {
    pub(crate) title: Label,
    /// True if the title stands upright beside the bar, false if it stands above.
    pub(crate) beside: bool,
    pub(crate) colours: Vec<Rgb>,
    /// Texts at heights from 0 (bottom) to 1.
    pub(crate) ticks: Vec<(f64, String)>,
    /// True if colours are used for numbers below the bar, or above it.
    pub(crate) beyond: (bool, bool),
    /// True if the plot has missing cells.
    pub(crate) missing: bool,
}

/// The blocks below each other, from the origin, when `height` is available.
pub(crate) fn sheet(fonts: &Fonts, blocks: &[Block], height: f64) -> Sheet {
    Sheet::painted(fonts, |scene| {
        let mut top = 0.0;
        for block in blocks {
            if top > 0.0 {
                top += BLOCK_GAP;
            }
            top += match block {
                Block::Keys { title, keys } => paint_keys(scene, fonts, title, keys, (0.0, top), height),
                Block::Ramp(ramp) => paint_ramp(scene, fonts, ramp, (0.0, top), height),
            };
        }
    })
}

/// Writes a heading; returns its height.
fn paint_title(scene: &mut Scene, fonts: &Fonts, title: &Label, at: Xy) -> f64 {
    let leading = LEGEND_TITLE.size * LEADING;
    let lines = title.lines(fonts, LEGEND_TITLE, WIDEST, 3);
    for (i, line) in lines.iter().enumerate() {
        let y = at.1 + LEGEND_TITLE.size * CAPITAL + i as f64 * leading;
        scene.text(line, (at.0, y), LEGEND_TITLE, Align::Start, Turn::Level);
    }
    if lines.is_empty() { 0.0 } else { lines.len() as f64 * leading + 3.0 }
}

/// Writes a list of keys, in columns where it is long; returns its height.
fn paint_keys(
    scene: &mut Scene,
    fonts: &Fonts,
    title: &str,
    keys: &[(Swatch, String)],
    at: Xy,
    height: f64,
) -> f64 {
    let title_h = paint_title(scene, fonts, &Label::plain(title), at);
    let mut texts: Vec<String> =
        keys.iter().take(MOST_KEYS).map(|(_, text)| fonts.shorten(text, LEGEND, WIDEST)).collect();
    if keys.len() > MOST_KEYS {
        texts.push(format!("and {} more", keys.len() - MOST_KEYS));
    }
    let fitting = (((height - title_h) / LINE) as usize).max(6);
    let columns = texts.len().div_ceil(fitting).clamp(1, 4);
    let rows = texts.len().div_ceil(columns).max(1);
    let (mut x, top) = (at.0, at.1 + title_h);
    for (column, texts) in texts.chunks(rows).enumerate() {
        for (row, text) in texts.iter().enumerate() {
            let middle = top + (row as f64 + 0.5) * LINE;
            if let Some((swatch, _)) =
                keys.get(column * rows + row).filter(|_| column * rows + row < MOST_KEYS)
            {
                paint_swatch(scene, *swatch, (x + 7.0, middle));
            }
            let baseline = middle + LEGEND.size * CAPITAL / 2.0;
            scene.text(text, (x + SWATCH, baseline), LEGEND, Align::Start, Turn::Level);
        }
        x += SWATCH + fonts.widest(texts.iter().map(String::as_str), LEGEND) + 10.0;
    }
    title_h + rows.min(texts.len()) as f64 * LINE
}

fn paint_swatch(scene: &mut Scene, swatch: Swatch, (x, y): Xy) {
    match swatch {
        Swatch::Mark(marker, rgb) => marker.draw(scene, (x, y), 4.2, rgb),
        Swatch::Line(rgb, dash) => {
            scene.stroke(&[(x - 9.0, crisp(y)), (x + 9.0, crisp(y))], LINE_WIDTH, rgb, dash);
        }
        Swatch::Dots(rgb) => {
            for (dx, dy) in [(-4.5, 1.5), (0.0, -2.0), (4.5, 1.0)] {
                scene.circle((x + dx, y + dy), 2.2, rgb.alpha(0.6));
            }
        }
        Swatch::Bar(rgb) => scene.rect(Rect::centred((x, y), 11.0, 9.0), rgb),
    }
}

/// Draws a bar of colours; returns its height.
fn paint_ramp(scene: &mut Scene, fonts: &Fonts, ramp: &Ramp, at: Xy, height: f64) -> f64 {
    const TIP: f64 = 8.0;
    let title_h = if ramp.beside { 0.0 } else { paint_title(scene, fonts, &ramp.title, at) };
    let missing_h = if ramp.missing { 24.0 } else { 0.0 };
    let tips = (if ramp.beyond.0 { TIP } else { 0.0 }, if ramp.beyond.1 { TIP } else { 0.0 });
    let whole = (height - title_h - missing_h).clamp(70.0, 300.0);
    let bar = Rect::new(at.0, at.1 + title_h + tips.1, BAR, whole - tips.0 - tips.1);

    let n = ramp.colours.len().max(1) as f64;
    let edge = |i: f64| bar.bottom() - bar.h * i / n;
    for (i, rgb) in ramp.colours.iter().enumerate() {
        // Neighbours overlap a little, lest viewers show paper between them.
        let bottom = if i == 0 { edge(0.0) } else { edge(i as f64) + 0.5 };
        let top = edge(i as f64 + 1.0);
        scene.rect(Rect::new(bar.x, top, bar.w, bottom - top), *rgb);
    }
    if let (true, Some(rgb)) = (ramp.beyond.0, ramp.colours.first()) {
        let y = bar.bottom();
        scene.polygon(vec![(bar.x, y), (bar.right(), y), (bar.x + BAR / 2.0, y + TIP)], *rgb);
    }
    if let (true, Some(rgb)) = (ramp.beyond.1, ramp.colours.last()) {
        scene.polygon(vec![(bar.x, bar.y), (bar.right(), bar.y), (bar.x + BAR / 2.0, bar.y - TIP)], *rgb);
    }
    let mut right = bar.right();
    let mut free_below = f64::INFINITY;
    for (share, text) in &ramp.ticks {
        let y = bar.bottom() - share * bar.h;
        if y + TICK.size / 2.0 > free_below {
            continue;
        }
        free_below = y - TICK.size / 2.0 - 1.0;
        let text = fonts.shorten(text, TICK, WIDEST);
        if ramp.beside {
            scene.line(
                vec![(bar.right(), crisp(y - 0.5)), (bar.right() + 3.0, crisp(y - 0.5))],
                1.0,
                palette::AXIS,
            );
        }
        let baseline = y + TICK.size * CAPITAL / 2.0;
        scene.text(&text, (bar.right() + 6.0, baseline), TICK, Align::Start, Turn::Level);
        right = right.max(bar.right() + 6.0 + fonts.width(&text, TICK));
    }
    if ramp.beside {
        let lines = ramp.title.lines(fonts, AXIS, bar.h.max(SHORTEST_TITLE), 2);
        // One that is longer than the bar ends above it: below may stand what marks missing cells.
        let longer = fonts.widest(lines.iter().map(String::as_str), AXIS) > bar.h;
        let (y, align) = if longer { (bar.bottom(), Align::Start) } else { (bar.centre().1, Align::Middle) };
        right += 3.0;
        for line in &lines {
            right += AXIS.size * LEADING;
            scene.text(line, (right - 3.0, y), AXIS, align, Turn::Up);
        }
    }
    if ramp.missing {
        let y = at.1 + title_h + whole + 10.0;
        paint_missing(scene, Rect::new(bar.x, y, BAR, BAR));
        scene.text(
            "missing",
            (bar.right() + 6.0, y + BAR / 2.0 + TICK.size * CAPITAL / 2.0),
            TICK,
            Align::Start,
            Turn::Level,
        );
    }
    title_h + whole + missing_h
}
