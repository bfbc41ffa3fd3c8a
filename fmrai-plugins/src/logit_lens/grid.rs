//! What is read at each token and layer of the first texts.

use std::collections::BTreeMap;

use fmrai_core::analyzer::{State, StateError};

/// A cell: what is read at a token and layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// The most probable tokens with their probabilities.
    pub(super) top: Vec<(u32, f64)>,
    /// In nats.
    pub(super) entropy: f64,
}

/// The cells of a text, `[token][layer]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GridText {
    pub(super) tokens: Vec<u32>,
    pub(super) cells: Vec<Vec<Cell>>,
}

/// The texts with the smallest ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Grid {
    most: usize,
    pub(super) texts: BTreeMap<u64, GridText>,
}

impl Grid {
    pub(super) fn new(most: usize) -> Self {
        Self { most, texts: BTreeMap::new() }
    }

    /// True if a text would be kept.
    pub(super) fn wants(&self, id: u64) -> bool {
        let last = self.texts.keys().next_back();
        self.texts.len() < self.most || (self.most > 0 && last.is_some_and(|last| id < *last))
    }

    pub(super) fn extend(&mut self, texts: impl IntoIterator<Item = (u64, GridText)>) {
        self.texts.extend(texts);
        while self.texts.len() > self.most {
            self.texts.pop_last();
        }
    }

    /// Puts it into a state; `listed` is the number of tokens of a cell.
    pub(super) fn write(&self, state: &mut State, layers: usize, listed: usize) -> Result<(), StateError> {
        let texts: Vec<u64> = self.texts.keys().copied().collect();
        let lengths: Vec<u64> = self.texts.values().map(|text| text.tokens.len() as u64).collect();
        let tokens = self.texts.values().flat_map(|text| &text.tokens).map(|id| i64::from(*id));
        let tokens: Vec<i64> = tokens.collect();
        let cells = || self.texts.values().flat_map(|text| text.cells.iter().flatten());
        let top = cells().flat_map(|cell| &cell.top).map(|(id, _)| i64::from(*id)).collect();
        let probabilities = cells().flat_map(|cell| &cell.top).map(|(_, p)| *p).collect();
        let (count, total) = (texts.len(), tokens.len());
        state.put("grid.entropy", [total, layers], cells().map(|cell| cell.entropy).collect())?;
        state.put("grid.top", [total, layers, listed], top)?;
        state.put("grid.probability", [total, layers, listed], probabilities)?;
        state.put("grid.texts", [count], texts)?;
        state.put("grid.lengths", [count], lengths)?;
        state.put("grid.tokens", [total], tokens)
    }

    pub(super) fn read(state: &State, most: usize, layers: usize, listed: usize) -> Result<Self, StateError> {
        let wrong = |what: &str, needed: &str| StateError::Part {
            part: "grid".to_owned(),
            found: what.to_owned(),
            needed: needed.to_owned(),
        };
        let count = |name: &str| {
            let tensor = state.tensors.get(name).and_then(|tensor| tensor.shape().first().copied());
            tensor.ok_or_else(|| wrong(&format!("without {name:?}"), "a list"))
        };
        let (texts, total) = (count("grid.texts")?, count("grid.tokens")?);
        let ids: Vec<u64> = state.get("grid.texts", &[texts])?;
        let lengths: Vec<u64> = state.get("grid.lengths", &[texts])?;
        let tokens: Vec<i64> = state.get("grid.tokens", &[total])?;
        let entropy: Vec<f64> = state.get("grid.entropy", &[total, layers])?;
        let top: Vec<i64> = state.get("grid.top", &[total, layers, listed])?;
        let probability: Vec<f64> = state.get("grid.probability", &[total, layers, listed])?;
        let id = |token: &i64| u32::try_from(*token).map_err(|_| wrong(&token.to_string(), "a token id"));
        let pairs = top.iter().zip(probability).map(|(token, p)| Ok((id(token)?, p)));
        let pairs = pairs.collect::<Result<Vec<_>, StateError>>()?;
        let mut cells = pairs.chunks(listed.max(1)).zip(entropy);
        let mut grid = Self::new(most);
        let mut rest = tokens.as_slice();
        for (text, length) in ids.into_iter().zip(lengths) {
            let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
            let length = length.ok_or_else(|| wrong("of texts with more tokens than it has", "as many"))?;
            let (own, more) = rest.split_at(length);
            rest = more;
            let cell = |(top, entropy): (&[(u32, f64)], f64)| Cell { top: top.to_vec(), entropy };
            let rows = (0..length).map(|_| cells.by_ref().take(layers).map(cell).collect());
            let cells = rows.collect();
            grid.texts
                .insert(text, GridText { tokens: own.iter().map(id).collect::<Result<_, _>>()?, cells });
        }
        if rest.is_empty() { Ok(grid) } else { Err(wrong("of more tokens than its texts have", "as many")) }
    }
}
