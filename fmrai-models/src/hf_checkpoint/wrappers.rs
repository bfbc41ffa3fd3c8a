//! Names of weights as wrappers around a model leave them: `_orig_mod.` of `torch.compile`, `module.` of data parallel training,
//! `base_model.model.` of PEFT, and whatever else stands in front of all.

use std::collections::BTreeSet;

use crate::transformer::Needs;

/// Parts of names that wrappers put anywhere into a path, and that no model has.
const ANYWHERE: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// What has to be taken off the names in the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wrappers {
    /// Parts that are left out wherever they stand.
    anywhere: BTreeSet<&'static str>,
    /// What all names begin with, with its last dot; may be empty.
    front: String,
}

impl Wrappers {
    /// What to take off `names`, those of the weights that are real numbers, so that the model misses the fewest.
    pub(super) fn of(names: &[&str], needs: &dyn Needs) -> Self {
        let parts = names.iter().flat_map(|name| name.split('.'));
        let anywhere: BTreeSet<&'static str> =
            parts.filter_map(|part| ANYWHERE.into_iter().find(|wrapper| *wrapper == part)).collect();
        let bare = Self { anywhere, front: String::new() };
        let inner: Vec<String> = names.iter().map(|name| bare.strip(name)).collect();
        let missing = |front: &str| {
            let found: BTreeSet<String> = inner
                .iter()
                .filter_map(|name| name.strip_prefix(front))
                .map(|name| needs.canonical(name))
                .collect();
            needs
                .needed(&|name| found.contains(name))
                .iter()
                .filter(|(name, _)| !found.contains(name))
                .count()
        };
        // The first of equal ones: nothing is taken off that need not be.
        let best = fronts(&inner).into_iter().min_by_key(|front| missing(front));
        Self { front: best.unwrap_or_default(), ..bare }
    }

    /// The name without them.
    pub(super) fn strip(&self, name: &str) -> String {
        let inner = if self.anywhere.is_empty() {
            name.to_owned()
        } else {
            let parts: Vec<&str> = name.split('.').filter(|part| !self.anywhere.contains(part)).collect();
            parts.join(".")
        };
        inner.strip_prefix(&self.front).map(str::to_owned).unwrap_or(inner)
    }

    /// What was taken off, for messages; `None` if nothing was.
    pub(super) fn words(&self) -> Option<String> {
        let mut all: Vec<String> = self.anywhere.iter().map(|part| format!("`{part}.`")).collect();
        if !self.front.is_empty() {
            all.push(format!("`{}`", self.front));
        }
        (!all.is_empty()).then(|| all.join(" and "))
    }
}

/// What all names begin with, part by part, from nothing on.
fn fronts(names: &[String]) -> Vec<String> {
    let mut fronts = vec![String::new()];
    let Some(first) = names.first() else { return fronts };
    let mut end = 0;
    while let Some(dot) = first.get(end..).and_then(|rest| rest.find('.')) {
        end += dot + 1;
        let Some(front) = first.get(..end) else { break };
        if !names.iter().all(|name| name.starts_with(front)) {
            break;
        }
        fronts.push(front.to_owned());
    }
    fronts
}
