//! How cells without a number look.

use crate::palette;
use crate::scene::{Rect, Scene};

/// Marks a rectangle as missing: grey with oblique lines.
pub(crate) fn paint_missing(scene: &mut Scene, rect: Rect) {
    const APART: f64 = 5.0;
    scene.rect(rect, palette::MISSING);
    let (low, high) = (rect.x + rect.y, rect.right() + rect.bottom());
    let mut sum = (low / APART).ceil() * APART;
    // On each line x + y is constant.
    while sum < high {
        let (left, right) = ((sum - rect.bottom()).max(rect.x), (sum - rect.y).min(rect.right()));
        if right - left > 0.2 {
            scene.line(vec![(left, sum - left), (right, sum - right)], 0.75, palette::MISSING_HATCH);
        }
        sum += APART;
    }
}
