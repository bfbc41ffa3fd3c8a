//! Where labels of points go: beside their point, never over a mark or another label, else nowhere.

use std::collections::HashMap;

use crate::scene::{Rect, Xy};

/// Distance between a mark and its label.
const GAP: f64 = 1.5;

/// A label that wants a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wish {
    /// The point it names.
    pub(crate) at: Xy,
    /// Width and height of its text; an empty text wants none.
    pub(crate) w: f64,
    pub(crate) h: f64,
}

/// A place for each label that has room inside `bounds`, clear of the marks (squares of half-width `radius` around every
/// point) and of the labels placed before it. Labels of points that stand alone come first, then the order given.
///
/// Places are tried to the right of the point, above, below, to the left, then at the four corners.
pub(crate) fn place(bounds: Rect, wishes: &[Wish], radius: f64) -> Vec<Option<Rect>> {
    let widest = wishes.iter().map(|w| w.w.max(w.h)).fold(2.0 * radius, f64::max);
    let mut taken = Taken::new(widest);
    for wish in wishes {
        taken.insert(Rect::centred(wish.at, 2.0 * radius, 2.0 * radius));
    }
    let crowd = |wish: &Wish| taken.count(&Rect::centred(wish.at, 2.0 * wish.w + 2.0 * radius, 4.0 * wish.h));
    let mut order: Vec<(usize, usize)> = wishes.iter().map(crowd).zip(0..).collect();
    order.sort_unstable();

    let mut places = vec![None; wishes.len()];
    for (_, index) in order {
        let wish = wishes[index];
        if wish.w <= 0.0 {
            continue;
        }
        let free = |rect: &Rect| bounds.contains(rect) && taken.count(rect) == 0;
        if let Some(rect) = candidates(wish, radius + GAP).into_iter().find(free) {
            taken.insert(rect);
            places[index] = Some(rect);
        }
    }
    places
}

fn candidates(wish: Wish, away: f64) -> [Rect; 8] {
    let Wish { at: (x, y), w, h } = wish;
    let near = 0.75 * away;
    [
        (x + away, y - h / 2.0),
        (x - w / 2.0, y - away - h),
        (x - w / 2.0, y + away),
        (x - away - w, y - h / 2.0),
        (x + near, y - near - h),
        (x + near, y + near),
        (x - near - w, y - near - h),
        (x - near - w, y + near),
    ]
    .map(|(left, top)| Rect::new(left, top, w, h))
}

/// Rectangles by the squares of a grid that they touch.
struct Taken {
    square: f64,
    rects: HashMap<(i64, i64), Vec<Rect>>,
}

impl Taken {
    fn new(square: f64) -> Self {
        Self { square: square.max(1.0), rects: HashMap::new() }
    }

    /// Every square that a rectangle touches.
    fn squares(&self, rect: &Rect) -> impl Iterator<Item = (i64, i64)> + use<> {
        let index = |v: f64| (v / self.square).floor() as i64;
        let (top, bottom) = (index(rect.y), index(rect.bottom()));
        (index(rect.x)..=index(rect.right())).flat_map(move |i| (top..=bottom).map(move |j| (i, j)))
    }

    fn insert(&mut self, rect: Rect) {
        for square in self.squares(&rect) {
            self.rects.entry(square).or_default().push(rect);
        }
    }

    /// How many rectangles overlap `rect`; one that lies in several squares counts in each.
    fn count(&self, rect: &Rect) -> usize {
        let in_square = |square| self.rects.get(&square).into_iter().flatten();
        self.squares(rect).flat_map(in_square).filter(|other| other.overlaps(rect)).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Rect = Rect { x: 0.0, y: 0.0, w: 300.0, h: 200.0 };

    fn wish() -> impl Strategy<Value = Wish> {
        (0.0..300.0, 0.0..200.0, 0.0..60.0, 5.0..15.0).prop_map(|(x, y, w, h)| Wish { at: (x, y), w, h })
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn labels_never_cover_marks_or_each_other(
            wishes in prop::collection::vec(wish(), 0..120), radius in 0.5..8.0_f64,
        ) {
            let places = place(BOUNDS, &wishes, radius);
            prop_assert_eq!(places.len(), wishes.len());
            let placed: Vec<Rect> = places.iter().flatten().copied().collect();
            for (i, label) in placed.iter().enumerate() {
                prop_assert!(BOUNDS.contains(label));
                prop_assert!(placed[..i].iter().all(|other| !label.overlaps(other)));
                let clear = |w: &Wish| !label.overlaps(&Rect::centred(w.at, 2.0 * radius, 2.0 * radius));
                prop_assert!(wishes.iter().all(clear));
            }
            prop_assert_eq!(places, place(BOUNDS, &wishes, radius));
        }

        #[test]
        fn a_point_alone_gets_its_label(x in 80.0..220.0_f64, y in 30.0..170.0_f64) {
            let wish = Wish { at: (x, y), w: 60.0, h: 12.0 };
            prop_assert!(place(BOUNDS, &[wish], 4.0)[0].is_some());
        }
    }

    #[test]
    fn the_right_side_is_preferred_and_an_outlier_goes_first() {
        let at = |x, y| Wish { at: (x, y), w: 20.0, h: 10.0 };
        let places = place(BOUNDS, &[at(50.0, 50.0), at(52.0, 50.0), at(200.0, 100.0)], 4.0);
        let outlier = places[2].unwrap();
        assert!(outlier.x > 204.0 && outlier.y < 100.0 && outlier.bottom() > 100.0);
    }
}
