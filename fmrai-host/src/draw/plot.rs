//! What every kind of plot offers to the layout.

use fmrai_core::report::figure::Plot;

use super::bars::BarsPlot;
use super::box_plot::BoxesPlot;
use super::heat_map::HeatMapPlot;
use super::legend::Block;
use super::lines::LinesPlot;
use super::passages::PassagesPlot;
use super::scatter::ScatterPlot;
use super::scene::{Rect, Scene, Size};
use super::style::AXIS;
use super::text::Fonts;

/// Room around the data for axes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Margins {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Margins {
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            left: self.left.max(other.left),
            right: self.right.max(other.right),
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// A plot that can be laid out and drawn.
pub(super) trait Panelled {
    /// Size of the data when `target` is available.
    fn area(&self, target: Size) -> Size;
    /// Room for axes around data of that size.
    fn margins(&self, area: Size) -> Margins;
    /// What stands beside the plot.
    fn side(&self) -> Vec<Block>;
    /// What the picture leaves out, to be said in the caption.
    fn notes(&self) -> Vec<String>;
    /// Height of the data inside a place that may be larger than asked for, in a grid of unlike panels.
    fn height(&self, area: Size) -> f64 {
        area.h
    }
    /// Draws data and axes.
    fn paint(&self, scene: &mut Scene, area: Rect);
}

pub(super) fn panelled<'a>(plot: &'a Plot, fonts: &'a Fonts) -> Box<dyn Panelled + 'a> {
    match plot {
        Plot::Scatter(plot) => Box::new(ScatterPlot::new(plot, fonts)),
        Plot::HeatMap(plot) => Box::new(HeatMapPlot::new(plot, fonts)),
        Plot::Lines(plot) => Box::new(LinesPlot::new(plot, fonts)),
        Plot::Bars(plot) => Box::new(BarsPlot::new(plot, fonts)),
        Plot::BoxPlot(plot) => Box::new(BoxesPlot::new(plot, fonts)),
        Plot::Passages(plot) => Box::new(PassagesPlot::new(plot, fonts)),
    }
}

/// Says in the middle of a plot that it is empty.
pub(super) fn paint_nothing(scene: &mut Scene, area: Rect) {
    let letters = super::scene::Type { rgb: super::palette::REFERENCE, ..AXIS };
    scene.text("no data", area.centre(), letters, super::scene::Align::Middle, super::scene::Turn::Level);
}

/// `1 point`, `3 points`.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
