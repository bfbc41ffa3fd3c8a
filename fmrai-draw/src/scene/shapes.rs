//! What a picture is made of.

use super::geometry::{Rect, Xy};
use super::ink::{Ink, Rgb};
use super::lettering::{Align, Turn, Type};

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// Something to draw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Rect {
        rect: Rect,
        fill: Ink,
    },
    Circle {
        centre: Xy,
        radius: f64,
        fill: Ink,
    },
    Polygon {
        points: Vec<Xy>,
        fill: Ink,
    },
    Line {
        points: Vec<Xy>,
        width: f64,
        rgb: Rgb,
    },
    /// One line of text; `at` lies on its baseline.
    Text {
        text: String,
        at: Xy,
        letters: Type,
        align: Align,
        turn: Turn,
    },
    /// A matrix of colours stretched over a rectangle, row by row, without blending neighbours.
    Pixels {
        rect: Rect,
        columns: usize,
        rows: usize,
        pixels: Vec<Rgb>,
    },
}

/// The shapes of a picture, bottom first.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) shapes: Vec<Shape>,
}

impl Scene {
    pub(crate) fn rect(&mut self, rect: Rect, fill: impl Into<Ink>) {
        self.shapes.push(Shape::Rect { rect, fill: fill.into() });
    }

    pub(crate) fn circle(&mut self, centre: Xy, radius: f64, fill: impl Into<Ink>) {
        self.shapes.push(Shape::Circle { centre, radius, fill: fill.into() });
    }

    pub(crate) fn polygon(&mut self, points: Vec<Xy>, fill: impl Into<Ink>) {
        self.shapes.push(Shape::Polygon { points, fill: fill.into() });
    }

    /// A line through `points`; nothing for fewer than two.
    pub(crate) fn line(&mut self, points: Vec<Xy>, width: f64, rgb: Rgb) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, width, rgb });
        }
    }

    /// A line through `points`, whole or broken.
    pub(crate) fn stroke(&mut self, points: &[Xy], width: f64, rgb: Rgb, dash: Dash) {
        let (on, off) = match dash {
            Dash::Solid => return self.line(points.to_vec(), width, rgb),
            Dash::Dashed => (5.0, 3.0),
            Dash::Dotted => (1.75, 2.25),
        };
        // How much of the present dash or gap is left, and the points of the dash.
        let (mut left, mut drawn) = (on, Some(Vec::new()));
        for ends in points.windows(2) {
            let (from, to) = (ends[0], ends[1]);
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            let point = |at: f64| (from.0 + dx * at / length, from.1 + dy * at / length);
            let mut at = 0.0;
            while at < length {
                let end = (at + left).min(length);
                if let Some(path) = &mut drawn {
                    if path.is_empty() {
                        path.push(point(at));
                    }
                    path.push(point(end));
                }
                left -= end - at;
                at = end;
                if left <= 1e-9 {
                    drawn = match drawn {
                        Some(path) => {
                            self.line(path, width, rgb);
                            left = off;
                            None
                        }
                        None => {
                            left = on;
                            Some(Vec::new())
                        }
                    };
                }
            }
        }
        if let Some(path) = drawn {
            self.line(path, width, rgb);
        }
    }

    /// The outline of a rectangle.
    pub(crate) fn frame(&mut self, rect: Rect, width: f64, rgb: Rgb) {
        let (x, y, r, b) = (rect.x, rect.y, rect.right(), rect.bottom());
        let half = width / 2.0;
        self.line(vec![(x - half, y), (r + half, y)], width, rgb);
        self.line(vec![(x - half, b), (r + half, b)], width, rgb);
        self.line(vec![(x, y), (x, b)], width, rgb);
        self.line(vec![(r, y), (r, b)], width, rgb);
    }

    pub(crate) fn text(&mut self, text: &str, at: Xy, letters: Type, align: Align, turn: Turn) {
        if !text.trim().is_empty() {
            self.shapes.push(Shape::Text { text: text.to_owned(), at, letters, align, turn });
        }
    }
}
