//! What was estimated of a choice of sites.

use crate::patching::Patched;
use crate::sites::Cells;

/// What was estimated of a choice of sites.
pub(super) struct Attributed {
    /// The estimates, as shares; and as differences of the metric.
    pub(super) sites: Patched,
    /// Estimates whose softmax was computed anew.
    pub(super) corrected: Option<Cells>,
    /// What patching gives.
    pub(super) exact: Option<Cells>,
}

impl Attributed {
    /// What there is of it, by name.
    pub(super) fn parts(&self) -> Vec<(&'static str, &Cells)> {
        let mut parts = vec![("attribution", &self.sites.map.cells), ("change", &self.sites.raw)];
        parts.extend(self.corrected.as_ref().map(|cells| ("corrected", cells)));
        parts.extend(self.exact.as_ref().map(|cells| ("exact", cells)));
        parts
    }

    pub(super) fn part(&mut self, name: &str) -> Option<&mut Cells> {
        match name {
            "attribution" => Some(&mut self.sites.map.cells),
            "change" => Some(&mut self.sites.raw),
            "corrected" => self.corrected.as_mut(),
            _ => self.exact.as_mut(),
        }
    }
}
