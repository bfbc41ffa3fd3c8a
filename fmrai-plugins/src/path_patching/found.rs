//! What was found of each sender.

use fmrai_core::analyzer::{State, StateError};
use fmrai_core::experiment::Sites;

use super::config::Sender;
use super::paths::Sending;
use crate::sites::{By, Cells, Column, SiteChoice, SiteKind, SiteMap};

/// The numbers that senders of a kind have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// How its cells lie; `None` for a single one.
    pub(super) map: Option<SiteMap>,
    /// The metric.
    pub(super) patched: Cells,
    /// What it has changed.
    pub(super) effect: Cells,
    /// That as a share of the difference between both texts.
    pub(super) share: Cells,
}

impl Part {
    fn new(name: &'static str, map: Option<SiteMap>) -> Self {
        let cells = || map.as_ref().map_or_else(|| Cells::new([]), SiteMap::fresh);
        Self { name, patched: cells(), effect: cells(), share: cells(), map }
    }

    pub(super) fn add(&mut self, cell: usize, patched: f64, effect: f64, share: Option<f64>) {
        self.patched.add(cell, Column::All, patched);
        self.effect.add(cell, Column::All, effect);
        if let Some(share) = share {
            self.share.add(cell, Column::All, share);
        }
    }

    fn parts(&self) -> [(&'static str, &Cells); 3] {
        [("patched", &self.patched), ("effect", &self.effect), ("share", &self.share)]
    }
}

/// What was found of all senders.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// By kind, in the order of the config.
    pub(super) kinds: Vec<Part>,
    /// All senders at once.
    pub(super) all: Part,
}

impl Default for Found {
    fn default() -> Self {
        Self { kinds: Vec::new(), all: Part::new("all", None) }
    }
}

impl Found {
    pub(super) fn new(sites: &Sites<'_>, kinds: &[Sender]) -> Self {
        let part = |kind: &Sender| {
            let choice = match kind {
                Sender::Head => Some(SiteChoice::of(SiteKind::Head)),
                Sender::Ffn => Some(SiteChoice { kind: SiteKind::FfnOutput, by: By::Layer }),
                Sender::Embedding => None,
            };
            match choice {
                None => Some(Part::new(kind.name(), None)),
                Some(choice) => SiteMap::new(sites, choice).map(|map| Part::new(kind.name(), Some(map))),
            }
        };
        Self { kinds: kinds.iter().filter_map(part).collect(), ..Self::default() }
    }

    /// The numbers of a sender, with its place among them.
    pub(super) fn of_sender(&mut self, sender: Sending) -> (&mut Part, usize) {
        let (kind, layer, head) = match sender {
            Sending::Head(layer, head) => (Sender::Head, layer, Some(head)),
            Sending::Ffn(layer) => (Sender::Ffn, layer, None),
            Sending::Embedding => (Sender::Embedding, 0, None),
        };
        match self.kinds.iter_mut().find(|part| part.name == kind.name()) {
            Some(part) => {
                let cell = part.map.as_ref().map_or(0, |map| map.cell(layer, head));
                (part, cell)
            }
            None => (&mut self.all, 0),
        }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.kinds.iter().chain([&self.all])
    }

    pub(super) fn put(&self, state: &mut State) -> Result<(), StateError> {
        for part in self.parts() {
            for (name, cells) in part.parts() {
                cells.put(state, &format!("{name}.{}", part.name))?;
            }
        }
        Ok(())
    }

    pub(super) fn load(&self, state: &State) -> Result<Self, StateError> {
        let part = |own: &Part| {
            let sizes = own.map.as_ref().map(SiteMap::sizes).unwrap_or_default();
            let get = |name: &str| Cells::get(state, &format!("{name}.{}", own.name), &sizes);
            let (patched, effect, share) = (get("patched")?, get("effect")?, get("share")?);
            Ok(Part { name: own.name, map: own.map.clone(), patched, effect, share })
        };
        let kinds = self.kinds.iter().map(part).collect::<Result<_, StateError>>()?;
        Ok(Self { kinds, all: part(&self.all)? })
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let own = self.kinds.iter_mut().chain([&mut self.all]);
        for (own, other) in own.zip(other.parts()) {
            own.patched.merge(&other.patched);
            own.effect.merge(&other.effect);
            own.share.merge(&other.share);
        }
    }
}
