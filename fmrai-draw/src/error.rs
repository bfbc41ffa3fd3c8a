//! Why a figure cannot be drawn.

use crate::wording::counted;

/// Why a drawing library did not draw.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why a figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The figure holds nothing to draw.
    #[error("figure `{figure}` has {panels} panels in rows of {columns}: both have to be at least 1")]
    NoPanels {
        /// Name of the figure.
        figure: String,
        /// Its number of panels.
        panels: usize,
        /// Panels in a row.
        columns: usize,
    },
    /// A panel contradicts itself.
    #[error("figure `{figure}`, panel {panel}{}: {problem}", titled(.title))]
    Panel {
        /// Name of the figure.
        figure: String,
        /// Place of the panel, counted from 1.
        panel: usize,
        /// Heading of the panel.
        title: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The picture would not fit into memory.
    #[error(
        "figure `{figure}` of {} would be {width} by {height} points large, more than can be drawn: \
         split it into several figures", counted(*.panels, "panel")
    )]
    TooLarge {
        /// Name of the figure.
        figure: String,
        /// Width of the picture.
        width: u64,
        /// Height of the picture.
        height: u64,
        /// Number of panels.
        panels: usize,
    },
    /// More shapes than a picture can be made of.
    #[error(
        "figure `{figure}` would have {shapes} shapes, more than the {most} that can be drawn: \
         average or select before drawing, or split it into several figures"
    )]
    TooMany {
        /// Name of the figure.
        figure: String,
        /// Number of shapes: a mark is one or two, a text one.
        shapes: usize,
        /// How many can be drawn.
        most: usize,
    },
    /// A PNG of no size, or of one that would not fit into memory.
    #[error(
        "figure `{figure}` of {width} by {height} points cannot have {scale} pixels to a point: \
         it needs a number above 0 with which the picture has at most 100 million pixels"
    )]
    Scale {
        /// Name of the figure.
        figure: String,
        /// Pixels to a point that were asked for.
        scale: f32,
        /// Width of the picture.
        width: u64,
        /// Height of the picture.
        height: u64,
    },
    /// The drawing library failed.
    #[error("figure `{figure}` is well-formed, but drawing it failed: {reason}")]
    Backend {
        /// Name of the figure.
        figure: String,
        /// What the library said.
        reason: String,
    },
}

fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!(" (`{title}`)") }
}

/// What is wrong with a panel.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// An axis ends before it begins, or at no number.
    #[error(
        "the range of {axis} is {low} to {high}: it needs two finite numbers (up to 1e300), the smaller first"
    )]
    Range {
        /// Which axis.
        axis: String,
        /// Where it begins.
        low: f64,
        /// Where it ends.
        high: f64,
    },
    /// A position is infinite, or so large that differences overflow. (NaN is a missing position.)
    #[error("{item} lies at {value}: positions need finite numbers up to 1e300, or NaN where there is none")]
    Infinite {
        /// What lies there.
        item: String,
        /// The number.
        value: f64,
    },
    /// A point refers to an entry that its legend lacks.
    #[error("point {point} has {what} {index}, but the legend has {entries} entries")]
    Entry {
        /// The point, counted from 0.
        point: usize,
        /// Colour or shape.
        what: &'static str,
        /// The index, from 0.
        index: usize,
        /// How many entries there are.
        entries: usize,
    },
    /// A node of a network lies nowhere, or too far away.
    #[error("node `{node}` lies at {at}, needed a place from 0 to {most}")]
    Place {
        /// Its label.
        node: String,
        /// Where it lies.
        at: f64,
        /// The largest place.
        most: f64,
    },
    /// An edge of a network enters its node beside it.
    #[error("edge {edge} enters its node at {at}, needed a place from -1 to 1")]
    Enters {
        /// The edge, counted from 0.
        edge: usize,
        /// Where it enters.
        at: f64,
    },
    /// An edge of a network refers to a node that is not there.
    #[error("edge {edge} is of node {index}, but there are {nodes} nodes")]
    EdgeNode {
        /// The edge, counted from 0.
        edge: usize,
        /// The index, from 0.
        index: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// A matrix with more or fewer numbers than cells.
    #[error("{rows} rows of {columns} columns need {} values, but there are {values}", .rows.saturating_mul(*.columns))]
    Cells {
        /// Number of row names.
        rows: usize,
        /// Number of column names.
        columns: usize,
        /// Number of values.
        values: usize,
    },
    /// Texts that are not those of the cells.
    #[error("the heat map has texts for {texts} of its {cells} cells")]
    CellTexts {
        /// Number of texts.
        texts: usize,
        /// Number of cells.
        cells: usize,
    },
    /// A matrix too large for a picture.
    #[error(
        "{cells} cells are more than the {most} that a picture can show: average or select before drawing"
    )]
    TooManyCells {
        /// Number of cells.
        cells: usize,
        /// How many can be shown.
        most: usize,
    },
    /// Groups that do not cover their rows or columns exactly.
    #[error("the {what} groups hold {grouped} in all, but there are {available} {what}s")]
    Groups {
        /// Row or column.
        what: &'static str,
        /// Sum of the sizes of the groups.
        grouped: usize,
        /// Rows or columns.
        available: usize,
    },
    /// Not one value per category.
    #[error("{item} has {values} values for {categories} categories: it needs one per category")]
    Categories {
        /// What has the values.
        item: String,
        /// Number of values.
        values: usize,
        /// Number of categories.
        categories: usize,
    },
    /// A series has labels or intervals, but not one for each point.
    #[error("{item} has {count} {what} for {points} points")]
    OfPoints {
        /// The series.
        item: String,
        /// What it has too many or too few of.
        what: &'static str,
        /// Their number.
        count: usize,
        /// Number of points.
        points: usize,
    },
    /// A five-number summary out of order.
    #[error("the box of category `{category}` is not ascending: {summary:?}")]
    BoxOrder {
        /// Name of the category.
        category: String,
        /// Its minimum, lower quartile, median, upper quartile and maximum.
        summary: [f64; 5],
    },
    /// A mark on a token that is not there.
    #[error(
        "passage {passage} on card `{card}` marks token {index}, but has {tokens} tokens: they count from 0"
    )]
    Marked {
        /// Heading of the card.
        card: String,
        /// Place of the passage on the card, from 0.
        passage: usize,
        /// Index of the token, from 0.
        index: usize,
        /// How many tokens there are.
        tokens: usize,
    },
}
