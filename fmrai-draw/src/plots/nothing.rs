//! Plots without data.

use crate::palette;
use crate::scene::{Align, Rect, Scene, Turn, Type};
use crate::style::AXIS;

/// Says in the middle of a plot that it is empty.
pub(crate) fn paint_nothing(scene: &mut Scene, area: Rect) {
    let letters = Type { rgb: palette::REFERENCE, ..AXIS };
    let (x, y) = area.centre();
    // Lines of a grid would go through the letters.
    let behind =
        Rect::centred((x, y - letters.size * 0.35), 60.0_f64.min(area.w), (letters.size * 1.4).min(area.h));
    scene.rect(behind, palette::PAPER);
    scene.text("no data", area.centre(), letters, Align::Middle, Turn::Level);
}
