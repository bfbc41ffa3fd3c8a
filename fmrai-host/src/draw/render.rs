//! From a [`Scene`] to SVG text and PNG bytes, through the SVG and bitmap backends of plotters.

use ab_glyph::Font;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plotters::prelude::{BitMapBackend, DrawingBackend, RGBAColor, SVGBackend, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBColor, TextStyle};

use super::palette;
use super::scene::{Align, Ink, Rect, Rgb, Scene, Shape, Size, Turn, Type, Weight, Xy};
use super::text::{FAMILY, Fonts, drawable};

/// The backends place shapes on a grid of whole numbers, this many to a picture point.
const GRID: u32 = 4;
/// Pixels to a picture point in the PNG.
const PIXELS: u32 = 2;
/// The backend's pixels that are averaged into one of the PNG, along each side.
const FINER: u32 = GRID / PIXELS;
/// The SVG backend writes a type size divided by this.
const SVG_TYPE_FACTOR: f64 = 1.24;
/// The SVG backend writes a text anchored at its top this share of its size below.
const SVG_TOP: f64 = 0.76;

/// Why a backend did not draw.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn grid(length: f64) -> i32 {
    (length * f64::from(GRID)).round() as i32
}

fn grid_xy(at: Xy) -> (i32, i32) {
    (grid(at.0), grid(at.1))
}

fn grid_width(width: f64) -> u32 {
    u32::try_from(grid(width)).unwrap_or(0).max(1)
}

fn colour(ink: Ink) -> RGBAColor {
    RGBColor(ink.rgb.0, ink.rgb.1, ink.rgb.2).mix(ink.alpha)
}

fn filled(ink: Ink) -> ShapeStyle {
    colour(ink).filled()
}

/// The scene as an SVG document of `size`, named by `title`.
pub(super) fn svg(scene: &Scene, size: Size, title: &str) -> Result<String, Failure> {
    let extent = (grid_width(size.w), grid_width(size.h));
    let mut document = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\">\n\
         <title>{}</title>\n",
        size.w,
        size.h,
        extent.0,
        extent.1,
        escaped(title)
    );
    // The backend writes images under a media type that no viewer knows, so they are written here, between the shapes.
    for shapes in scene.shapes.chunk_by(|a, b| is_pixels(a) == is_pixels(b)) {
        let mut part = String::new();
        let mut backend = SVGBackend::with_string(&mut part, extent);
        let mut images = String::new();
        for shape in shapes {
            match shape {
                Shape::Pixels { rect, columns, rows, pixels } => {
                    images.push_str(&svg_image(*rect, *columns, *rows, pixels)?);
                }
                shape => svg_shape(&mut backend, shape)?,
            }
        }
        backend.present()?;
        drop(backend);
        let body = part.find(">\n").map_or(0, |end| end + 2)..part.rfind("</svg>").unwrap_or(part.len());
        document.push_str(part.get(body).unwrap_or_default());
        document.push_str(&images);
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

fn svg_image(rect: Rect, columns: usize, rows: usize, pixels: &[Rgb]) -> Result<String, Failure> {
    let bytes: Vec<u8> = pixels.iter().flat_map(|p| [p.0, p.1, p.2]).collect();
    let png = encoded(&bytes, u32::try_from(columns)?, u32::try_from(rows)?, None)?;
    Ok(format!(
        "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>\n",
        grid(rect.x),
        grid(rect.y),
        grid(rect.right()) - grid(rect.x),
        grid(rect.bottom()) - grid(rect.y),
        BASE64.encode(png)
    ))
}

fn svg_shape(backend: &mut SVGBackend<'_>, shape: &Shape) -> Result<(), Failure> {
    match shape {
        Shape::Rect { rect, fill } => {
            let corners = (grid_xy((rect.x, rect.y)), grid_xy((rect.right(), rect.bottom())));
            backend.draw_rect(corners.0, corners.1, &filled(*fill), true)?;
        }
        Shape::Circle { centre, radius, fill } => {
            backend.draw_circle(grid_xy(*centre), grid_width(*radius), &filled(*fill), true)?;
        }
        Shape::Polygon { points, fill } => {
            backend.fill_polygon(points.iter().copied().map(grid_xy), &filled(*fill))?;
        }
        Shape::Line { points, width, rgb } => {
            let style = colour(Ink::from(*rgb)).stroke_width(grid_width(*width));
            match points.as_slice() {
                [from, to] => backend.draw_line(grid_xy(*from), grid_xy(*to), &style)?,
                points => backend.draw_path(points.iter().copied().map(grid_xy), &style)?,
            }
        }
        Shape::Text { text, at, letters, align, turn } => {
            let (size, weight) = (letters.size * f64::from(GRID), letters.weight);
            let style = match weight {
                Weight::Regular => FontStyle::Normal,
                Weight::Bold => FontStyle::Bold,
            };
            let anchor = match align {
                Align::Start => HPos::Left,
                Align::Middle => HPos::Center,
                Align::End => HPos::Right,
            };
            let (transform, top) = match turn {
                Turn::Level => (FontTransform::None, (at.0, at.1 - SVG_TOP * letters.size)),
                Turn::Up => (FontTransform::Rotate270, (at.0 - SVG_TOP * letters.size, at.1)),
            };
            let font = (FAMILY, size * SVG_TYPE_FACTOR, style).into_font().transform(transform);
            let ink = colour(Ink::from(letters.rgb));
            let style = TextStyle::from(font).color(&ink).pos(Pos::new(anchor, VPos::Top));
            backend.draw_text(&drawable(text), &style, grid_xy(top))?;
        }
        Shape::Pixels { .. } => {}
    }
    Ok(())
}

/// The scene as a PNG with [`PIXELS`] pixels to a picture point, drawn finer and averaged.
pub(super) fn png(scene: &Scene, size: Size, fonts: &Fonts) -> Result<Vec<u8>, Failure> {
    let (w, h) = (size.w.ceil() as u32 * GRID, size.h.ceil() as u32 * GRID);
    let mut buffer = vec![255; 3 * w as usize * h as usize];
    {
        let mut backend = BitMapBackend::with_buffer(&mut buffer, (w, h));
        for shape in &scene.shapes {
            bitmap_shape(&mut backend, shape, fonts)?;
        }
        backend.present()?;
    }
    let dots_per_metre = 96.0 / 0.0254 * f64::from(PIXELS);
    encoded(&averaged(&buffer, w, FINER), w / FINER, h / FINER, Some(dots_per_metre.round() as u32))
}

fn bitmap_shape(backend: &mut BitMapBackend<'_>, shape: &Shape, fonts: &Fonts) -> Result<(), Failure> {
    match shape {
        Shape::Rect { rect, fill } => bitmap_rect(backend, *rect, *fill)?,
        Shape::Circle { centre, radius, fill } => {
            backend.draw_circle(grid_xy(*centre), grid_width(*radius), &filled(*fill), true)?;
        }
        Shape::Polygon { points, fill } => {
            backend.fill_polygon(points.iter().copied().map(grid_xy), &filled(*fill))?;
        }
        Shape::Line { points, width, rgb } => {
            for (i, pair) in points.windows(2).enumerate() {
                bitmap_stroke(backend, pair[0], pair[1], *width, *rgb)?;
                if i > 0 && *width > 1.0 {
                    backend.draw_circle(
                        grid_xy(pair[0]),
                        grid_width(width / 2.0),
                        &filled(Ink::from(*rgb)),
                        true,
                    )?;
                }
            }
        }
        Shape::Text { text, at, letters, align, turn } => {
            bitmap_text(backend, fonts, text, *at, *letters, *align, *turn)?;
        }
        Shape::Pixels { rect, columns, rows, pixels } => {
            bitmap_pixels(backend, *rect, *columns, *rows, pixels)?;
        }
    }
    Ok(())
}

fn bitmap_rect(backend: &mut BitMapBackend<'_>, rect: Rect, fill: Ink) -> Result<(), Failure> {
    let (from, to) = (grid_xy((rect.x, rect.y)), grid_xy((rect.right(), rect.bottom())));
    // The far corner is not part of the rectangle, as in SVG.
    backend.draw_rect(from, to, &filled(fill), true)?;
    Ok(())
}

/// A straight piece of a line. The backend's own wide paths leave holes where a path turns back over itself.
fn bitmap_stroke(backend: &mut BitMapBackend<'_>, a: Xy, b: Xy, width: f64, rgb: Rgb) -> Result<(), Failure> {
    let half = width / 2.0;
    let fill = Ink::from(rgb);
    if a.0 == b.0 || a.1 == b.1 {
        let (dx, dy) = if a.0 == b.0 { (half, 0.0) } else { (0.0, half) };
        let (left, top) = (a.0.min(b.0) - dx, a.1.min(b.1) - dy);
        let (w, h) = ((b.0 - a.0).abs() + 2.0 * dx, (b.1 - a.1).abs() + 2.0 * dy);
        return bitmap_rect(backend, Rect::new(left, top, w, h), fill);
    }
    let length = (b.0 - a.0).hypot(b.1 - a.1);
    let (nx, ny) = (-(b.1 - a.1) / length * half, (b.0 - a.0) / length * half);
    let corners = [(a.0 + nx, a.1 + ny), (b.0 + nx, b.1 + ny), (b.0 - nx, b.1 - ny), (a.0 - nx, a.1 - ny)];
    backend.fill_polygon(corners.map(grid_xy), &filled(fill))?;
    Ok(())
}

/// Letters by the coverage of their outlines. The backend's own text drops the bearings of glyphs.
fn bitmap_text(
    backend: &mut BitMapBackend<'_>,
    fonts: &Fonts,
    text: &str,
    at: Xy,
    letters: Type,
    align: Align,
    turn: Turn,
) -> Result<(), Failure> {
    let (glyphs, width) = fonts.glyphs(text, letters.size * f64::from(GRID), letters.weight);
    let start = match align {
        Align::Start => 0.0,
        Align::Middle => -width / 2.0,
        Align::End => -width,
    };
    let origin = grid_xy(at);
    let (w, h) = backend.get_size();
    let inside = |x: i32, y: i32| x >= 0 && y >= 0 && x.unsigned_abs() < w && y.unsigned_abs() < h;
    let mut outcome = Ok(());
    for mut glyph in glyphs {
        glyph.position.x += start as f32;
        let Some(outline) = fonts.face(letters.weight).outline_glyph(glyph) else { continue };
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, coverage| {
            let (dx, dy) = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
            let (px, py) = match turn {
                Turn::Level => (origin.0 + dx, origin.1 + dy),
                Turn::Up => (origin.0 + dy, origin.1 - dx),
            };
            if outcome.is_ok() && coverage > 0.0 && inside(px, py) {
                let ink = letters.rgb.alpha(f64::from(coverage.min(1.0)));
                outcome = backend.draw_pixel((px, py), colour(ink).to_backend_color());
            }
        });
    }
    Ok(outcome?)
}

fn bitmap_pixels(
    backend: &mut BitMapBackend<'_>,
    rect: Rect,
    columns: usize,
    rows: usize,
    pixels: &[Rgb],
) -> Result<(), Failure> {
    let (x, y) = grid_xy((rect.x, rect.y));
    let w = usize::try_from(grid(rect.right()) - x)?;
    let h = usize::try_from(grid(rect.bottom()) - y)?;
    let mut stretched = Vec::with_capacity(3 * w * h);
    for row in 0..h {
        let cells = &pixels[(row * rows / h) * columns..][..columns];
        for column in 0..w {
            let Rgb(r, g, b) = cells[column * columns / w];
            stretched.extend([r, g, b]);
        }
    }
    backend.blit_bitmap((x, y), (u32::try_from(w)?, u32::try_from(h)?), &stretched)?;
    Ok(())
}

/// Averages squares of `finer` by `finer` pixels.
fn averaged(buffer: &[u8], width: u32, finer: u32) -> Vec<u8> {
    let (row, finer) = (3 * width as usize, finer as usize);
    let samples = (finer * finer) as u32;
    let mut result = Vec::with_capacity(buffer.len() / (finer * finer));
    for rows in buffer.chunks_exact(row * finer) {
        for x in 0..width as usize / finer {
            for channel in 0..3 {
                let mut sum = samples / 2;
                for sample in 0..finer * finer {
                    let (dx, dy) = (sample % finer, sample / finer);
                    sum += u32::from(rows[dy * row + 3 * (x * finer + dx) + channel]);
                }
                result.push((sum / samples) as u8);
            }
        }
    }
    result
}

fn encoded(rgb: &[u8], width: u32, height: u32, dots_per_metre: Option<u32>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    encoder.set_pixel_dims(dots_per_metre.map(|n| png::PixelDimensions {
        xppu: n,
        yppu: n,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

/// Paper under everything.
pub(super) fn paper(scene: &mut Scene, size: Size) {
    scene
        .shapes
        .insert(0, Shape::Rect { rect: Rect::new(0.0, 0.0, size.w, size.h), fill: palette::PAPER.into() });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey level of every pixel of the PNG, row by row.
    fn greys(scene: &Scene, side: f64) -> Vec<Vec<u8>> {
        let bytes = png(scene, Size { w: side, h: side }, Fonts::embedded().unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let width = reader.next_frame(&mut pixels).unwrap().width as usize;
        pixels.chunks(3 * width).map(|row| row.chunks(3).map(|p| p[1]).collect()).collect()
    }

    #[test]
    fn crisp_lines_and_rectangles_fill_whole_pixels_exactly() {
        let black = Rgb(0, 0, 0);
        let mut scene = Scene::default();
        scene.line(vec![(1.0, 2.5), (4.0, 2.5)], 1.0, black);
        scene.rect(Rect::new(1.0, 4.0, 3.0, 1.0), black);
        let dark = |row: usize| row == 4 || row == 5 || row == 8 || row == 9;
        for (y, row) in greys(&scene, 6.0).iter().enumerate() {
            for (x, grey) in row.iter().enumerate() {
                let expected = if dark(y) && (2..8).contains(&x) { 0 } else { 255 };
                assert_eq!(*grey, expected, "at {x}, {y}");
            }
        }
    }

    #[test]
    fn a_path_that_turns_back_leaves_no_hole() {
        let mut scene = Scene::default();
        scene.line(vec![(2.0, 2.0), (18.0, 10.0), (2.0, 10.5)], 3.0, Rgb(0, 0, 0));
        let greys = greys(&scene, 20.0);
        assert_eq!(greys[20][30], 0, "the inner corner is paper");
        assert_eq!(greys[38][38], 255);
    }

    #[test]
    fn text_stands_on_its_baseline_and_ends_where_it_was_measured() {
        let letters = Type { size: 10.0, weight: Weight::Regular, rgb: Rgb(0, 0, 0) };
        let mut scene = Scene::default();
        scene.text("HHH", (25.0, 15.0), letters, Align::End, Turn::Level);
        let width = Fonts::embedded().unwrap().width("HHH", letters);
        let greys = greys(&scene, 30.0);
        let inked = |x: usize, y: usize| greys[y][x] < 128;
        let columns: Vec<usize> = (0..60).filter(|&x| (0..60).any(|y| inked(x, y))).collect();
        let rows: Vec<usize> = (0..60).filter(|&y| (0..60).any(|x| inked(x, y))).collect();
        assert_eq!(rows.last(), Some(&29), "the last inked row is above the baseline");
        assert!((columns[0] as f64 / 2.0 - (25.0 - width)).abs() < 1.5);
        let end = (columns[columns.len() - 1] + 1) as f64 / 2.0;
        assert!((25.0 - end).abs() < 1.5, "text ends at {end}");
    }
}
