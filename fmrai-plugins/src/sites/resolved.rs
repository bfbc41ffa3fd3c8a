//! The sites of a model.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::{Axis, Block, Change, Edit, Site, Sites};
use fmrai_core::graph::TensorId;

use super::choice::SiteChoice;
use crate::lens::Lens;
use fmrai_core::experiment::SiteKind;

/// The site of a choice in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedSite {
    /// Which block.
    pub layer: usize,
    /// The site.
    pub site: Site,
    /// For each head that results have, the heads of the site: more than one where shared keys are repeated. One empty list where the site has no
    /// heads.
    pub heads: Vec<Vec<usize>>,
}

impl ResolvedSite {
    /// An edit of one of the heads, or of all where the cell is a whole layer.
    #[must_use]
    pub fn edit(&self, head: Option<usize>, change: Change) -> Edit {
        let edit = Edit::new(self.site.clone(), change);
        match head.and_then(|head| self.heads.get(head)).filter(|heads| !heads.is_empty()) {
            Some(heads) => edit.at(Axis::Head, heads.clone()),
            None => edit,
        }
    }
}

/// The site of a kind in one block, with its heads, if it has any.
#[must_use]
pub fn resolve_kind(sites: &Sites<'_>, block: &Block<'_>, kind: SiteKind) -> Option<ResolvedSite> {
    let site = kind.site(sites, block)?;
    let heads = match kind {
        SiteKind::Key | SiteKind::Value => sites.shared(block, &site),
        _ if kind.of_heads() => (0..block.attention.heads).map(|head| vec![head]).collect(),
        _ => vec![Vec::new()],
    };
    Some(ResolvedSite { layer: block.layer, site, heads })
}

/// The sites of a choice in every block that has one, and the layers of those that have none.
#[must_use]
pub fn resolve(sites: &Sites<'_>, choice: SiteChoice) -> (Vec<ResolvedSite>, Vec<usize>) {
    let mut found = Vec::new();
    let mut lacking = Vec::new();
    for block in &sites.blocks {
        match resolve_kind(sites, block, choice.kind) {
            Some(site) if choice.by.heads() => found.push(site),
            Some(site) => found.push(ResolvedSite { heads: vec![Vec::new()], ..site }),
            None => lacking.push(block.layer),
        }
    }
    (found, lacking)
}

/// The logits of a model, `[row, position, token]`: what it gives at the end, after a scale or a soft-cap.
///
/// # Errors
/// [`AnalyzerError::Unsuitable`] where it has no map to a vocabulary.
pub fn logits_of(model: &ModelView<'_>) -> Result<TensorId, AnalyzerError> {
    if let Ok(lens) = Lens::find(model.graph, model.structure)
        && let Ok(logits) = lens.logits()
    {
        return Ok(logits);
    }
    let unembedding = model.structure.unembedding.iter().rfind(|found| found.role() == "unembedding");
    unembedding.map(|found| found.output).ok_or_else(|| AnalyzerError::Unsuitable {
        found: "no map to a vocabulary".to_owned(),
        needed: "logits of tokens".to_owned(),
    })
}
