//! From an SVG document to pixels.
//!
//! Letters come from the embedded font, so that pictures are alike everywhere; those that it lacks come from fonts of the machine.

use std::collections::BTreeSet;
use std::sync::Arc;

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::error::Failure;
use crate::machine_fonts::MachineFonts;
use crate::png_file;
use crate::text::{Fonts, lacking, with_stand_ins};

/// Picture points to the inch, and inches to the metre.
const POINTS: f64 = 96.0;
const INCHES: f64 = 1.0 / 0.0254;

/// Rectangles end at whole pixels, lest paper shines through between those that touch. The documents within a document of
/// ours are as large as it is, so nothing has to be clipped: that would take another picture of memory.
const STYLE: &str = "rect { shape-rendering: crispEdges } svg { overflow: visible }";

/// The document as a PNG file with `scale` pixels to a picture point, on white.
pub(crate) fn png(svg: &str, scale: f32, fonts: &Fonts) -> Result<Vec<u8>, Failure> {
    let lacking = lacking(fonts, svg);
    let more = if lacking.is_empty() { MachineFonts::none() } else { MachineFonts::installed() };
    png_with(svg, scale, &lacking, more)
}

/// The same with certain fonts behind the embedded one, which lacks some characters.
fn png_with(
    svg: &str,
    scale: f32,
    lacking: &BTreeSet<char>,
    more: &MachineFonts,
) -> Result<Vec<u8>, Failure> {
    let options =
        Options { fontdb: Arc::clone(&more.all), style_sheet: Some(STYLE.to_owned()), ..Options::default() };
    let boxed = lacking - &more.have(lacking);
    let tree = Tree::from_str(&with_stand_ins(svg, &boxed), &options)?;
    let pixels = |length: f32| (length * scale).round().max(1.0) as u32;
    let (width, height) = (pixels(tree.size().width()), pixels(tree.size().height()));
    let mut picture = Pixmap::new(width, height).ok_or("there is no room for its pixels")?;
    picture.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    // White paper lies under everything, so no pixel is see-through.
    let rgb: Vec<u8> = picture.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
    let per_metre = POINTS * INCHES * f64::from(scale);
    png_file::encoded(&rgb, width, height, Some(per_metre.round() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Align, Rect, Rgb, Scene, Size, Turn, Type, Weight};

    const BLACK: Rgb = Rgb(0, 0, 0);

    /// Grey level of every pixel of the PNG with two pixels to a point, row by row.
    fn greys(scene: &Scene, side: f64) -> Vec<Vec<u8>> {
        let svg = crate::svg::svg(scene, Size { w: side, h: side }, "test").unwrap();
        let bytes = png_with(&svg, 2.0, &lacked(&svg), MachineFonts::none()).unwrap();
        pixels(&bytes)
    }

    fn lacked(svg: &str) -> BTreeSet<char> {
        lacking(Fonts::embedded().unwrap(), svg)
    }

    fn pixels(png: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let width = reader.next_frame(&mut pixels).unwrap().width as usize;
        pixels.chunks(3 * width).map(|row| row.chunks(3).map(|p| p[1]).collect()).collect()
    }

    #[test]
    fn crisp_lines_and_rectangles_fill_whole_pixels_exactly() {
        let mut scene = Scene::default();
        scene.line(vec![(1.0, 2.5), (4.0, 2.5)], 1.0, BLACK);
        scene.rect(Rect::new(1.0, 4.0, 3.0, 1.0), BLACK);
        let dark = |row: usize| row == 4 || row == 5 || row == 8 || row == 9;
        for (y, row) in greys(&scene, 6.0).iter().enumerate() {
            for (x, grey) in row.iter().enumerate() {
                let expected = if dark(y) && (2..8).contains(&x) { 0 } else { 255 };
                assert_eq!(*grey, expected, "at {x}, {y}");
            }
        }
    }

    #[test]
    fn no_paper_shines_through_where_rectangles_touch() {
        let mut scene = Scene::default();
        for i in 0..8 {
            scene.rect(Rect::new(1.25 * f64::from(i), 0.25, 1.25, 5.0), BLACK);
        }
        let greys = greys(&scene, 10.0);
        assert!(greys[2..10].iter().flatten().all(|grey| *grey == 0));
    }

    #[test]
    fn a_matrix_of_colours_is_drawn_cell_by_cell() {
        let cells = vec![BLACK, Rgb(255, 255, 255), Rgb(255, 255, 255), BLACK];
        let mut scene = Scene::default();
        let rect = Rect::new(0.0, 0.0, 10.0, 10.0);
        scene.shapes.push(crate::scene::Shape::Pixels { rect, columns: 2, rows: 2, pixels: cells });
        for (y, row) in greys(&scene, 10.0).iter().enumerate() {
            for (x, grey) in row.iter().enumerate() {
                assert_eq!(*grey, if (x < 10) == (y < 10) { 0 } else { 255 }, "at {x}, {y}");
            }
        }
    }

    #[test]
    fn letters_that_the_font_lacks_are_boxes_and_those_that_nobody_sees_are_nothing() {
        let inked = |text: &str| {
            let mut scene = Scene::default();
            let letters = Type { size: 10.0, weight: Weight::Bold, rgb: BLACK };
            scene.text(text, (2.0, 15.0), letters, Align::Start, Turn::Level);
            greys(&scene, 30.0)
        };
        assert_eq!(inked("a\u{fe0f}"), inked("a"));
        let boxed = inked("語");
        let row = |y: usize| boxed[y].iter().filter(|grey| **grey < 160).count();
        assert!((0..60).any(|y| row(y) >= 8), "no level side of a box");
        assert!((0..60).any(|y| row(y) > 0 && row(y) < 5), "no upright sides of a box");
    }

    #[test]
    fn letters_that_another_font_has_come_from_it() {
        let mut all = (*MachineFonts::none().all).clone();
        all.load_font_data(include_bytes!("../tests/fonts/one-letter.ttf").to_vec());
        let machine = MachineFonts::of(all);
        let characters = ['語', '文'].into_iter().collect();
        assert_eq!(machine.have(&characters).into_iter().collect::<Vec<_>>(), ['語']);
        let mut scene = Scene::default();
        let letters = Type { size: 10.0, weight: Weight::Bold, rgb: BLACK };
        scene.text("語文", (2.0, 15.0), letters, Align::Start, Turn::Level);
        let svg = crate::svg::svg(&scene, Size { w: 30.0, h: 30.0 }, "test").unwrap();
        let bytes = png_with(&svg, 2.0, &lacked(&svg), &machine).unwrap();
        let greys = pixels(&bytes);
        // The middle of the first letter is the block of that font, that of the second a box with nothing in it.
        assert_eq!((greys[22][14], greys[22][34]), (0, 255));
    }

    #[test]
    fn a_path_that_turns_back_leaves_no_hole() {
        let mut scene = Scene::default();
        scene.line(vec![(2.0, 2.0), (18.0, 10.0), (2.0, 10.5)], 3.0, BLACK);
        let greys = greys(&scene, 20.0);
        assert_eq!(greys[20][30], 0, "the inner corner is paper");
        assert_eq!(greys[38][38], 255);
    }

    #[test]
    fn text_stands_on_its_baseline_and_ends_where_it_was_measured() {
        let letters = Type { size: 10.0, weight: Weight::Regular, rgb: BLACK };
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
