//! What is written beside data, and what is said of what is not.

use super::*;

/// The texts of a picture.
fn written(shapes: &[scene::Shape]) -> Vec<&str> {
    let mut texts = Vec::new();
    for shape in shapes {
        if let scene::Shape::Text { text, .. } = shape {
            texts.push(text.as_str());
        }
    }
    texts
}

#[test]
fn rows_and_columns_of_the_same_things_have_the_same_names() {
    let names: Vec<String> = (0..72).map(|i| format!("L{}H{}", i / 12, i % 12)).collect();
    let head = || "head".to_owned();
    let map = HeatMap {
        row_axis: head(),
        column_axis: head(),
        rows: names.clone(),
        columns: names.clone(),
        ..heat_map(72, 72, |i| i as f64)
    };
    let (shapes, _) = composed(&figure(Plot::HeatMap(map)));
    let written = written(&shapes);
    let counts: Vec<usize> =
        names.iter().map(|name| written.iter().filter(|text| *text == name).count()).collect();
    assert!(counts.iter().all(|n| *n == 0 || *n == 2), "{counts:?}");
    assert!(counts.contains(&2));
}

#[test]
fn labels_that_find_no_room_are_counted() {
    let point = |i: usize| Point { label: format!("L{i}"), ..point((i % 3) as f64 * 1e-3, 0.0) };
    let (shapes, _) = composed(&figure(Plot::Scatter(scatter((0..30).map(point).collect()))));
    let text = written(&shapes).join(" ");
    let shown = (0..30).filter(|i| written(&shapes).contains(&format!("L{i}").as_str())).count();
    assert!(shown < 30);
    assert!(text.contains(&format!("{} labels for lack of room", 30 - shown)), "{text}");
}

#[test]
fn points_at_an_end_of_the_axis_do_not_lie_on_it_and_points_have_labels_and_intervals() {
    let points = vec![(0.0, 0.0), (1.0, 0.4), (2.0, 1.0)];
    let series = Series::points("heads", points)
        .labelled(vec!["L0H2".to_owned(), String::new(), "L2H1".to_owned()])
        .with_intervals(vec![(0.0, 0.1), (0.3, 0.5), (0.9, 1.0)]);
    let y = Axis::new("share", None).range(0.0, 1.0);
    let (shapes, _) =
        composed(&figure(Plot::Lines(Lines::new(Axis::new("layer", None).whole(), y, vec![series]))));
    let all = written(&shapes);
    assert!(all.contains(&"L0H2") && all.contains(&"L2H1"), "{all:?}");
    let circles: Vec<f64> = shapes
        .iter()
        .filter_map(|shape| match shape {
            scene::Shape::Circle { centre, radius, .. } if *radius < 3.0 => Some(centre.1),
            _ => None,
        })
        .collect();
    let axis = shapes
        .iter()
        .filter_map(|shape| match shape {
            scene::Shape::Line { points, .. } if points.len() == 2 && points[0].1 == points[1].1 => {
                Some((points[1].0 - points[0].0, points[0].1))
            }
            _ => None,
        })
        .fold(
            (0.0_f64, 0.0_f64),
            |longest, line| if line.0 >= longest.0 { (line.0, longest.1.max(line.1)) } else { longest },
        )
        .1;
    let lowest = circles.iter().copied().fold(0.0, f64::max);
    assert!(lowest < axis - 5.0, "a point at {lowest} lies on the axis at {axis}");
}

#[test]
fn labels_and_intervals_belong_to_points() {
    let series = || Series::points("s", vec![(0.0, 1.0), (1.0, 2.0)]);
    let refused = |series: Series| {
        let plot = Plot::Lines(Lines::new(Axis::new("x", None), Axis::new("y", None), vec![series]));
        check(&plot).unwrap_err().to_string()
    };
    assert_eq!(refused(series().labelled(vec!["a".to_owned()])), "series `s` has 1 labels for 2 points");
    assert_eq!(
        refused(series().with_intervals(vec![(0.0, 1.0); 3])),
        "series `s` has 3 intervals for 2 points"
    );
}

#[test]
fn a_box_plot_shows_its_lines_of_reference() {
    let plot = box_plot(vec![[0.0, 1.0, 2.0, 3.0, 4.0]; 3]).reference("median by chance", 2.5);
    let (shapes, _) = composed(&figure(Plot::BoxPlot(plot)));
    let text = written(&shapes).join(" ");
    assert!(text.contains("median by chance"), "{text}");
}

/// Colours of groups are bars where shapes mean something: a square would be one of the shapes.
#[test]
fn a_key_of_colours_looks_like_no_shape() {
    let (shapes, _) = composed(&figure(Plot::Scatter(scatter(Vec::new()))));
    let polygons = shapes.iter().filter(|shape| matches!(shape, scene::Shape::Polygon { .. })).count();
    // A square with its outline, in the key of the second cluster.
    assert_eq!(polygons, 2);
}
