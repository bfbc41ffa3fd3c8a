//! How plots are made in a line: what every plot of its kind has is given, what few have is added by a method.

use super::axis::Axis;
use super::{Bars, BoxPlot, HeatMap, Legend, Lines, Mark, Panel, Plot, Point, Scatter, Series};

impl Panel {
    /// A panel with a heading.
    #[must_use]
    pub fn new(title: &str, plot: Plot) -> Self {
        Self { title: title.to_owned(), plot }
    }
}

impl Series {
    /// A line through points.
    #[must_use]
    pub fn line(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self::new(name, Mark::Line, points)
    }

    /// Points without a line.
    #[must_use]
    pub fn points(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self::new(name, Mark::Points, points)
    }

    /// A short level stroke at each point.
    #[must_use]
    pub fn levels(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self::new(name, Mark::Levels, points)
    }

    fn new(name: &str, mark: Mark, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), mark, points, labels: Vec::new(), intervals: Vec::new() }
    }

    /// The same with a text for each point.
    #[must_use]
    pub fn labelled(mut self, labels: Vec<String>) -> Self {
        self.labels = labels;
        self
    }

    /// The same with an interval for each point.
    #[must_use]
    pub fn with_intervals(mut self, intervals: Vec<(f64, f64)>) -> Self {
        self.intervals = intervals;
        self
    }
}

impl Lines {
    /// Series over a common axis.
    #[must_use]
    pub fn new(x: Axis, y: Axis, series: Vec<Series>) -> Self {
        Self { x, y, series, references: Vec::new() }
    }

    /// The same with a horizontal line of reference.
    #[must_use]
    pub fn reference(mut self, name: &str, height: f64) -> Self {
        self.references.push((name.to_owned(), height));
        self
    }
}

impl HeatMap {
    /// `values` `[row, column]`, row-major; of rows and columns what they are and what each is called.
    #[must_use]
    pub fn new(
        (row_axis, rows): (&str, Vec<String>),
        (column_axis, columns): (&str, Vec<String>),
        values: Vec<f64>,
        scale: Axis,
    ) -> Self {
        Self {
            row_axis: row_axis.to_owned(),
            column_axis: column_axis.to_owned(),
            rows,
            columns,
            values,
            scale,
            diverging: false,
            row_groups: Vec::new(),
            column_groups: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// The same, of numbers on both sides of a meaningful zero.
    #[must_use]
    pub fn diverging(mut self) -> Self {
        self.diverging = true;
        self
    }

    /// The same with a text in each cell, `[row, column]`.
    #[must_use]
    pub fn texts(mut self, texts: Vec<String>) -> Self {
        self.texts = texts;
        self
    }
}

impl Bars {
    /// Bars without a group yet.
    #[must_use]
    pub fn new(category_axis: &str, categories: Vec<String>, y: Axis) -> Self {
        Self { category_axis: category_axis.to_owned(), categories, y, groups: Vec::new(), stacked: false }
    }

    /// The same with a group more: one height for each category. The name of an only group may be empty.
    #[must_use]
    pub fn group(mut self, name: &str, heights: Vec<f64>) -> Self {
        self.groups.push((name.to_owned(), heights));
        self
    }

    /// The same with the bars of a category on each other.
    #[must_use]
    pub fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }
}

impl BoxPlot {
    /// A five-number summary for each category.
    #[must_use]
    pub fn new(category_axis: &str, categories: Vec<String>, y: Axis, boxes: Vec<[f64; 5]>) -> Self {
        Self { category_axis: category_axis.to_owned(), categories, y, boxes, references: Vec::new() }
    }

    /// The same with a horizontal line of reference.
    #[must_use]
    pub fn reference(mut self, name: &str, height: f64) -> Self {
        self.references.push((name.to_owned(), height));
        self
    }
}

impl Legend {
    /// What colours or shapes stand for, in an order or without one.
    #[must_use]
    pub fn new(title: &str, entries: Vec<String>, ordered: bool) -> Self {
        Self { title: title.to_owned(), entries, ordered }
    }
}

impl Point {
    /// A point with a text.
    #[must_use]
    pub fn new(x: f64, y: f64, label: &str) -> Self {
        Self { x, y, label: label.to_owned(), colour: 0, shape: 0 }
    }
}

impl Scatter {
    /// Points of one colour and one shape, on axes of different units.
    #[must_use]
    pub fn new(x: Axis, y: Axis, points: Vec<Point>) -> Self {
        let colours = Legend::new("", Vec::new(), false);
        Self { x, y, equal_aspect: false, points, colours, shapes: None }
    }

    /// The same with colours that stand for something; each point says which is its own.
    #[must_use]
    pub fn coloured(mut self, legend: Legend) -> Self {
        self.colours = legend;
        self
    }

    /// The same with shapes that stand for something.
    #[must_use]
    pub fn shaped(mut self, legend: Legend) -> Self {
        self.shapes = Some(legend);
        self
    }

    /// The same on axes of one unit, so that distances on paper are distances.
    #[must_use]
    pub fn equal_aspect(mut self) -> Self {
        self.equal_aspect = true;
        self
    }
}
