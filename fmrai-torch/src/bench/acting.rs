//! Edits of all rows of a pass, without a clean one.

use std::collections::BTreeMap;
use std::rc::Rc;

use fmrai_core::experiment::{Edit, Place};

use super::clean_values::CleanValues;
use super::edits::{Placed, edited};
use super::pass::refused;
use crate::capture::Actions;

/// What acts on a pass of this many rows for these edits of all of them. An edit that takes something of a clean pass is an error of the
/// pass, since there is none.
pub(crate) fn actions_of(edits: &[Edit], rows: usize) -> Actions {
    let clean = Rc::new(CleanValues::new(rows));
    let mut by_place: BTreeMap<Place, Vec<Placed>> = BTreeMap::new();
    for edit in edits {
        let all: Vec<usize> = (0..rows).collect();
        let placed = Placed { edit: edit.clone(), rows: all.clone(), from: all };
        by_place.entry(edit.site.place).or_default().push(placed);
    }
    let mut actions = Actions::none();
    for (place, edits) in by_place {
        let clean = Rc::clone(&clean);
        actions.add(place, move |value| edited(value, &edits, rows, &clean).map(Some).map_err(refused));
    }
    actions
}
