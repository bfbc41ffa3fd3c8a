//! From a figure to its pictures.

use fmrai_core::report::Figure;

use crate::check::check;
use crate::error::{DrawError, Failure};
use crate::layout::compose;
use crate::limits::{LARGEST_PICTURE, MOST_PIXELS, MOST_SHAPES};
use crate::machine_fonts::MachineFonts;
use crate::palette::PAPER;
use crate::raster;
use crate::scene::{Rect, Scene, Size};
use crate::svg::svg;
use crate::text::{Fonts, is_seen, lacking};

/// A figure as a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Name of the figure, for messages.
    figure: String,
    size: Size,
    svg: String,
}

impl Drawing {
    /// An SVG document with real text, sized in picture points (96 to the inch).
    #[must_use]
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The SVG document as a PNG file with `scale` pixels to a picture point, 8-bit RGB on white.
    ///
    /// A character that the embedded font lacks comes from a font of this machine, or is a box where none has it
    /// ([`boxes`](Self::boxes)); the SVG has the character itself.
    ///
    /// # Errors
    /// [`DrawError::Scale`] if `scale` is no number above 0 or asks for more than 100 million pixels,
    /// [`DrawError::Backend`] if the drawing library fails.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, DrawError> {
        let pixels = self.size.w * self.size.h * f64::from(scale).powi(2);
        // False for NaN too.
        let fits = scale > 0.0 && pixels <= MOST_PIXELS;
        if !fits {
            let (width, height) = (self.size.w as u64, self.size.h as u64);
            return Err(DrawError::Scale { figure: self.figure.clone(), scale, width, height });
        }
        let drawn =
            Fonts::embedded().map_err(Failure::from).and_then(|fonts| raster::png(&self.svg, scale, fonts));
        drawn.map_err(|e| DrawError::Backend { figure: self.figure.clone(), reason: e.to_string() })
    }
}

impl Drawing {
    /// The characters that are boxes in the PNG file, since no font of this machine has them; sorted.
    #[must_use]
    pub fn boxes(&self) -> Vec<char> {
        let Ok(fonts) = Fonts::embedded() else { return Vec::new() };
        let lacking = lacking(fonts, &self.svg);
        if lacking.is_empty() {
            return Vec::new();
        }
        let found = MachineFonts::installed().have(&lacking);
        lacking.into_iter().filter(|c| is_seen(*c) && !found.contains(c)).collect()
    }
}

/// Draws a figure.
///
/// Missing positions (NaN) leave a gap, and the caption says how many points are not shown; missing cells of a heat map
/// are hatched. Infinite cells take the colour at the end of the scale. Tokens without a number have grey letters and no
/// colour behind them; of a long passage the lines around the marked token are shown.
///
/// # Errors
/// [`DrawError::NoPanels`] and [`DrawError::Panel`] if the figure contradicts itself, [`DrawError::TooLarge`] and
/// [`DrawError::TooMany`] if the picture would not fit into memory, [`DrawError::Backend`] if the drawing library fails.
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
        check(&panel.plot).map_err(|problem| DrawError::Panel {
            figure: name(),
            panel: i + 1,
            title: panel.title.clone(),
            problem,
        })?;
    }
    let failed = |reason: Failure| DrawError::Backend { figure: name(), reason: reason.to_string() };
    let fonts = Fonts::embedded().map_err(|e| failed(e.into()))?;
    let mut shapes = Scene::default();
    let size = compose(&mut shapes, figure, fonts);
    if size.w * size.h > LARGEST_PICTURE {
        return Err(DrawError::TooLarge {
            figure: name(),
            width: size.w as u64,
            height: size.h as u64,
            panels: figure.panels.len(),
        });
    }
    if shapes.shapes.len() > MOST_SHAPES {
        return Err(DrawError::TooMany { figure: name(), shapes: shapes.shapes.len(), most: MOST_SHAPES });
    }
    let mut scene = Scene::default();
    scene.rect(Rect::new(0.0, 0.0, size.w, size.h), PAPER);
    scene.shapes.append(&mut shapes.shapes);
    Ok(Drawing { figure: name(), size, svg: svg(&scene, size, &figure.title).map_err(failed)? })
}
