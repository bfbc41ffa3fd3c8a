//! Draws the figures of a report as SVG and PNG.
//!
//! Analyzers hand figures over as data ([`fmrai_core::report::figure`]); how they look is decided here alone. A figure is
//! checked and laid out as a list of shapes, the list is written as SVG, and that is drawn as PNG: the two agree, since one
//! comes from the other. The embedded font measures the text of both. The same figure gives the same bytes each time,
//! whatever fonts the machine has; only letters that the embedded font lacks, such as those of Japanese, come from fonts of the machine
//! into the PNG file.
//!
//! ```
//! use fmrai_core::report::Figure;
//! use fmrai_core::report::figure::{Axis, Lines, Plot, Series};
//!
//! let points = vec![(0.0, 1.9), (1.0, 1.2), (2.0, 0.7)];
//! let plot = Lines {
//!     x: Axis::new("layer", None).whole(),
//!     y: Axis::new("entropy", Some("nats")),
//!     series: vec![Series::line("mean", points)],
//!     references: Vec::new(),
//! };
//! let figure = Figure::single("entropy", "Entropy by layer", "Mean over all heads.", Plot::Lines(plot));
//! let drawing = fmrai_draw::draw(&figure)?;
//! assert!(drawing.svg().starts_with("<svg"));
//! assert!(drawing.png(2.0)?.starts_with(b"\x89PNG"));
//! # Ok::<(), fmrai_draw::DrawError>(())
//! ```

mod check;
mod drawing;
mod error;
mod guides;
mod layout;
mod limits;
mod machine_fonts;
mod palette;
mod plots;
mod png_file;
mod raster;
mod scene;
mod sheet;
mod style;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod wording;

pub use drawing::{Drawing, draw};
pub use error::{DrawError, Problem};
