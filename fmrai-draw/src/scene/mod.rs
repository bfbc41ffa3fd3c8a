//! A picture as a list of shapes, before it is written as SVG.

mod geometry;
mod ink;
mod lettering;
mod shapes;

pub(crate) use geometry::{Rect, Size, Xy, crisp};
pub(crate) use ink::{Ink, Rgb};
pub(crate) use lettering::{Align, Turn, Type, Weight};
pub(crate) use shapes::{Dash, Scene, Shape};
