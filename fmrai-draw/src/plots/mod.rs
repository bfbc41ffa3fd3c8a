//! The kinds of plot: from the data of one to the shapes that show them.

mod bars;
mod box_plot;
mod heat_map;
mod lines;
mod network;
mod nothing;
mod panelled;
mod passages;
mod scatter;

use fmrai_core::report::figure::Plot;

use crate::text::Fonts;
use bars::BarsPlot;
pub(crate) use bars::too_far;
use box_plot::BoxesPlot;
use heat_map::HeatMapPlot;
use lines::LinesPlot;
use network::NetworkPlot;
pub(crate) use panelled::Panelled;
use passages::PassagesPlot;
use scatter::ScatterPlot;

/// The plot, to be laid out and painted.
pub(crate) fn panelled<'a>(plot: &'a Plot, fonts: &'a Fonts) -> Box<dyn Panelled + 'a> {
    match plot {
        Plot::Scatter(plot) => Box::new(ScatterPlot::new(plot, fonts)),
        Plot::HeatMap(plot) => Box::new(HeatMapPlot::new(plot, fonts)),
        Plot::Lines(plot) => Box::new(LinesPlot::new(plot, fonts)),
        Plot::Bars(plot) => Box::new(BarsPlot::new(plot, fonts)),
        Plot::BoxPlot(plot) => Box::new(BoxesPlot::new(plot, fonts)),
        Plot::Network(plot) => Box::new(NetworkPlot::new(plot, fonts)),
        Plot::Passages(plot) => Box::new(PassagesPlot::new(plot, fonts)),
    }
}
