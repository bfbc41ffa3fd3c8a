//! From shapes to an SVG document, written by plotters.
//!
//! Plotters places shapes at whole numbers, so the document counts in quarters of a point. What plotters writes is a document
//! of its own; it stands in ours, which has the size in points and the title.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plotters::prelude::{DrawingBackend, RGBAColor, SVGBackend, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBColor, TextStyle};

use crate::error::Failure;
use crate::png_file;
use crate::scene::{Align, Ink, Rect, Rgb, Scene, Shape, Size, Turn, Type, Weight, Xy};
use crate::text::drawable;

/// What a viewer may use: the embedded font, then others of the same widths.
const FAMILY: &str = "Liberation Sans, Arimo, Arial, Helvetica, sans-serif";
/// Units of the document to a picture point.
const UNITS: u32 = 4;
/// Sides of the smallest cells whose edges are kept sharp. Of smaller ones a screen shows several at once.
const SHARP_FROM: f64 = 0.5;
/// Plotters writes a type size divided by this.
const TYPE_FACTOR: f64 = 1.24;
/// Plotters writes a text anchored at its top this share of its size below.
const TOP: f64 = 0.76;

fn units(length: f64) -> i32 {
    (length * f64::from(UNITS)).round() as i32
}

fn units_xy(at: Xy) -> (i32, i32) {
    (units(at.0), units(at.1))
}

fn units_width(width: f64) -> u32 {
    u32::try_from(units(width)).unwrap_or(0).max(1)
}

fn colour(ink: Ink) -> RGBAColor {
    RGBColor(ink.rgb.0, ink.rgb.1, ink.rgb.2).mix(ink.alpha)
}

fn filled(ink: Ink) -> ShapeStyle {
    colour(ink).filled()
}

/// The scene as an SVG document of `size`, named by `title`.
pub(crate) fn svg(scene: &Scene, size: Size, title: &str) -> Result<String, Failure> {
    let extent = (units_width(size.w), units_width(size.h));
    let mut document = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" stroke-linejoin=\"round\" role=\"img\">\n\
         <title>{}</title>\n",
        size.w,
        size.h,
        extent.0,
        extent.1,
        escaped(title)
    );
    // Joints are round, since pointed ones reach beyond the data. Plotters writes images under a media type that no viewer knows, so they are written here, between its documents.
    for shapes in scene.shapes.chunk_by(|a, b| is_pixels(a) == is_pixels(b)) {
        if shapes.iter().any(is_pixels) {
            for shape in shapes {
                document.push_str(&image(shape)?);
            }
            continue;
        }
        let mut backend = SVGBackend::with_string(&mut document, extent);
        for shape in shapes {
            draw(&mut backend, shape)?;
        }
        backend.present()?;
    }
    document.push_str("</svg>\n");
    Ok(document)
}

fn is_pixels(shape: &Shape) -> bool {
    matches!(shape, Shape::Pixels { .. })
}

fn escaped(text: &str) -> String {
    drawable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An image; nothing for other shapes.
fn image(shape: &Shape) -> Result<String, Failure> {
    let Shape::Pixels { rect, columns, rows, pixels } = shape else { return Ok(String::new()) };
    let bytes: Vec<u8> = pixels.iter().flat_map(|p| [p.0, p.1, p.2]).collect();
    let png = png_file::encoded(&bytes, u32::try_from(*columns)?, u32::try_from(*rows)?, None)?;
    Ok(format!(
        "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:{}\" href=\"data:image/png;base64,{}\"/>\n",
        units(rect.x),
        units(rect.y),
        units(rect.right()) - units(rect.x),
        units(rect.bottom()) - units(rect.y),
        rendering(*rect, *columns, *rows),
        BASE64.encode(png)
    ))
}

/// How viewers stretch an image of cells: with sharp edges, or as a mixture where no pixel is left for each cell. Of sharp
/// ones a viewer would leave out whole rows there.
fn rendering(rect: Rect, columns: usize, rows: usize) -> &'static str {
    let smallest = (rect.w / columns as f64).min(rect.h / rows as f64);
    if smallest < SHARP_FROM { "smooth" } else { "pixelated" }
}

fn draw(backend: &mut SVGBackend<'_>, shape: &Shape) -> Result<(), Failure> {
    match shape {
        Shape::Rect { rect, fill } => {
            let corners = (units_xy((rect.x, rect.y)), units_xy((rect.right(), rect.bottom())));
            // Nothing of it would be seen, and readers of SVG complain of it.
            if corners.0.0 == corners.1.0 || corners.0.1 == corners.1.1 {
                return Ok(());
            }
            backend.draw_rect(corners.0, corners.1, &filled(*fill), true)?;
        }
        Shape::Circle { centre, radius, fill } => {
            backend.draw_circle(units_xy(*centre), units_width(*radius), &filled(*fill), true)?;
        }
        Shape::Polygon { points, fill } => {
            backend.fill_polygon(points.iter().copied().map(units_xy), &filled(*fill))?;
        }
        Shape::Line { points, width, rgb } => draw_line(backend, points, *width, *rgb)?,
        Shape::Text { text, at, letters, align, turn } => {
            draw_text(backend, text, *at, *letters, *align, *turn)?;
        }
        Shape::Pixels { .. } => {}
    }
    Ok(())
}

fn draw_line(backend: &mut SVGBackend<'_>, points: &[Xy], width: f64, rgb: Rgb) -> Result<(), Failure> {
    let style = colour(Ink::from(rgb)).stroke_width(units_width(width));
    match points {
        [from, to] => backend.draw_line(units_xy(*from), units_xy(*to), &style)?,
        points => backend.draw_path(points.iter().copied().map(units_xy), &style)?,
    }
    Ok(())
}

fn draw_text(
    backend: &mut SVGBackend<'_>,
    text: &str,
    at: Xy,
    letters: Type,
    align: Align,
    turn: Turn,
) -> Result<(), Failure> {
    let style = match letters.weight {
        Weight::Regular => FontStyle::Normal,
        Weight::Bold => FontStyle::Bold,
    };
    let anchor = match align {
        Align::Start => HPos::Left,
        Align::Middle => HPos::Center,
        Align::End => HPos::Right,
    };
    let (transform, top) = match turn {
        Turn::Level => (FontTransform::None, (at.0, at.1 - TOP * letters.size)),
        Turn::Up => (FontTransform::Rotate270, (at.0 - TOP * letters.size, at.1)),
    };
    let size = letters.size * f64::from(UNITS) * TYPE_FACTOR;
    let font = (FAMILY, size, style).into_font().transform(transform);
    let ink = colour(Ink::from(letters.rgb));
    let style = TextStyle::from(font).color(&ink).pos(Pos::new(anchor, VPos::Top));
    backend.draw_text(&drawable(text), &style, units_xy(top))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_smaller_than_a_pixel_are_mixed() {
        let rect = Rect::new(0.0, 0.0, 100.0, 50.0);
        assert_eq!(rendering(rect, 200, 100), "pixelated");
        assert_eq!(rendering(rect, 201, 100), "smooth");
        assert_eq!(rendering(rect, 200, 101), "smooth");
    }

    #[test]
    fn a_rectangle_without_a_height_is_left_out() {
        let mut scene = Scene::default();
        scene.rect(Rect::new(1.0, 1.0, 2.0, 0.01), Rgb(1, 2, 3));
        scene.rect(Rect::new(1.0, 1.0, 0.0, 2.0), Rgb(1, 2, 3));
        scene.rect(Rect::new(1.0, 1.0, 2.0, 1.0), Rgb(1, 2, 3));
        let svg = svg(&scene, Size { w: 4.0, h: 4.0 }, "a").unwrap();
        assert_eq!(svg.matches("<rect").count(), 1, "{svg}");
    }

    #[test]
    fn an_image_stands_where_it_was_painted() {
        let rect = Rect::new(1.0, 1.0, 2.0, 2.0);
        let mut scene = Scene::default();
        scene.rect(rect, Rgb(1, 2, 3));
        scene.shapes.push(Shape::Pixels { rect, columns: 1, rows: 1, pixels: vec![Rgb(4, 5, 6)] });
        scene.circle((2.0, 2.0), 1.0, Rgb(7, 8, 9));
        let svg = svg(&scene, Size { w: 4.0, h: 4.0 }, "a < b").unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let names: Vec<&str> = document.descendants().map(|node| node.tag_name().name()).collect();
        let expected = ["", "svg", "title", "svg", "rect", "image", "svg", "circle"];
        assert_eq!(names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>(), expected[1..]);
        assert_eq!(document.root_element().attribute("viewBox"), Some("0 0 16 16"));
    }
}
