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

/// A plot that can be laid out and drawn.
pub(super) trait Panelled {
    /// Size of the data when `target` is available.
    fn area(&self, target: Size) -> Size;
    /// Size of the data in a place that is at least `own`, what [`Panelled::area`] gave, and larger in a grid of unlike
    /// panels. Plots with axes fill it, unless they would be taller than wide.
    fn fit(&self, own: Size, place: Size) -> Size {
        Size { w: place.w, h: place.h.min(own.h.max(place.w)) }
    }
    /// What stands beside the plot.
    fn side(&self) -> Vec<Block>;
    /// What the picture leaves out, to be said in the caption.
    fn notes(&self) -> Vec<String>;
    /// Draws data and axes, the axes around `area`. The room they take is measured by what is drawn.
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
    let (x, y) = area.centre();
    // Lines of a grid would go through the letters.
    let behind =
        Rect::centred((x, y - letters.size * 0.35), 60.0_f64.min(area.w), (letters.size * 1.4).min(area.h));
    scene.rect(behind, super::palette::PAPER);
    scene.text("no data", area.centre(), letters, super::scene::Align::Middle, super::scene::Turn::Level);
}

/// `1 point`, `3 points`.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
