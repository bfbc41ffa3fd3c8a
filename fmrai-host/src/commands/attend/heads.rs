//! The attention of heads, as numbers.

use fmrai_core::graph::TensorId;
use fmrai_core::selector::{Selected, Selector, UnitKind, select};
use fmrai_core::structure::{AttentionKind, Structure};
use fmrai_core::tracker::Activations;
use fmrai_torch::bench::Study;
use serde::Serialize;

use crate::error::Error;
use crate::terminal::one_line;

/// A text with the attention of heads.
pub(super) struct Attended {
    pub(super) tokens: Vec<Token>,
    pub(super) heads: Vec<Head>,
}

/// A token of the text.
#[derive(Serialize)]
pub(super) struct Token {
    pub(super) id: u32,
    pub(super) text: String,
    /// The tokenizer has added it.
    pub(super) special: bool,
}

/// The attention of a head: each row sums to 1.
#[derive(Serialize)]
pub(super) struct Head {
    pub(super) name: String,
    /// Rows: positions that look.
    pub(super) queries: usize,
    /// Columns: positions that are looked at.
    pub(super) keys: usize,
    /// `[query, key]`, row-major.
    pub(super) probabilities: Vec<f32>,
}

impl Head {
    pub(super) fn row(&self, query: usize) -> &[f32] {
        self.probabilities.get(query * self.keys..(query + 1) * self.keys).unwrap_or_default()
    }
}

impl Attended {
    /// What a position is called; `others` of a sequence that is not that of the tokens have their numbers.
    pub(super) fn name(&self, position: usize, of: usize) -> String {
        if of != self.tokens.len() {
            return position.to_string();
        }
        let Some(token) = self.tokens.get(position) else { return position.to_string() };
        let same = self.tokens.iter().filter(|other| other.text == token.text).count();
        if same > 1 { format!("{}#{position}", token.text) } else { token.text.clone() }
    }
}

/// Those of the named heads, or of all heads of self-attention, of one layer where that is given.
pub(super) fn of(
    study: &Study,
    structure: &Structure,
    names: &[String],
    layer: Option<usize>,
) -> Result<Attended, Error> {
    let own: Vec<_> =
        structure.attention.iter().filter(|block| block.kind == AttentionKind::SelfAttention).collect();
    if own.is_empty() {
        return Err(Error::Usage("the model has no self-attention that was found".to_owned()));
    }
    if let Some(layer) = layer.filter(|layer| !own.iter().any(|block| block.layer == *layer)) {
        let last = own.iter().map(|block| block.layer).max().unwrap_or(0);
        return Err(Error::Usage(format!("--layer {layer}: the layers of attention are 0 to {last}")));
    }
    let names: Vec<String> = match names {
        [] => own
            .iter()
            .filter(|block| layer.is_none_or(|layer| block.layer == layer))
            .flat_map(|block| (0..block.heads).map(|head| format!("L{}H{head}", block.layer)))
            .collect(),
        names => names.to_vec(),
    };
    let mut selectors = Vec::with_capacity(names.len());
    for name in &names {
        let selector: Selector = name.parse()?;
        match &selector {
            Selector::Unit(unit) if unit.kind() == UnitKind::Head && unit.part().is_none() => {}
            _ => return Err(Error::Usage(format!("--head {name}: a head is named like L5H1"))),
        }
        selectors.push(selector);
    }
    let mut found = select(study.graph(), structure, &selectors)?;
    found.sort_by_key(|one| names.iter().position(|name| *name == one.name));
    let kept = study.keep(&found.iter().map(|one| one.tensor).collect())?;
    let heads = found.into_iter().map(|one| head(&kept, one)).collect::<Result<Vec<_>, _>>()?;
    Ok(Attended { tokens: tokens(study), heads })
}

fn head(kept: &dyn Activations, found: Selected) -> Result<Head, Error> {
    let Selected { tensor, slice, name, .. } = found;
    let internal = |what: String| Error::Internal(format!("{name}: {what}"));
    let missing = |id: TensorId| internal(format!("{id} was not handed out"));
    let whole = kept.tensor(tensor).ok_or_else(|| missing(tensor))?;
    let whole = whole.map_err(|error| internal(error.to_string()))?;
    let part = slice.and_then(|slice| slice.of(&whole)).ok_or_else(|| missing(tensor))?;
    let view = part.view().map_err(|error| internal(error.to_string()))?;
    let [outer @ .., queries, keys] = view.shape() else {
        return Err(internal(format!("its attention has the shape {:?}", view.shape())));
    };
    if outer.iter().any(|size| *size != 1) {
        let what = "its attention is of windows, which are several matrices for one text: `fmrai capture --select` writes them";
        return Err(Error::Usage(format!("{name}: {what}")));
    }
    let probabilities = match view.f32() {
        Ok(values) => values.to_vec(),
        Err(error) => return Err(internal(error.to_string())),
    };
    Ok(Head { queries: *queries, keys: *keys, probabilities, name })
}

fn tokens(study: &Study) -> Vec<Token> {
    let Some(sample) = study.samples().first() else { return Vec::new() };
    let view = study.view();
    let text = |id: u32| {
        let text = view.vocabulary.map_or(String::new(), |vocabulary| one_line(vocabulary.surface(id)));
        if text.is_empty() { format!("{id}") } else { text }
    };
    let all = sample.token_ids.iter().zip(&sample.special);
    all.map(|(id, special)| Token { id: *id, text: text(*id), special: *special }).collect()
}
