//! The runs that patching takes: one for each cell of the results.

use fmrai_core::experiment::{Axis, Change, Variant};

use super::base::{Base, Owned};
use super::columns::{columns_of, members};
use crate::pairs::PairRows;
use crate::sites::{Column, SiteMap};

/// One run: which cell it is for, and with what.
pub(crate) struct Cell {
    /// Which of the choices.
    pub(crate) choice: usize,
    /// Its place among the cells.
    pub(crate) cell: usize,
    pub(crate) column: Column,
    /// The pair of each row.
    pub(crate) owned: Vec<usize>,
    /// The pairs that it is about.
    pub(crate) pairs: Vec<usize>,
}

/// The runs of all cells of these maps: `window` neighbouring layers are patched together.
pub(crate) fn runs<'m>(
    maps: impl Iterator<Item = &'m SiteMap>,
    pairs: &[PairRows<'_>],
    base: &Base,
    window: usize,
) -> (Vec<Cell>, Vec<Variant>) {
    let mut cells = Vec::new();
    let mut variants = Vec::new();
    for (choice, map) in maps.enumerate() {
        for (at, site) in map.sites.iter().enumerate() {
            let start = at.saturating_sub(window / 2);
            let end = (at + window.div_ceil(2)).min(map.sites.len());
            for head in 0..site.heads.len() {
                for column in columns_of(map.choice.by, pairs) {
                    let groups = members(pairs, &column);
                    let all: Vec<usize> = groups.iter().flat_map(|(_, pairs)| pairs.clone()).collect();
                    if all.is_empty() {
                        continue;
                    }
                    let Owned { mut variant, pairs: owned, source } = base.variant(&all);
                    for site in &map.sites[start..end] {
                        for (positions, pairs) in &groups {
                            let rows: Vec<usize> =
                                (0..owned.len()).filter(|row| pairs.contains(&owned[*row])).collect();
                            let from = rows.iter().map(|row| source[*row]).collect();
                            let mut edit = site.edit(Some(head), Change::Clean(from)).of_rows(rows);
                            if let Some(positions) = positions {
                                edit = edit.at(Axis::Position, positions.clone());
                            }
                            variant = variant.with(edit);
                        }
                    }
                    let cell = map.cell(site.layer, Some(head));
                    cells.push(Cell { choice, cell, column, owned, pairs: all });
                    variants.push(variant);
                }
            }
        }
    }
    (cells, variants)
}
