//! Draws the figures of a report as SVG and PNG.
//!
//! Analyzers hand figures over as data ([`fmrai_core::report::figure`]); how they look is decided here alone. A figure is
//! checked, laid out as a list of shapes, and that list is drawn twice, so that both pictures agree. The embedded font
//! measures the text of both. The same figure gives the same bytes on any machine.

mod axes;
mod bars;
mod box_plot;
mod check;
mod colour_scale;
mod error;
mod heat_map;
mod layout;
mod legend;
mod lines;
mod marker;
mod palette;
mod passages;
mod placement;
mod plot;
mod render;
mod scatter;
mod scene;
mod sheet;
mod style;
#[cfg(test)]
mod tests;
mod text;
mod ticks;

use fmrai_core::report::Figure;

pub use error::{DrawError, Problem};
use scene::Scene;
use text::Fonts;

/// Area of the largest picture, in square points.
const LARGEST: f64 = 24e6;

/// A figure as pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// An SVG document with real text, sized in picture points (96 to the inch).
    pub svg: String,
    /// A PNG file with two pixels to a picture point, 8-bit RGB on white.
    pub png: Vec<u8>,
}

/// Draws a figure.
///
/// Missing positions (NaN) leave a gap, and the caption says how many points are not shown; missing cells of a heat map
/// are hatched. Infinite cells take the colour at the end of the scale. Tokens without a number have grey letters and no
/// colour behind them; of a long passage the lines around the marked token are shown.
///
/// # Errors
/// [`DrawError::NoPanels`] and [`DrawError::Panel`] if the figure contradicts itself, [`DrawError::TooLarge`] if the
/// picture would not fit into memory, [`DrawError::Backend`] if the drawing library fails.
pub fn draw(figure: &Figure) -> Result<Drawing, DrawError> {
    let name = || figure.name.clone();
    if figure.panels.is_empty() || figure.columns == 0 {
        return Err(DrawError::NoPanels {
            figure: name(),
            panels: figure.panels.len(),
            columns: figure.columns,
        });
    }
    for (i, panel) in figure.panels.iter().enumerate() {
        check::check(&panel.plot).map_err(|problem| DrawError::Panel {
            figure: name(),
            panel: i + 1,
            title: panel.title.clone(),
            problem,
        })?;
    }
    let failed = |reason: String| DrawError::Backend { figure: name(), reason };
    let fonts = Fonts::embedded().map_err(|e| failed(e.to_string()))?;
    let mut scene = Scene::default();
    let size = layout::compose(&mut scene, figure, fonts);
    if size.w * size.h > LARGEST {
        return Err(DrawError::TooLarge {
            figure: name(),
            width: size.w as u64,
            height: size.h as u64,
            panels: figure.panels.len(),
        });
    }
    render::paper(&mut scene, size);
    Ok(Drawing {
        svg: render::svg(&scene, size, &figure.title).map_err(|e| failed(e.to_string()))?,
        png: render::png(&scene, size, fonts).map_err(|e| failed(e.to_string()))?,
    })
}
