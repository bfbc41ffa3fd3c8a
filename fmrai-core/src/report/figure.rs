//! Figures as data. An analyzer says what is shown; the host decides how it looks.

mod axis;
mod make;
mod network;
mod passages;

pub use axis::Axis;
pub use network::{Network, NetworkEdge, NetworkNode};
pub use passages::{Card, Passage, Passages, Token};

use serde::{Deserialize, Serialize};

use crate::json_float;

/// A picture of one or more panels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of its file.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// One or two sentences under the picture: what is shown, over which data, in which unit.
    pub caption: String,
    /// The panels, row by row.
    pub panels: Vec<Panel>,
    /// Panels in a row.
    pub columns: usize,
}

impl Figure {
    /// A picture of one panel.
    #[must_use]
    pub fn single(name: &str, title: &str, caption: &str, plot: Plot) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            caption: caption.to_owned(),
            panels: vec![Panel { title: String::new(), plot }],
            columns: 1,
        }
    }
}

/// One plot with its own heading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// Its heading; empty for none.
    pub title: String,
    /// What it shows.
    pub plot: Plot,
}

/// The kinds of plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Plot {
    /// Points in a plane.
    Scatter(Scatter),
    /// A matrix of colours.
    HeatMap(HeatMap),
    /// Lines or points over a common axis.
    Lines(Lines),
    /// Bars, grouped by category.
    Bars(Bars),
    /// Medians, quartiles and ranges by category.
    BoxPlot(BoxPlot),
    /// Texts with a number for every token, on cards.
    Passages(Passages),
    /// Nodes with weighted edges between them.
    Network(Network),
}

/// What the colours or shapes of a plot stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legend {
    /// Its heading, e.g. `layer`.
    pub title: String,
    /// One text per colour or shape.
    pub entries: Vec<String>,
    /// True if the entries have an order (layers), which the colours then show.
    pub ordered: bool,
}

/// Points in a plane, e.g. an embedding of attention heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// True if both axes have the same unit, so that distances on paper are distances.
    pub equal_aspect: bool,
    /// The points.
    pub points: Vec<Point>,
    /// What the colours stand for.
    pub colours: Legend,
    /// What the shapes stand for; `None` if all points have the same.
    pub shapes: Option<Legend>,
}

/// A point of a [`Scatter`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Horizontal position.
    #[serde(with = "json_float")]
    pub x: f64,
    /// Vertical position.
    #[serde(with = "json_float")]
    pub y: f64,
    /// Short text, written where there is room.
    pub label: String,
    /// Index into the colours' legend.
    pub colour: usize,
    /// Index into the shapes' legend.
    pub shape: usize,
}

/// A matrix shown in colours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// What the rows are.
    pub row_axis: String,
    /// What the columns are.
    pub column_axis: String,
    /// One text per row.
    pub rows: Vec<String>,
    /// One text per column.
    pub columns: Vec<String>,
    /// The numbers, `[row, column]`, row-major. NaN is drawn as missing.
    #[serde(with = "json_float")]
    pub values: Vec<f64>,
    /// What the numbers are.
    pub scale: Axis,
    /// True if the numbers lie on both sides of a meaningful zero.
    pub diverging: bool,
    /// Runs of neighbouring rows that belong together, marked by lines: name and number of rows.
    pub row_groups: Vec<(String, usize)>,
    /// The same for columns.
    pub column_groups: Vec<(String, usize)>,
    /// What is written into the cells, `[row, column]`; empty where nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
}

/// How a [`Series`] is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A line through the points.
    Line,
    /// Points without a line.
    Points,
    /// A short level stroke at each point, for numbers of things between which there is nothing, as layers.
    Levels,
}

/// A sequence of points of a [`Lines`] plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// Positions, horizontal then vertical.
    #[serde(with = "json_float")]
    pub points: Vec<(f64, f64)>,
    /// A short text for each point, written beside it where there is room; an empty one is none. Empty where no point has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// For each point the ends of an interval that holds it, e.g. of confidence, drawn as an upright line. Empty where no point has one.
    #[serde(with = "json_float", default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<(f64, f64)>,
}

/// Lines or points over a common axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The sequences.
    pub series: Vec<Series>,
    /// Horizontal lines of reference, e.g. `uniform attention`: name and height.
    #[serde(with = "json_float")]
    pub references: Vec<(String, f64)>,
}

/// Bars, grouped by category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bars {
    /// What the categories are.
    pub category_axis: String,
    /// One text per category.
    pub categories: Vec<String>,
    /// Vertical axis.
    pub y: Axis,
    /// For each group its name and one height per category. NaN is a missing bar.
    #[serde(with = "json_float")]
    pub groups: Vec<(String, Vec<f64>)>,
    /// True if the bars of a category stand on each other: the first group at zero, the others on it in their order,
    /// positive heights upwards and negative ones downwards. False if they stand side by side. Readers tell up to eight
    /// groups apart by their colours, more only with the order of the legend.
    #[serde(default)]
    pub stacked: bool,
}

/// A five-number summary per category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoxPlot {
    /// What the categories are.
    pub category_axis: String,
    /// One text per category.
    pub categories: Vec<String>,
    /// Vertical axis.
    pub y: Axis,
    /// Minimum, lower quartile, median, upper quartile, maximum of each category.
    #[serde(with = "json_float")]
    pub boxes: Vec<[f64; 5]>,
    /// Horizontal lines of reference, e.g. `chance`: name and height.
    #[serde(with = "json_float", default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<(String, f64)>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_written_before_they_could_be_stacked_are_read() {
        let old = json!({
            "kind": "bars",
            "category_axis": "layer",
            "categories": ["1"],
            "y": { "label": "share", "unit": null, "range": null, "whole": false },
            "groups": [["dead", [0.5]]],
        });
        let Plot::Bars(bars) = serde_json::from_value(old).unwrap() else { panic!("another kind") };
        assert!(!bars.stacked);
        let again = serde_json::to_value(Plot::Bars(Bars { stacked: true, ..bars })).unwrap();
        assert_eq!(again["stacked"], json!(true));
    }
}
