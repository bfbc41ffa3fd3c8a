//! Results of a choice of sites, cell by cell.

use fmrai_core::analyzer::{AnalyzerError, State, StateError};
use fmrai_core::experiment::Sites;
use fmrai_core::report::figure::{Axis, Figure, HeatMap, Lines, Panel, Plot, Series};
use fmrai_core::report::{Column as TableColumn, NamedTensor, Table, Values};

use super::cells::{Cells, Column, Moments};
use super::choice::SiteChoice;
use super::resolved::{ResolvedSite, resolve};

/// Results of a choice of sites: a mean for each layer, head, and position or mark.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteMap {
    /// The choice.
    pub choice: SiteChoice,
    /// Its sites.
    pub sites: Vec<ResolvedSite>,
    /// Layers without such a site.
    pub lacking: Vec<usize>,
    layers: usize,
    heads: Option<usize>,
    /// What was seen of each cell.
    pub cells: Cells,
}

/// What the numbers of results are.
#[derive(Debug, Clone, Copy)]
pub struct Quantity<'a> {
    /// The first part of the names of tensors, e.g. `recovered`.
    pub name: &'a str,
    /// What it is, for colour scales and axes.
    pub title: &'a str,
    /// Its unit.
    pub unit: Option<&'a str>,
}

impl SiteMap {
    /// The sites of a choice; `None` where no block has one.
    #[must_use]
    pub fn new(sites: &Sites<'_>, choice: SiteChoice) -> Option<Self> {
        let (found, lacking) = resolve(sites, choice);
        let layers = sites.blocks.iter().map(|block| block.layer + 1).max()?;
        let heads = choice.by.heads().then(|| found.iter().map(|site| site.heads.len()).max().unwrap_or(0));
        let sizes: Vec<usize> = [layers].into_iter().chain(heads).collect();
        let cells = Cells::new(sizes);
        (!found.is_empty()).then_some(Self { choice, sites: found, lacking, layers, heads, cells })
    }

    /// The place of a layer and head among the cells.
    #[must_use]
    pub fn cell(&self, layer: usize, head: Option<usize>) -> usize {
        self.heads.map_or(layer, |heads| layer * heads + head.unwrap_or(0))
    }

    /// The same sites with nothing seen of them.
    #[must_use]
    pub fn fresh(&self) -> Cells {
        Cells::new(self.sizes())
    }

    /// Sizes of the first axes.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        [self.layers].into_iter().chain(self.heads).collect()
    }

    /// Gets the cells of a state that [`Cells::put`] has put there.
    ///
    /// # Errors
    /// As [`Cells::get`].
    pub fn load(&self, state: &State, name: &str) -> Result<Cells, StateError> {
        Cells::get(state, name, &self.sizes())
    }

    fn axes(&self, cells: &Cells) -> Vec<&'static str> {
        let axes = self.choice.by.axes();
        // Nothing was seen of any column.
        let columns = cells.all_columns();
        if columns.is_empty() { axes[..self.sizes().len()].to_vec() } else { axes.to_vec() }
    }

    /// The means as a tensor called `NAME.SITE`.
    ///
    /// # Errors
    /// As [`Cells::means`].
    pub fn tensor(&self, quantity: Quantity<'_>, cells: &Cells) -> Result<NamedTensor, AnalyzerError> {
        let name = format!("{}.{}", quantity.name, self.choice);
        Ok(NamedTensor::new(&name, &self.axes(cells), quantity.unit, cells.means(Moments::mean)?))
    }

    /// Every cell as a row of a table called `NAME_SITE`: its place, its mean, the standard error of that, the number of texts.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn table(&self, quantity: Quantity<'_>, cells: &Cells) -> Result<Table, AnalyzerError> {
        let (mut layers, mut heads, mut positions, mut marks) = (vec![], vec![], vec![], vec![]);
        let (mut means, mut errors, mut counts) = (vec![], vec![], vec![]);
        for site in &self.sites {
            for (head, _) in site.heads.iter().enumerate() {
                let cell = self.cell(site.layer, Some(head));
                for column in cells.all_columns() {
                    let seen = cells.at(cell, &column);
                    layers.push(integer(site.layer));
                    heads.push(integer(head));
                    match &column {
                        Column::Position(position) => positions.push(i64::from(*position)),
                        Column::Mark(mark) => marks.push(mark.clone()),
                        Column::All => {}
                    }
                    means.push(seen.mean());
                    errors.push(seen.standard_error());
                    counts.push(seen.count as i64);
                }
            }
        }
        let mut columns = vec![TableColumn::new("layer", None, Values::Int(layers))];
        if self.heads.is_some() {
            columns.push(TableColumn::new("head", None, Values::Int(heads)));
        }
        if !positions.is_empty() {
            columns.push(TableColumn::new("position", None, Values::Int(positions)));
        }
        if !marks.is_empty() {
            columns.push(TableColumn::new("mark", None, Values::Text(marks)));
        }
        columns.push(TableColumn::new(quantity.name, quantity.unit, Values::Float(means)));
        columns.push(TableColumn::new("standard_error", quantity.unit, Values::Float(errors)));
        columns.push(TableColumn::new("texts", None, Values::Int(counts)));
        let name = format!("{}_{}", quantity.name, self.choice.to_string().replace('.', "_"));
        Ok(Table::new(&name, columns)?)
    }

    /// A picture of the means: colours by layer and head, position or mark, or a line over layers.
    #[must_use]
    pub fn figure(&self, quantity: Quantity<'_>, cells: &Cells, caption: &str) -> Figure {
        let name = format!("{}_{}", quantity.name, self.choice.to_string().replace('.', "_"));
        let title = format!("{} of the {}", capital(quantity.title), self.choice.kind.title());
        let columns = cells.all_columns();
        let single = matches!(columns.as_slice(), [] | [Column::All]);
        let heads = self.heads.unwrap_or(1);
        let strongest = self.strongest(cells, 1).first().map(|(.., value)| value.abs());
        let most = strongest.filter(|value| *value > 0.0).unwrap_or(1.0);
        let panels = match (self.heads, single) {
            (None, true) => vec![panel(String::new(), self.line(quantity, cells))],
            (Some(_), true) => {
                let labels = (0..heads).map(|head| head.to_string()).collect();
                let value = |layer: usize, head: usize| cells.at(layer * heads + head, &Column::All).mean();
                vec![panel(String::new(), self.heat_map(quantity, "head", labels, &value, most))]
            }
            (None, false) => {
                let value = |layer: usize, at: usize| cells.at(layer, &columns[at]).mean();
                vec![panel(
                    String::new(),
                    self.heat_map(quantity, kind(&columns), names(&columns), &value, most),
                )]
            }
            // One panel for each head: layers down, positions across.
            (Some(_), false) => (0..heads)
                .map(|head| {
                    let value = |layer: usize, at: usize| cells.at(layer * heads + head, &columns[at]).mean();
                    panel(
                        format!("head {head}"),
                        self.heat_map(quantity, kind(&columns), names(&columns), &value, most),
                    )
                })
                .collect(),
        };
        let columns = if panels.len() > 1 { 3 } else { 1 };
        Figure { name, title, caption: caption.to_owned(), panels, columns }
    }

    fn heat_map(
        &self,
        quantity: Quantity<'_>,
        across: &str,
        labels: Vec<String>,
        value: &dyn Fn(usize, usize) -> f64,
        most: f64,
    ) -> Plot {
        let cells = (0..self.layers).flat_map(|layer| (0..labels.len()).map(move |at| (layer, at)));
        Plot::HeatMap(HeatMap {
            row_axis: "layer".to_owned(),
            column_axis: across.to_owned(),
            rows: (0..self.layers).map(|layer| layer.to_string()).collect(),
            values: cells.map(|(layer, at)| value(layer, at)).collect(),
            columns: labels,
            // The same for all panels of a figure.
            scale: Axis::new(quantity.title, quantity.unit).range(-most, most),
            diverging: true,
            row_groups: Vec::new(),
            column_groups: Vec::new(),
            texts: Vec::new(),
        })
    }

    fn line(&self, quantity: Quantity<'_>, cells: &Cells) -> Plot {
        let points = (0..self.layers).map(|layer| (layer as f64, cells.at(layer, &Column::All).mean()));
        let points = points.filter(|(_, value)| value.is_finite()).collect();
        Plot::Lines(Lines {
            x: Axis::new("layer", None).whole(),
            y: Axis::new(quantity.title, quantity.unit),
            series: vec![Series::line(quantity.title, points)],
            references: Vec::new(),
        })
    }

    /// The cells with the largest magnitudes: layer, head, column and mean.
    #[must_use]
    pub fn strongest(&self, cells: &Cells, most: usize) -> Vec<(usize, Option<usize>, Column, f64)> {
        let mut all = Vec::new();
        for site in &self.sites {
            for (head, _) in site.heads.iter().enumerate() {
                let head = self.heads.map(|_| head);
                for column in cells.columns() {
                    let mean = cells.at(self.cell(site.layer, head), column).mean();
                    if mean.is_finite() {
                        all.push((site.layer, head, column.clone(), mean));
                    }
                }
            }
        }
        all.sort_by(|a, b| {
            b.3.abs().total_cmp(&a.3.abs()).then_with(|| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)))
        });
        all.truncate(most);
        all
    }
}

fn panel(title: String, plot: Plot) -> Panel {
    Panel { title, plot }
}

fn kind(columns: &[Column]) -> &'static str {
    if matches!(columns.first(), Some(Column::Mark(_))) { "mark" } else { "position" }
}

fn names(columns: &[Column]) -> Vec<String> {
    let name = |column: &Column| match column {
        Column::All => String::new(),
        Column::Position(position) => position.to_string(),
        Column::Mark(mark) => mark.clone(),
    };
    columns.iter().map(name).collect()
}

fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text with a capital letter at its beginning.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
