//! Refuses panels that contradict themselves, before anything is laid out.

use fmrai_core::report::figure::{Axis, Bars, BoxPlot, HeatMap, Lines, Network, Passages, Plot, Scatter};

use crate::error::Problem;
use crate::limits::{LARGEST_NUMBER, MOST_CELLS, MOST_PLACES};
use crate::plots::too_far;

pub(crate) fn check(plot: &Plot) -> Result<(), Problem> {
    match plot {
        Plot::Scatter(plot) => scatter(plot),
        Plot::HeatMap(plot) => heat_map(plot),
        Plot::Lines(plot) => lines(plot),
        Plot::Bars(plot) => bars(plot),
        Plot::BoxPlot(plot) => box_plot(plot),
        Plot::Passages(plot) => passages(plot),
        Plot::Network(plot) => network(plot),
    }
}

fn range(axis: &Axis, which: &str) -> Result<(), Problem> {
    let Some((low, high)) = axis.range else { return Ok(()) };
    // Ends that agree in all digits but the last leave no room for ticks.
    let apart = high - low > low.abs().max(high.abs()) * 1e-9 && high - low > 1e-290;
    if low.abs() <= LARGEST_NUMBER && high.abs() <= LARGEST_NUMBER && apart {
        return Ok(());
    }
    let axis = if axis.label.is_empty() { which.to_owned() } else { format!("{which} `{}`", axis.label) };
    Err(Problem::Range { axis, low, high })
}

fn position(value: f64, item: impl FnOnce() -> String) -> Result<(), Problem> {
    if value.is_nan() || value.abs() <= LARGEST_NUMBER {
        return Ok(());
    }
    Err(Problem::Infinite { item: item(), value })
}

/// A number shown as a colour may be infinite: it has the colour at the end of the scale.
fn shade(value: f64, item: impl FnOnce() -> String) -> Result<(), Problem> {
    if value.is_infinite() { Ok(()) } else { position(value, item) }
}

fn scatter(plot: &Scatter) -> Result<(), Problem> {
    range(&plot.x, "the horizontal axis")?;
    range(&plot.y, "the vertical axis")?;
    let colours = plot.colours.entries.len();
    for (point, p) in plot.points.iter().enumerate() {
        position(p.x, || format!("point {point} (`{}`)", p.label))?;
        position(p.y, || format!("point {point} (`{}`)", p.label))?;
        // Without a legend all points are alike, and their index is 0.
        if p.colour >= colours.max(1) {
            return Err(Problem::Entry { point, what: "colour", index: p.colour, entries: colours });
        }
        if let Some(shapes) = &plot.shapes
            && p.shape >= shapes.entries.len()
        {
            return Err(Problem::Entry {
                point,
                what: "shape",
                index: p.shape,
                entries: shapes.entries.len(),
            });
        }
    }
    Ok(())
}

fn heat_map(plot: &HeatMap) -> Result<(), Problem> {
    range(&plot.scale, "the colour scale")?;
    let (rows, columns) = (plot.rows.len(), plot.columns.len());
    if rows.checked_mul(columns) != Some(plot.values.len()) {
        return Err(Problem::Cells { rows, columns, values: plot.values.len() });
    }
    if plot.values.len() > MOST_CELLS {
        return Err(Problem::TooManyCells { cells: plot.values.len(), most: MOST_CELLS });
    }
    if !plot.texts.is_empty() && plot.texts.len() != plot.values.len() {
        return Err(Problem::CellTexts { texts: plot.texts.len(), cells: plot.values.len() });
    }
    plot.values.iter().try_for_each(|&value| shade(value, || "a cell".to_owned()))?;
    for (what, groups, available) in
        [("row", &plot.row_groups, rows), ("column", &plot.column_groups, columns)]
    {
        let grouped = groups.iter().fold(0_usize, |sum, group| sum.saturating_add(group.1));
        if !groups.is_empty() && grouped != available {
            return Err(Problem::Groups { what, grouped, available });
        }
    }
    Ok(())
}

fn lines(plot: &Lines) -> Result<(), Problem> {
    range(&plot.x, "the horizontal axis")?;
    range(&plot.y, "the vertical axis")?;
    for series in &plot.series {
        for (i, &(x, y)) in series.points.iter().enumerate() {
            position(x, || format!("point {i} of series `{}`", series.name))?;
            position(y, || format!("point {i} of series `{}`", series.name))?;
        }
        for (what, count) in [("labels", series.labels.len()), ("intervals", series.intervals.len())] {
            if count > 0 && count != series.points.len() {
                let (item, points) = (format!("series `{}`", series.name), series.points.len());
                return Err(Problem::OfPoints { item, what, count, points });
            }
        }
        for (i, &(low, high)) in series.intervals.iter().enumerate() {
            for end in [low, high] {
                position(end, || format!("the interval of point {i} of series `{}`", series.name))?;
            }
        }
    }
    plot.references.iter().try_for_each(|(name, y)| position(*y, || format!("reference `{name}`")))
}

fn bars(plot: &Bars) -> Result<(), Problem> {
    range(&plot.y, "the vertical axis")?;
    for (name, heights) in &plot.groups {
        if heights.len() != plot.categories.len() {
            return Err(Problem::Categories {
                item: format!("group `{name}`"),
                values: heights.len(),
                categories: plot.categories.len(),
            });
        }
        for (height, category) in heights.iter().zip(&plot.categories) {
            position(*height, || format!("the bar of `{category}` in group `{name}`"))?;
        }
    }
    match too_far(plot, LARGEST_NUMBER) {
        Some((category, value)) => {
            Err(Problem::Infinite { item: format!("the stack of `{category}`"), value })
        }
        None => Ok(()),
    }
}

fn box_plot(plot: &BoxPlot) -> Result<(), Problem> {
    range(&plot.y, "the vertical axis")?;
    plot.references.iter().try_for_each(|(name, y)| position(*y, || format!("reference `{name}`")))?;
    if plot.boxes.len() != plot.categories.len() {
        return Err(Problem::Categories {
            item: "the plot".to_owned(),
            values: plot.boxes.len(),
            categories: plot.categories.len(),
        });
    }
    for (summary, category) in plot.boxes.iter().zip(&plot.categories) {
        for value in summary {
            position(*value, || format!("the box of category `{category}`"))?;
        }
        let missing = summary.iter().any(|v| v.is_nan());
        if !missing && !summary.is_sorted() {
            return Err(Problem::BoxOrder { category: category.clone(), summary: *summary });
        }
    }
    Ok(())
}

fn passages(plot: &Passages) -> Result<(), Problem> {
    range(&plot.scale, "the colour scale")?;
    for card in &plot.cards {
        for (passage, p) in card.passages.iter().enumerate() {
            if let Some(index) = p.marked.filter(|index| *index >= p.tokens.len()) {
                let (card, tokens) = (card.title.clone(), p.tokens.len());
                return Err(Problem::Marked { card, passage, index, tokens });
            }
            for (i, token) in p.tokens.iter().enumerate() {
                shade(token.value, || format!("token {i} of passage {passage} on card `{}`", card.title))?;
            }
        }
    }
    Ok(())
}

fn network(plot: &Network) -> Result<(), Problem> {
    for node in &plot.nodes {
        for at in [node.x, node.y] {
            if !(0.0..=MOST_PLACES).contains(&at) {
                return Err(Problem::Place { node: node.label.clone(), at, most: MOST_PLACES });
            }
        }
    }
    for (edge, e) in plot.edges.iter().enumerate() {
        if let Some(index) = [e.from, e.to].into_iter().find(|index| *index >= plot.nodes.len()) {
            return Err(Problem::EdgeNode { edge, index, nodes: plot.nodes.len() });
        }
        if !(-1.0..=1.0).contains(&e.enters) {
            return Err(Problem::Enters { edge, at: e.enters });
        }
        position(e.value, || format!("edge {edge}"))?;
    }
    Ok(())
}
