//! What every kind of plot offers to the layout.

use crate::guides::legend::Block;
use crate::scene::{Rect, Scene, Size};

/// A plot that can be laid out and drawn.
pub(crate) trait Panelled {
    /// Size of the data when `target` is available.
    fn area(&self, target: Size) -> Size;
    /// Size of the data in a place that is at least `own`, what [`Panelled::area`] gave, and larger in a grid of unlike
    /// panels. Plots with axes fill it, unless they would be taller than wide.
    fn fit(&self, own: Size, place: Size) -> Size {
        Size { w: place.w, h: place.h.min(own.h.max(place.w)) }
    }
    /// What stands beside the plot.
    fn side(&self) -> Vec<Block>;
    /// What the picture leaves out, to be said in the caption.
    fn notes(&self) -> Vec<String>;
    /// Draws data and axes, the axes around `area`. The room they take is measured by what is drawn.
    fn paint(&self, scene: &mut Scene, area: Rect);
}
