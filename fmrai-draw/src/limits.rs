//! What is too large to be drawn.

/// Numbers beyond this have no place: their differences overflow.
pub(crate) const LARGEST_NUMBER: f64 = 1e300;
/// Cells of the largest heat map.
pub(crate) const MOST_CELLS: usize = 1 << 24;
/// Rows and columns that the nodes of a network may lie in.
pub(crate) const MOST_PLACES: f64 = 10_000.0;
/// Area of the largest picture, in square points.
pub(crate) const LARGEST_PICTURE: f64 = 24e6;
/// Pixels of the largest PNG: four bytes of memory each.
pub(crate) const MOST_PIXELS: f64 = 100e6;
/// Shapes of the fullest picture: the library that draws pixels reads documents of up to a million nodes, and a text has two.
pub(crate) const MOST_SHAPES: usize = 480_000;
