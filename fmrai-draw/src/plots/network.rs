//! Nodes with edges between them.

use std::collections::BTreeSet;

use fmrai_core::report::figure::{Network, NetworkEdge, NetworkNode};

use super::nothing::paint_nothing;
use super::panelled::Panelled;
use crate::guides::legend::{Block, Swatch};
use crate::palette;
use crate::scene::{Align, Dash, Rect, Rgb, Scene, Size, Turn, Xy};
use crate::style::{AXIS_WIDTH, NAME, TOKEN};
use crate::text::{CAPITAL, Fonts};
use crate::wording::counted;

/// Distance of rows and of columns.
const ROW: f64 = 46.0;
const COLUMN: f64 = 62.0;
/// Height of a node, and the room beside its label.
const NODE: f64 = 18.0;
const PADDING: f64 = 5.0;
const WIDEST_LABEL: f64 = 90.0;
const NARROWEST: f64 = 40.0;
/// Widths of the weakest and the strongest edge.
const WIDTHS: (f64, f64) = (0.5, 4.0);
/// Pieces of a bent edge.
const PIECES: usize = 14;

pub(crate) struct NetworkPlot<'a> {
    plot: &'a Network,
    fonts: &'a Fonts,
    /// The largest magnitude of an edge.
    largest: f64,
}

impl<'a> NetworkPlot<'a> {
    pub(crate) fn new(plot: &'a Network, fonts: &'a Fonts) -> Self {
        let values = plot.edges.iter().map(|edge| edge.value.abs()).filter(|value| value.is_finite());
        Self { plot, fonts, largest: values.fold(0.0, f64::max) }
    }

    /// Columns and rows.
    fn places(&self) -> (f64, f64) {
        let most = |of: fn(&NetworkNode) -> f64| self.plot.nodes.iter().map(of).fold(0.0, f64::max) + 1.0;
        (most(|node| node.x), most(|node| node.y))
    }

    fn at(&self, area: Rect, node: &NetworkNode) -> Xy {
        let (columns, rows) = self.places();
        let (x, y) = ((node.x + 0.5) / columns, (node.y + 0.5) / rows);
        (area.x + x * area.w, area.bottom() - y * area.h)
    }

    /// How strong an edge is, from 0 to 1.
    fn share(&self, edge: &NetworkEdge) -> f64 {
        if self.largest > 0.0 && edge.value.is_finite() { edge.value.abs() / self.largest } else { 0.0 }
    }

    fn colour(&self, edge: &NetworkEdge) -> Rgb {
        let rgb = if edge.value > 0.0 {
            palette::diverging(0.92)
        } else if edge.value < 0.0 {
            palette::diverging(0.08)
        } else {
            return palette::NEUTRAL;
        };
        palette::tint(rgb, 0.35 + 0.65 * self.share(edge))
    }

    /// The frame of a node, and its label.
    fn frame(&self, area: Rect, node: &NetworkNode) -> (Rect, String) {
        let label = self.fonts.shorten(node.label.trim(), TOKEN, WIDEST_LABEL);
        let width = (self.fonts.width(&label, TOKEN) + 2.0 * PADDING).max(NARROWEST);
        (Rect::centred(self.at(area, node), width, NODE), label)
    }

    /// Where an edge enters its node.
    fn entry(&self, area: Rect, edge: &NetworkEdge) -> Option<Xy> {
        let (frame, _) = self.frame(area, self.plot.nodes.get(edge.to)?);
        Some((frame.centre().0 + edge.enters * (frame.w / 2.0 - PADDING), frame.bottom()))
    }

    /// The way of an edge, bent aside so that it does not run through the nodes between its ends.
    fn way(&self, area: Rect, edge: &NetworkEdge) -> Vec<Xy> {
        let nodes = &self.plot.nodes;
        let (Some(from), Some(to), Some(b)) =
            (nodes.get(edge.from), nodes.get(edge.to), self.entry(area, edge))
        else {
            return Vec::new();
        };
        let (columns, _) = self.places();
        let (x, y) = self.at(area, from);
        let a = (x, y - NODE / 2.0);
        let rows = (to.y - from.y).abs();
        // Towards the middle of the picture, more so the more rows it passes.
        let side = if from.x + to.x > columns - 1.0 { -1.0 } else { 1.0 };
        let column = COLUMN.min(area.w / columns);
        let aside = if rows > 1.0 { side * 1.6 * column * (rows / 3.0).min(1.6) } else { 0.0 };
        let middle = ((a.0 + b.0) / 2.0 + aside, (a.1 + b.1) / 2.0);
        let point = |piece: usize| {
            let t = piece as f64 / PIECES as f64;
            let (p, q, r) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            (p * a.0 + q * middle.0 + r * b.0, p * a.1 + q * middle.1 + r * b.1)
        };
        (0..=PIECES).map(point).collect()
    }
}

impl Panelled for NetworkPlot<'_> {
    fn area(&self, target: Size) -> Size {
        let (columns, rows) = self.places();
        Size { w: target.w.max(columns * COLUMN), h: rows * ROW }
    }

    fn fit(&self, own: Size, _: Size) -> Size {
        own
    }

    fn side(&self) -> Vec<Block> {
        let has = |of: fn(f64) -> bool| self.plot.edges.iter().any(|edge| of(edge.value));
        let line = |rgb, text: &str| (Swatch::Line(rgb, Dash::Solid), text.to_owned());
        let mut keys = Vec::new();
        if has(|value| value > 0.0) {
            keys.push(line(palette::diverging(0.92), "above 0"));
        }
        if has(|value| value < 0.0) {
            keys.push(line(palette::diverging(0.08), "below 0"));
        }
        if has(|value| value == 0.0 || value.is_nan()) {
            keys.push(line(palette::NEUTRAL, "0 or none"));
        }
        if keys.is_empty() {
            return Vec::new();
        }
        let unit = self.plot.scale.unit.as_ref().map(|unit| format!(" ({unit})")).unwrap_or_default();
        let mut blocks = vec![Block::Keys { title: format!("{}{unit}", self.plot.scale.label), keys }];
        if self.largest > 0.0 {
            let text = format!("widest line: {:.3}", self.largest);
            blocks.push(Block::Keys { title: text, keys: Vec::new() });
        }
        blocks
    }

    fn notes(&self) -> Vec<String> {
        let without = self.plot.edges.iter().filter(|edge| edge.value.is_nan()).count();
        if without > 0 { vec![format!("{} without a value", counted(without, "edge"))] } else { Vec::new() }
    }

    fn paint(&self, scene: &mut Scene, area: Rect) {
        if self.plot.nodes.is_empty() {
            paint_nothing(scene, area);
            return;
        }
        let mut edges: Vec<&NetworkEdge> = self.plot.edges.iter().collect();
        edges.sort_by(|a, b| self.share(a).total_cmp(&self.share(b)));
        for edge in &edges {
            let width = WIDTHS.0 + (WIDTHS.1 - WIDTHS.0) * self.share(edge);
            scene.line(self.way(area, edge), width, self.colour(edge));
        }
        for node in &self.plot.nodes {
            let (frame, label) = self.frame(area, node);
            scene.rect(frame, palette::PAPER);
            scene.frame(frame, AXIS_WIDTH, palette::AXIS);
            let (x, y) = frame.centre();
            let baseline = y + TOKEN.size * CAPITAL / 2.0;
            scene.text(&label, (x, baseline), TOKEN, Align::Middle, Turn::Level);
        }
        let mut written = BTreeSet::new();
        for edge in edges.iter().filter(|edge| !edge.label.is_empty()) {
            if !written.insert((edge.to, edge.enters.to_bits(), &edge.label)) {
                continue;
            }
            let Some((x, y)) = self.entry(area, edge) else { continue };
            let label = self.fonts.shorten(&edge.label, NAME, WIDEST_LABEL);
            scene.text(&label, (x + 2.0, y + NAME.size), NAME, Align::Start, Turn::Level);
        }
    }
}
