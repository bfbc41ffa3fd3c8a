//! Marks of points: shapes that stay apart from each other when small.

use std::f64::consts::{PI, TAU};

use crate::palette;
use crate::scene::{Rgb, Scene, Xy};

/// Width of the dark outline around a mark.
const OUTLINE: f64 = 0.75;
/// Radius of a spot, as a share of that of its mark.
const SPOT: f64 = 0.42;

/// What marks a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    form: Form,
    /// A spot in its middle.
    spot: Option<Rgb>,
}

/// The shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Star,
    TriangleDown,
    Plus,
    Hexagon,
    Hourglass,
}

impl Marker {
    /// A mark without a spot.
    pub(crate) fn of(form: Form) -> Self {
        Self { form, spot: None }
    }

    /// The mark of the `index`-th entry of a legend: ten shapes, the same with a white spot, with a dark spot, then the
    /// same again.
    pub(crate) fn nth(index: usize) -> Self {
        let spots = [None, Some(palette::PAPER), Some(palette::OUTLINE)];
        let n = Form::ALL.len();
        Self { form: Form::ALL[index % n], spot: spots[index / n % spots.len()] }
    }

    /// Draws the mark, about as large as a circle of `radius`, with a thin dark outline.
    pub(crate) fn draw(self, scene: &mut Scene, at: Xy, radius: f64, rgb: Rgb) {
        if self.form == Form::Circle {
            scene.circle(at, radius + OUTLINE, palette::OUTLINE);
            scene.circle(at, radius, rgb);
        } else {
            let corners = self.form.corners(radius);
            let place = |points: Vec<Xy>| points.into_iter().map(|p| (at.0 + p.0, at.1 + p.1)).collect();
            scene.polygon(place(grown(&corners, OUTLINE)), palette::OUTLINE);
            scene.polygon(place(corners), rgb);
        }
        if let Some(spot) = self.spot {
            scene.circle(at, radius * SPOT, spot);
        }
    }
}

impl Form {
    const ALL: [Self; 10] = [
        Self::Circle,
        Self::Square,
        Self::Triangle,
        Self::Diamond,
        Self::Cross,
        Self::Star,
        Self::TriangleDown,
        Self::Plus,
        Self::Hexagon,
        Self::Hourglass,
    ];

    /// Corners around the origin, clockwise on paper. Areas are about that of the circle.
    fn corners(self, r: f64) -> Vec<Xy> {
        let ring = |n: usize, radius: f64, from: f64| -> Vec<Xy> {
            (0..n)
                .map(|i| from + TAU * i as f64 / n as f64)
                .map(|a| (radius * a.cos(), radius * a.sin()))
                .collect()
        };
        let down = |points: Vec<Xy>, by: f64| points.into_iter().map(|(x, y)| (x, y + by)).collect();
        match self {
            Self::Circle => ring(24, r, 0.0),
            Self::Square => ring(4, 1.25 * r, PI / 4.0),
            Self::Diamond => ring(4, 1.28 * r, 0.0),
            Self::Hexagon => ring(6, 1.15 * r, PI / 6.0),
            Self::Triangle => down(ring(3, 1.42 * r, -PI / 2.0), 0.25 * r),
            Self::TriangleDown => down(ring(3, 1.42 * r, PI / 2.0), -0.25 * r),
            Self::Star => {
                let (tips, dents) = (ring(5, 1.5 * r, -PI / 2.0), ring(5, 0.68 * r, -PI / 2.0 + PI / 5.0));
                tips.into_iter().zip(dents).flat_map(|(tip, dent)| [tip, dent]).collect()
            }
            Self::Plus => plus(1.3 * r, 0.45 * r),
            Self::Cross => {
                let turn = |(x, y): Xy| ((x - y) / 2_f64.sqrt(), (x + y) / 2_f64.sqrt());
                plus(1.35 * r, 0.45 * r).into_iter().map(turn).collect()
            }
            Self::Hourglass => {
                let (w, h, n) = (1.05 * r, 1.2 * r, 0.3 * r);
                vec![(-w, -h), (w, -h), (n, 0.0), (w, h), (-w, h), (-n, 0.0)]
            }
        }
    }
}

fn plus(l: f64, a: f64) -> Vec<Xy> {
    vec![
        (-a, -l),
        (a, -l),
        (a, -a),
        (l, -a),
        (l, a),
        (a, a),
        (a, l),
        (-a, l),
        (-a, a),
        (-l, a),
        (-l, -a),
        (-a, -a),
    ]
}

/// A clockwise polygon with every edge moved outwards by `by`.
fn grown(corners: &[Xy], by: f64) -> Vec<Xy> {
    let n = corners.len();
    let normal = |a: Xy, b: Xy| {
        let length = (b.0 - a.0).hypot(b.1 - a.1).max(f64::MIN_POSITIVE);
        ((b.1 - a.1) / length, (a.0 - b.0) / length)
    };
    let grow = |i: usize| {
        let (before, at, after) = (corners[(i + n - 1) % n], corners[i], corners[(i + 1) % n]);
        let (a, b) = (normal(before, at), normal(at, after));
        let reach = by / (1.0 + a.0 * b.0 + a.1 * b.1).max(0.2);
        (at.0 + (a.0 + b.0) * reach, at.1 + (a.1 + b.1) * reach)
    };
    (0..n).map(grow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(corners: &[Xy]) -> f64 {
        let next = corners.iter().cycle().skip(1);
        corners.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>() / 2.0
    }

    #[test]
    fn marks_weigh_alike_and_outlines_surround_them() {
        for marker in Form::ALL {
            let corners = marker.corners(10.0);
            let share = area(&corners) / (PI * 100.0);
            assert!((0.6..1.3).contains(&share), "{marker:?} covers {share} of a circle");
            assert!(area(&grown(&corners, 1.0)) > area(&corners) * 1.1, "{marker:?} has no outline");
        }
    }

    #[test]
    fn thirty_marks_differ() {
        let marks: Vec<Marker> = (0..30).map(Marker::nth).collect();
        assert!(marks.iter().enumerate().all(|(i, mark)| !marks[..i].contains(mark)));
        assert_eq!(Marker::nth(30), Marker::nth(0));
    }

    #[test]
    fn a_grown_square_moves_each_edge_by_the_width() {
        let square = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
        let expected = [(-1.5, -1.5), (1.5, -1.5), (1.5, 1.5), (-1.5, 1.5)];
        for (corner, expected) in grown(&square, 0.5).into_iter().zip(expected) {
            assert!((corner.0 - expected.0).abs() < 1e-12 && (corner.1 - expected.1).abs() < 1e-12);
        }
    }
}
