//! A picture as a list of shapes, before it is drawn on paper or pixels.
//!
//! Lengths are in picture points (96 to the inch), y grows downwards.

/// Position: horizontal, vertical.
pub(super) type Xy = (f64, f64);

/// Width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) w: f64,
    pub(super) h: f64,
}

/// A rectangle by its upper left corner and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Rect {
    pub(super) fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    pub(super) fn centred(at: Xy, w: f64, h: f64) -> Self {
        Self { x: at.0 - w / 2.0, y: at.1 - h / 2.0, w, h }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.w
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.h
    }

    pub(super) fn centre(&self) -> Xy {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// True if the two share more than an edge.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// The rectangle that holds both.
    pub(super) fn union(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { x, y, w: right - x, h: bottom - y }
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        other.x >= self.x
            && other.y >= self.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }
}

/// An sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

/// A colour and how much of it covers what lies below, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    pub(super) rgb: Rgb,
    pub(super) alpha: f64,
}

impl From<Rgb> for Ink {
    fn from(rgb: Rgb) -> Self {
        Self { rgb, alpha: 1.0 }
    }
}

impl Rgb {
    /// The same colour, see-through.
    pub(super) fn alpha(self, alpha: f64) -> Ink {
        Ink { rgb: self, alpha }
    }
}

/// Which point of a text its position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// Direction of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// From left to right.
    Level,
    /// From bottom to top.
    Up,
}

/// Thickness of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// Size (of an em), thickness and colour of letters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) weight: Weight,
    pub(super) rgb: Rgb,
}

/// Something to draw.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
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
pub(super) struct Scene {
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    pub(super) fn rect(&mut self, rect: Rect, fill: impl Into<Ink>) {
        self.shapes.push(Shape::Rect { rect, fill: fill.into() });
    }

    pub(super) fn circle(&mut self, centre: Xy, radius: f64, fill: impl Into<Ink>) {
        self.shapes.push(Shape::Circle { centre, radius, fill: fill.into() });
    }

    pub(super) fn polygon(&mut self, points: Vec<Xy>, fill: impl Into<Ink>) {
        self.shapes.push(Shape::Polygon { points, fill: fill.into() });
    }

    /// A line through `points`; nothing for fewer than two.
    pub(super) fn line(&mut self, points: Vec<Xy>, width: f64, rgb: Rgb) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, width, rgb });
        }
    }

    /// A line through `points`, whole or broken.
    pub(super) fn stroke(&mut self, points: &[Xy], width: f64, rgb: Rgb, dash: Dash) {
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
    pub(super) fn frame(&mut self, rect: Rect, width: f64, rgb: Rgb) {
        let (x, y, r, b) = (rect.x, rect.y, rect.right(), rect.bottom());
        let half = width / 2.0;
        self.line(vec![(x - half, y), (r + half, y)], width, rgb);
        self.line(vec![(x - half, b), (r + half, b)], width, rgb);
        self.line(vec![(x, y), (x, b)], width, rgb);
        self.line(vec![(r, y), (r, b)], width, rgb);
    }

    pub(super) fn text(&mut self, text: &str, at: Xy, letters: Type, align: Align, turn: Turn) {
        if !text.trim().is_empty() {
            self.shapes.push(Shape::Text { text: text.to_owned(), at, letters, align, turn });
        }
    }
}

/// The nearest position at which a line of width 1 falls on whole picture points.
pub(super) fn crisp(position: f64) -> f64 {
    position.floor() + 0.5
}
