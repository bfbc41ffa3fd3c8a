//! Figures of every kind, well-formed and malformed, drawn whole.

mod labels;

use fmrai_core::report::figure::{
    Axis, Bars, BoxPlot, Card, HeatMap, Legend, Lines, Network, NetworkEdge, NetworkNode, Panel, Passage,
    Passages, Plot, Point, Scatter, Series, Token,
};
use proptest::prelude::*;

use crate::check::check;
use crate::layout::compose;
use crate::limits::LARGEST_PICTURE;
use crate::scene::{self, Scene};
use crate::text::{CAPITAL, Fonts};
use crate::{DrawError, Problem, draw};
use fmrai_core::report::Figure;

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("entry {i}")).collect()
}

fn scatter(points: Vec<Point>) -> Scatter {
    let legend = |title: &str, n| Legend { title: title.to_owned(), entries: texts(n), ordered: n > 2 };
    Scatter {
        x: Axis::new("dimension 1", Some("nats")),
        y: Axis::new("dimension 2", Some("nats")),
        equal_aspect: true,
        points,
        colours: legend("layer", 3),
        shapes: Some(legend("cluster", 2)),
    }
}

fn point(x: f64, y: f64) -> Point {
    Point { x, y, label: "a < b & \"c\"".to_owned(), colour: 0, shape: 0 }
}

fn heat_map(rows: usize, columns: usize, value: impl Fn(usize) -> f64) -> HeatMap {
    HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "head".to_owned(),
        rows: texts(rows),
        columns: texts(columns),
        values: (0..rows * columns).map(value).collect(),
        scale: Axis::new("distance", Some("nats")),
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    }
}

fn lines(points: &[(f64, f64)]) -> Lines {
    Lines {
        x: Axis::new("layer", None).whole(),
        y: Axis::new("entropy", Some("nats")),
        series: vec![Series::points("heads", points.to_vec()), Series::line("mean", points.to_vec())],
        references: vec![("uniform".to_owned(), 2.0)],
    }
}

fn bars(heights: Vec<f64>) -> Bars {
    Bars {
        category_axis: "pattern".to_owned(),
        categories: texts(heights.len()),
        y: Axis::new("share", Some("%")),
        groups: vec![("shallow".to_owned(), heights.clone()), ("semantic".to_owned(), heights)],
        stacked: false,
    }
}

fn box_plot(boxes: Vec<[f64; 5]>) -> BoxPlot {
    BoxPlot {
        category_axis: "layer".to_owned(),
        categories: texts(boxes.len()),
        y: Axis::new("coefficient", None),
        boxes,
        references: Vec::new(),
    }
}

fn passages(values: &[f64]) -> Passages {
    let token = |value: &f64| Token { text: " a<b".to_owned(), value: *value };
    let passage = Passage {
        label: "4.21".to_owned(),
        tokens: values.iter().map(token).collect(),
        marked: values.len().checked_sub(1),
        cut_before: true,
        cut_after: false,
    };
    let card = |passages| Card { title: "layer 3".to_owned(), details: texts(2), passages };
    Passages {
        scale: Axis::new("activation", None),
        diverging: true,
        cards: vec![card(vec![passage.clone(), passage]), card(Vec::new())],
    }
}

fn network(values: &[f64]) -> Network {
    let node = |i: usize| NetworkNode { x: (i % 3) as f64, y: (i / 3) as f64, label: format!("a{i}<&>") };
    let edge = |(i, value): (usize, &f64)| NetworkEdge {
        from: i,
        to: i + 3,
        enters: -0.7,
        label: "q".to_owned(),
        value: *value,
    };
    Network {
        scale: Axis::new("change of the logit difference", None),
        nodes: (0..values.len() + 3).map(node).collect(),
        edges: values.iter().enumerate().map(edge).collect(),
    }
}

fn figure(plot: Plot) -> Figure {
    Figure::single("test", "A <title> & more", "A caption.", plot)
}

fn every_kind() -> Vec<Plot> {
    vec![
        Plot::Scatter(scatter(vec![point(0.0, 1.0), point(2.0, -1.0), point(f64::NAN, 0.0)])),
        Plot::HeatMap(heat_map(4, 5, |i| if i == 7 { f64::NAN } else { i as f64 })),
        Plot::Lines(lines(&[(0.0, 1.0), (0.0, 1.5), (1.0, f64::NAN), (2.0, 0.5)])),
        Plot::Bars(bars(vec![3.0, -1.0, f64::NAN])),
        Plot::Bars(Bars { stacked: true, ..bars(vec![3.0, -1.0, f64::NAN]) }),
        Plot::BoxPlot(box_plot(vec![[0.0, 1.0, 2.0, 3.0, 9.0], [f64::NAN; 5]])),
        Plot::Passages(passages(&[0.0, 1.0, -2.0, f64::NAN, f64::INFINITY])),
        Plot::Network(network(&[0.5, -1.0, 0.0, f64::NAN])),
    ]
}

/// Width and height of a PNG, and how many different colours it has.
fn decoded(bytes: &[u8]) -> (u32, u32, usize) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let colours: std::collections::BTreeSet<&[u8]> = pixels.chunks(3).collect();
    (info.width, info.height, colours.len())
}

#[test]
fn every_kind_gives_a_png_and_an_svg_that_agree_and_the_same_bytes_twice() {
    for plot in every_kind() {
        let drawing = draw(&figure(plot.clone())).unwrap();
        let png = drawing.png(2.0).unwrap();
        let (width, height, colours) = decoded(&png);
        assert!(colours > 10, "an empty picture of {plot:?}");
        let document = roxmltree::Document::parse(drawing.svg()).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("width"), Some((width / 2).to_string().as_str()));
        assert_eq!(root.attribute("height"), Some((height / 2).to_string().as_str()));
        let written: Vec<&str> = document.descendants().filter_map(|n| n.text()).map(str::trim).collect();
        assert!(written.contains(&"A <title> & more"));
        assert!(written.iter().any(|t| t.starts_with("A caption.")));
        let again = draw(&figure(plot)).unwrap();
        assert_eq!(again.svg(), drawing.svg());
        assert_eq!(again.png(2.0).unwrap(), png);
    }
}

#[test]
fn a_caption_tells_what_is_not_shown() {
    let svg = draw(&figure(every_kind().swap_remove(0))).unwrap().svg().to_owned();
    assert!(svg.contains("A caption. Not shown: 1 point without a position."), "{svg}");
    let svg = draw(&figure(Plot::Passages(passages(&[1.0, f64::NAN])))).unwrap().svg().to_owned();
    assert!(svg.contains("A caption. Not shown: the number of 2 tokens (grey)."), "{svg}");
}

#[test]
fn passages_share_one_colour_bar() {
    let svg = draw(&figure(Plot::Passages(passages(&[0.0, 1.0])))).unwrap().svg().to_owned();
    assert_eq!(svg.matches("activation").count(), 1);
}

#[test]
fn panels_with_the_same_scale_share_one_colour_bar() {
    let panel = |title: &str, high: f64| {
        let mut map = heat_map(2, 3, |i| i as f64);
        map.scale = map.scale.range(0.0, high);
        Panel { title: title.to_owned(), plot: Plot::HeatMap(map) }
    };
    let bars_of = |other: f64| {
        let panels = vec![panel("left", 5.0), panel("right", other)];
        let figure = Figure { panels, columns: 2, ..figure(every_kind().swap_remove(0)) };
        draw(&figure).unwrap().svg().matches("distance (nats)").count()
    };
    assert_eq!(bars_of(5.0), 1);
    assert_eq!(bars_of(6.0), 2);
}

#[test]
fn a_large_matrix_is_an_image_in_a_small_svg() {
    let drawing = draw(&figure(Plot::HeatMap(heat_map(300, 300, |i| (i % 301) as f64)))).unwrap();
    let document = roxmltree::Document::parse(drawing.svg()).unwrap();
    let image = document.descendants().find(|n| n.has_tag_name("image")).unwrap();
    let data = image.attribute("href").unwrap().strip_prefix("data:image/png;base64,").unwrap();
    let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).unwrap();
    assert_eq!(&decoded(&png).0, &300);
    assert!(drawing.svg().len() < 300_000, "{} bytes", drawing.svg().len());
}

/// The shapes of a figure, and the size of its picture.
fn composed(figure: &Figure) -> (Vec<scene::Shape>, scene::Size) {
    let mut scene = Scene::default();
    let size = compose(&mut scene, figure, Fonts::embedded().unwrap());
    (scene.shapes, size)
}

/// Width and height of all cells of a map together; a colour bar is 12 points wide, cells are wider here.
fn cells(shapes: &[scene::Shape]) -> (f64, f64) {
    let cell = |shape: &scene::Shape| match shape {
        scene::Shape::Rect { rect, .. } if rect.w > 13.0 => Some(*rect),
        _ => None,
    };
    let cells: Vec<scene::Rect> = shapes.iter().filter_map(cell).collect();
    let least = |of: fn(&scene::Rect) -> f64| cells.iter().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&scene::Rect) -> f64| cells.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    (most(scene::Rect::right) - least(|r| r.x), most(scene::Rect::bottom) - least(|r| r.y))
}

/// The largest cell is 34 points, and one panel has 640.
#[test]
fn a_map_that_is_long_and_narrow_fills_the_place_that_was_kept_for_it() {
    for (rows, columns, width, height) in [
        (5, 1, 34.0, 170.0),
        (18, 4, 136.0, 612.0),
        (4, 18, 612.0, 136.0),
        (1, 30, 640.0, 34.0),
        (3, 3, 102.0, 102.0),
    ] {
        let (shapes, size) = composed(&figure(Plot::HeatMap(heat_map(rows, columns, |i| i as f64))));
        assert_eq!(cells(&shapes), (width, height), "{rows} x {columns}");
        assert!(size.h - height < 150.0, "{rows} x {columns} on a picture of {size:?}");
    }
}

/// In a row of panels each keeps the size it has alone.
#[test]
fn a_long_map_beside_a_wide_one_fills_its_place() {
    let panel = |plot| Panel { title: "panel".to_owned(), plot };
    let long = || panel(Plot::HeatMap(heat_map(18, 4, |i| i as f64)));
    let flat = panel(Plot::HeatMap(heat_map(1, 1, |_| 1.0)));
    let beside = Figure { panels: vec![long(), flat], columns: 2, ..figure(every_kind().swap_remove(0)) };
    let twice = Figure { panels: vec![long(), long()], ..beside.clone() };
    let (shapes, _) = composed(&beside);
    assert_eq!(cells(&shapes).1, cells(&composed(&twice).0).1);
}

/// The figure of a fresh machine on which the name of the row axis lay above the picture.
#[test]
fn the_names_of_a_map_of_one_column_lie_on_the_picture() {
    let map = HeatMap {
        rows: vec![String::new(); 5],
        columns: vec!["word ".repeat(300)],
        row_groups: vec![("all".to_owned(), 5), ("none".to_owned(), 0)],
        column_groups: vec![("word ".repeat(300), 1)],
        ..heat_map(5, 1, |_| 0.0)
    };
    let (shapes, size) = composed(&figure(Plot::HeatMap(map)));
    assert_eq!(outside(&shapes, size), None);
    assert_eq!(overlap(&shapes), None);
}

/// Texts in cells lie on the picture, in their cells, and do not touch.
#[test]
fn texts_of_cells_stay_in_their_cells() {
    let long = |i: usize| if i.is_multiple_of(3) { "a long word ".repeat(i) } else { "\n".to_owned() };
    let map = HeatMap { texts: (0..40).map(long).collect(), ..heat_map(5, 8, |i| i as f64 / 40.0) };
    let (shapes, size) = composed(&figure(Plot::HeatMap(map.clone())));
    assert_eq!(outside(&shapes, size), None);
    assert_eq!(overlap(&shapes), None);
    let wrong = HeatMap { texts: vec![String::new(); 39], ..map };
    let error = draw(&figure(Plot::HeatMap(wrong))).unwrap_err().to_string();
    assert!(error.contains("the heat map has texts for 39 of its 40 cells"), "{error}");
}

/// The place of a line of text, a little less than its letters at their ends.
fn place_of_text(shape: &scene::Shape) -> Option<scene::Rect> {
    let scene::Shape::Text { text, at, letters, align, turn } = shape else { return None };
    let long = Fonts::embedded().unwrap().width(text, *letters);
    let before = match align {
        scene::Align::Start => 0.0,
        scene::Align::Middle => long / 2.0,
        scene::Align::End => long,
    };
    let high = letters.size * CAPITAL;
    Some(match turn {
        scene::Turn::Level => scene::Rect::new(at.0 - before, at.1 - high, long, high),
        scene::Turn::Up => scene::Rect::new(at.0 - high, at.1 + before - long, high, long),
    })
}

/// A shape that is not wholly on the picture.
fn outside(shapes: &[scene::Shape], size: scene::Size) -> Option<String> {
    let picture = scene::Rect::new(-0.5, -0.5, size.w + 1.0, size.h + 1.0);
    let box_of = |points: &[scene::Xy]| {
        let low = points.iter().fold((f64::MAX, f64::MAX), |l, p| (l.0.min(p.0), l.1.min(p.1)));
        let high = points.iter().fold((f64::MIN, f64::MIN), |h, p| (h.0.max(p.0), h.1.max(p.1)));
        scene::Rect::new(low.0, low.1, high.0 - low.0, high.1 - low.1)
    };
    let place = |shape: &scene::Shape| match shape {
        scene::Shape::Rect { rect, .. } | scene::Shape::Pixels { rect, .. } => *rect,
        scene::Shape::Circle { centre, radius, .. } => {
            scene::Rect::centred(*centre, 2.0 * radius, 2.0 * radius)
        }
        scene::Shape::Polygon { points, .. } | scene::Shape::Line { points, .. } => box_of(points),
        text => place_of_text(text).unwrap(),
    };
    let fits = |r: &scene::Rect| r.w >= 0.0 && r.h >= 0.0 && picture.contains(r);
    let wrong = shapes.iter().find(|shape| !fits(&place(shape)))?;
    Some(format!("{wrong:?} at {:?} of {size:?}", place(wrong)))
}

/// Two texts that are written over each other.
fn overlap(shapes: &[scene::Shape]) -> Option<String> {
    let texts: Vec<_> = shapes.iter().filter_map(|s| Some((s, place_of_text(s)?))).collect();
    for (i, (a, place)) in texts.iter().enumerate() {
        let inner = scene::Rect::centred(place.centre(), (place.w - 0.5).max(0.0), (place.h - 0.5).max(0.0));
        if let Some((b, _)) = texts[..i].iter().find(|(_, other)| other.overlaps(&inner)) {
            return Some(format!("{a:?} is written over {b:?}"));
        }
    }
    None
}

#[test]
fn equal_cells_of_a_row_are_one_rectangle() {
    let rectangles = |value: fn(usize) -> f64| {
        let svg = draw(&figure(Plot::HeatMap(heat_map(20, 20, value)))).unwrap().svg().to_owned();
        svg.matches("<rect").count()
    };
    assert_eq!(rectangles(|i| (i % 7) as f64) - rectangles(|_| 1.0), 20 * 20 - 20);
}

fn problem(plot: Plot) -> Problem {
    match draw(&figure(plot)) {
        Err(DrawError::Panel { problem, figure, panel: 1, .. }) if figure == "test" => problem,
        other => panic!("expected an error of the first panel, got {:?}", other.map(|_| "a drawing")),
    }
}

#[test]
fn malformed_panels_are_refused_by_name() {
    let mut plot = scatter(vec![point(0.0, 0.0)]);
    plot.points[0].colour = 3;
    assert_eq!(
        problem(Plot::Scatter(plot)),
        Problem::Entry { point: 0, what: "colour", index: 3, entries: 3 }
    );
    let mut plot = scatter(vec![point(0.0, 0.0)]);
    plot.points[0].shape = 2;
    assert_eq!(
        problem(Plot::Scatter(plot)),
        Problem::Entry { point: 0, what: "shape", index: 2, entries: 2 }
    );
    let infinite = problem(Plot::Scatter(scatter(vec![point(f64::INFINITY, 0.0)])));
    assert!(matches!(infinite, Problem::Infinite { value, .. } if value == f64::INFINITY));

    let mut map = heat_map(2, 3, |_| 0.0);
    map.values.pop();
    let error = problem(Plot::HeatMap(map));
    assert_eq!(error, Problem::Cells { rows: 2, columns: 3, values: 5 });
    assert_eq!(error.to_string(), "2 rows of 3 columns need 6 values, but there are 5");
    let mut map = heat_map(2, 3, |_| 0.0);
    map.column_groups = vec![("a".to_owned(), 2), ("b".to_owned(), 2)];
    assert_eq!(problem(Plot::HeatMap(map)), Problem::Groups { what: "column", grouped: 4, available: 3 });

    let mut plot = lines(&[(0.0, 0.0)]);
    plot.y = plot.y.range(1.0, 0.0);
    assert!(matches!(problem(Plot::Lines(plot)), Problem::Range { low: 1.0, high: 0.0, .. }));
    let mut plot = lines(&[(0.0, 0.0)]);
    plot.references[0].1 = f64::NEG_INFINITY;
    assert!(matches!(problem(Plot::Lines(plot)), Problem::Infinite { .. }));

    let mut plot = bars(vec![1.0, 2.0]);
    plot.groups[1].1.pop();
    let expected = Problem::Categories { item: "group `semantic`".to_owned(), values: 1, categories: 2 };
    assert_eq!(problem(Plot::Bars(plot)), expected);

    let high = problem(Plot::Bars(Bars { stacked: true, ..bars(vec![1.0, 1e300]) }));
    assert_eq!(high, Problem::Infinite { item: "the stack of `entry 1`".to_owned(), value: 2e300 });

    let mut plot = passages(&[1.0, 2.0]);
    plot.cards[0].passages[1].marked = Some(2);
    let error = problem(Plot::Passages(plot));
    assert_eq!(
        error.to_string(),
        "passage 1 on card `layer 3` marks token 2, but has 2 tokens: they count from 0"
    );
    let huge = problem(Plot::Passages(passages(&[1.0, f64::MAX])));
    assert!(
        matches!(huge, Problem::Infinite { item, .. } if item == "token 1 of passage 0 on card `layer 3`")
    );
    let mut plot = passages(&[1.0]);
    plot.scale = plot.scale.range(1.0, 1.0);
    assert!(matches!(problem(Plot::Passages(plot)), Problem::Range { .. }));

    let mut plot = box_plot(vec![[0.0, 1.0, 2.0, 3.0, 4.0]]);
    plot.categories.clear();
    assert!(matches!(problem(Plot::BoxPlot(plot)), Problem::Categories { values: 1, categories: 0, .. }));
    let disordered = problem(Plot::BoxPlot(box_plot(vec![[0.0, 3.0, 2.0, 3.0, 4.0]])));
    assert!(matches!(disordered, Problem::BoxOrder { .. }));
}

#[test]
fn a_png_has_as_many_pixels_as_were_asked_for() {
    let drawing = draw(&figure(every_kind().swap_remove(1))).unwrap();
    let (width, height, _) = decoded(&drawing.png(1.0).unwrap());
    let (wide, high, _) = decoded(&drawing.png(3.0).unwrap());
    assert_eq!((wide, high), (3 * width, 3 * height));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1000.0] {
        let error = drawing.png(scale).unwrap_err();
        assert!(matches!(error, DrawError::Scale { .. }), "{error}");
    }
}

#[test]
fn figures_without_panels_or_without_measure_are_refused() {
    let empty = Figure { panels: Vec::new(), ..figure(every_kind().swap_remove(0)) };
    assert!(matches!(draw(&empty), Err(DrawError::NoPanels { panels: 0, .. })));
    let none_in_a_row = Figure { columns: 0, ..figure(every_kind().swap_remove(0)) };
    assert!(matches!(draw(&none_in_a_row), Err(DrawError::NoPanels { columns: 0, .. })));
    let panel = Panel { title: String::new(), plot: Plot::Bars(bars(vec![1.0])) };
    let endless = Figure { panels: vec![panel; 500], ..figure(every_kind().swap_remove(0)) };
    assert!(matches!(draw(&endless), Err(DrawError::TooLarge { panels: 500, .. })));
    let crowd = Plot::Scatter(scatter(vec![point(0.5, 0.5); 240_001]));
    let error = draw(&figure(crowd)).unwrap_err();
    assert!(matches!(error, DrawError::TooMany { most: 480_000, .. }), "{error}");
    let mut many = passages(&[1.0]);
    many.cards = vec![many.cards[0].clone(); 2000];
    let error = draw(&figure(Plot::Passages(many))).unwrap_err();
    assert!(matches!(error, DrawError::TooLarge { panels: 1, .. }), "{error}");
}

/// Numbers that break naive layouts.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0_f64,
        1 => Just(f64::NAN),
        1 => Just(0.0),
        1 => Just(1e300),
        1 => Just(-1e300),
        1 => Just(5e-324),
        1 => Just(1e16),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,12}",
        1 => "[a-z\u{0}-\u{1f}<&]{0,8}",
        1 => Just("word ".repeat(300)),
        1 => Just("ö".repeat(3000)),
    ]
}

fn axis() -> impl Strategy<Value = Axis> {
    (text(), prop::option::of(text()), any::<bool>(), prop::option::of((-5.0..0.0, 0.1..5.0)))
        .prop_map(|(label, unit, whole, range)| Axis { label, unit, range, whole })
}

fn any_plot() -> impl Strategy<Value = Plot> {
    let numbers = || prop::collection::vec(number(), 0..14);
    let labels = |n: usize| prop::collection::vec(text(), n);
    let scatter = (axis(), axis(), prop::collection::vec((number(), number(), text()), 0..14), any::<bool>())
        .prop_map(|(x, y, points, equal_aspect)| {
            let points = points.into_iter().map(|(x, y, label)| Point { label, ..point(x, y) });
            Plot::Scatter(Scatter { x, y, equal_aspect, ..scatter(points.collect()) })
        });
    let map = (0..6_usize, 0..6_usize, any::<bool>(), axis())
        .prop_flat_map(move |(rows, columns, diverging, scale)| {
            let values = prop::collection::vec(number(), rows * columns);
            (labels(rows), labels(columns), values, Just(diverging), Just(scale))
        })
        .prop_map(|(rows, columns, values, diverging, scale)| {
            let row_groups = vec![("all".to_owned(), rows.len()), ("none".to_owned(), 0)];
            let column_groups = columns.iter().map(|name| (name.clone(), 1)).collect();
            let map =
                HeatMap { rows, columns, values, diverging, scale, row_groups, ..heat_map(0, 0, |_| 0.0) };
            Plot::HeatMap(HeatMap { column_groups, ..map })
        });
    let lines = (axis(), axis(), prop::collection::vec((number(), number()), 0..14), text()).prop_map(
        |(x, y, points, name)| {
            let mut plot = lines(&points);
            plot.series[0].name.clone_from(&name);
            Plot::Lines(Lines { x, y, references: vec![(name, 1.0), (String::new(), 1.0)], ..plot })
        },
    );
    let bars = (axis(), numbers(), any::<bool>()).prop_map(|(y, heights, stacked)| {
        // Two of these stand on each other, and stacks have to be finite too.
        let heights = if stacked { heights.into_iter().map(|h| h / 2.0).collect() } else { heights };
        Plot::Bars(Bars { y, stacked, ..bars(heights) })
    });
    let passages = (axis(), numbers(), text(), any::<bool>(), any::<bool>()).prop_map(
        |(scale, values, text, diverging, cut)| {
            let mut plot = Passages { scale, diverging, ..passages(&values) };
            plot.cards[0].title.clone_from(&text);
            plot.cards[1].details.push(text.clone());
            for passage in &mut plot.cards[0].passages {
                passage.label.clone_from(&text);
                passage.cut_after = cut;
                passage.tokens.iter_mut().take(3).for_each(|token| token.text.clone_from(&text));
            }
            Plot::Passages(plot)
        },
    );
    let boxes = (axis(), numbers()).prop_map(|(y, numbers)| {
        let five = |v: f64| [v, v, v, v, v];
        Plot::BoxPlot(BoxPlot { y, ..box_plot(numbers.into_iter().map(five).collect()) })
    });
    prop_oneof![scatter, map, lines, bars, boxes, passages]
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(32))]

    /// Whatever a figure holds, its shapes lie on the picture, and no text is written over another.
    #[test]
    fn any_figure_is_laid_out(plots in prop::collection::vec(any_plot(), 1..4), columns in 1..4_usize, title in text()) {
        let panels: Vec<Panel> =
            plots.into_iter().map(|plot| Panel { title: title.clone(), plot }).collect();
        for panel in &panels {
            prop_assert_eq!(check(&panel.plot), Ok(()));
        }
        let figure = Figure { name: title.clone(), title: title.clone(), caption: title, panels, columns };
        let (shapes, size) = composed(&figure);
        prop_assert!(size.w * size.h < LARGEST_PICTURE);
        prop_assert_eq!(outside(&shapes, size), None);
        prop_assert_eq!(overlap(&shapes), None);
    }
}

proptest! {
    #![proptest_config(fmrai_core::property_config!(4))]

    #[test]
    fn any_figure_is_drawn(plot in any_plot(), title in text()) {
        let drawing = draw(&Figure::single("test", &title, &title, plot)).unwrap();
        prop_assert!(roxmltree::Document::parse(drawing.svg()).is_ok());
        prop_assert!(decoded(&drawing.png(2.0).unwrap()).0 > 0);
    }
}

#[test]
fn a_network_without_sense_is_refused() {
    let mut plot = network(&[1.0]);
    plot.edges[0].to = 9;
    assert!(matches!(problem(Plot::Network(plot)), Problem::EdgeNode { edge: 0, index: 9, nodes: 4 }));
    let mut plot = network(&[1.0]);
    plot.edges[0].enters = 1.5;
    assert!(matches!(problem(Plot::Network(plot)), Problem::Enters { edge: 0, .. }));
    let mut plot = network(&[1.0]);
    plot.nodes[2].x = f64::NAN;
    assert!(matches!(problem(Plot::Network(plot)), Problem::Place { .. }));
    assert!(matches!(problem(Plot::Network(network(&[f64::INFINITY]))), Problem::Infinite { .. }));
    assert!(draw(&figure(Plot::Network(network(&[])))).is_ok());
}
