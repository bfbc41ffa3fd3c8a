//! Keys and values of the tokens a decoder has seen, so that the next token needs no other work than its own.

use tch::{TchError, Tensor};

/// What a decoder keeps of the tokens it has seen.
///
/// Holds `2 · layers · key-value heads · head width` elements for each token of each text. Layers with a window keep
/// all tokens too, and mask them.
#[derive(Debug, Default)]
pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    mask: Option<Tensor>,
}

impl Cache {
    /// A cache that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of tokens it has seen, padding included.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let tokens = self.mask.as_ref().and_then(|mask| mask.size().last().copied());
        tokens.and_then(|tokens| usize::try_from(tokens).ok()).unwrap_or(0)
    }

    /// Number of texts it has seen them of; `None` while it is empty.
    pub(crate) fn batch(&self) -> Option<i64> {
        self.mask.as_ref().and_then(|mask| mask.size().first().copied())
    }

    /// Adds the mask `[batch, token]` of further tokens, and gives that of all.
    pub(crate) fn extend_mask(&mut self, mask: &Tensor) -> Result<Tensor, TchError> {
        let all = match &self.mask {
            None => mask.shallow_clone(),
            Some(seen) => Tensor::f_cat(&[seen, mask], 1)?,
        };
        self.mask = Some(all.shallow_clone());
        Ok(all)
    }

    /// Adds keys and values `[batch, key-value head, token, channel]` of further tokens in a layer, and gives those of
    /// all. Layers have to come in their order.
    pub(crate) fn extend(
        &mut self,
        layer: usize,
        key: Tensor,
        value: Tensor,
    ) -> Result<(Tensor, Tensor), TchError> {
        let (key, value) = match self.layers.get(layer) {
            None => (key, value),
            Some((keys, values)) => (Tensor::f_cat(&[keys, &key], 2)?, Tensor::f_cat(&[values, &value], 2)?),
        };
        let kept = (key.shallow_clone(), value.shallow_clone());
        match self.layers.get_mut(layer) {
            None => self.layers.push(kept),
            Some(place) => *place = kept,
        }
        Ok((key, value))
    }
}
