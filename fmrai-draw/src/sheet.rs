//! Shapes with the room they take, measured as they are drawn.
//!
//! A plot and what stands beside it are painted once, from the origin. Their places on the picture follow from what was
//! painted, so no size is computed twice.

use crate::scene::{Align, Rect, Scene, Shape, Turn, Type, Xy};
use crate::text::Fonts;

/// How far letters reach above and below their baseline, as shares of the type size.
const ABOVE: f64 = 0.8;
const BELOW: f64 = 0.22;

/// Shapes around the origin.
pub(crate) struct Sheet {
    shapes: Vec<Shape>,
    /// The rectangle that holds all of them and the origin.
    pub(crate) bounds: Rect,
}

impl Sheet {
    /// What `paint` paints, measured.
    pub(crate) fn painted(fonts: &Fonts, paint: impl FnOnce(&mut Scene)) -> Self {
        let mut scene = Scene::default();
        paint(&mut scene);
        let none = Rect::new(0.0, 0.0, 0.0, 0.0);
        let bounds = scene.shapes.iter().map(|shape| extent(shape, fonts)).fold(none, Rect::union);
        Self { shapes: scene.shapes, bounds }
    }

    /// Puts the shapes on the picture, their origin at `corner`.
    pub(crate) fn place(self, scene: &mut Scene, corner: Xy) {
        scene.shapes.extend(self.shapes.into_iter().map(|shape| moved(shape, corner)));
    }
}

/// The rectangle that a shape fills.
fn extent(shape: &Shape, fonts: &Fonts) -> Rect {
    match shape {
        Shape::Rect { rect, .. } | Shape::Pixels { rect, .. } => *rect,
        Shape::Circle { centre, radius, .. } => Rect::centred(*centre, 2.0 * radius, 2.0 * radius),
        Shape::Polygon { points, .. } => around(points, 0.0),
        Shape::Line { points, width, .. } => around(points, width / 2.0),
        Shape::Text { text, at, letters, align, turn } => written(fonts, text, *at, *letters, *align, *turn),
    }
}

/// The rectangle that holds points and `room` around them.
fn around(points: &[Xy], room: f64) -> Rect {
    let at = |p: &Xy| Rect::centred(*p, 2.0 * room, 2.0 * room);
    points.iter().map(at).reduce(Rect::union).unwrap_or(Rect::new(0.0, 0.0, 0.0, 0.0))
}

/// The rectangle that a line of text fills.
fn written(fonts: &Fonts, text: &str, at: Xy, letters: Type, align: Align, turn: Turn) -> Rect {
    let long = fonts.width(text, letters);
    let before = match align {
        Align::Start => 0.0,
        Align::Middle => long / 2.0,
        Align::End => long,
    };
    let (above, high) = (ABOVE * letters.size, (ABOVE + BELOW) * letters.size);
    match turn {
        Turn::Level => Rect::new(at.0 - before, at.1 - above, long, high),
        Turn::Up => Rect::new(at.0 - above, at.1 + before - long, high, long),
    }
}

fn moved(shape: Shape, by: Xy) -> Shape {
    let at = |p: Xy| (p.0 + by.0, p.1 + by.1);
    let all = |points: Vec<Xy>| points.into_iter().map(at).collect();
    let whole = |rect: Rect| Rect { x: rect.x + by.0, y: rect.y + by.1, ..rect };
    match shape {
        Shape::Rect { rect, fill } => Shape::Rect { rect: whole(rect), fill },
        Shape::Circle { centre, radius, fill } => Shape::Circle { centre: at(centre), radius, fill },
        Shape::Polygon { points, fill } => Shape::Polygon { points: all(points), fill },
        Shape::Line { points, width, rgb } => Shape::Line { points: all(points), width, rgb },
        Shape::Text { text, at: place, letters, align, turn } => {
            Shape::Text { text, at: at(place), letters, align, turn }
        }
        Shape::Pixels { rect, columns, rows, pixels } => {
            Shape::Pixels { rect: whole(rect), columns, rows, pixels }
        }
    }
}
