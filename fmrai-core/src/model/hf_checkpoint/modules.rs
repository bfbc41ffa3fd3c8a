//! Modules with weights. Each runs in a module scope of its own name.

use std::collections::BTreeMap;

use tch::{TchError, Tensor};

use crate::capture::{Scope, scope};

/// A scope for `path`, which may be empty.
pub(super) fn inside(path: &str) -> Option<Scope> {
    (!path.is_empty()).then(|| scope(path))
}

/// Parent and own name of a module path.
fn split(path: &'static str) -> (&'static str, &'static str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Takes a weight by its name. Loading has made sure that all are there.
fn weight(weights: &BTreeMap<String, Tensor>, name: &str) -> Result<Tensor, TchError> {
    let found = weights.get(name).map(Tensor::shallow_clone);
    found.ok_or_else(|| TchError::Torch(format!("there is no weight {name}")))
}

/// `x Wᵀ + b`.
#[derive(Debug)]
pub(super) struct Linear {
    /// Path of the module it is part of, relative to `outer`.
    pub(super) parent: &'static str,
    name: &'static str,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// The module at `path` in `outer`.
    pub(super) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        path: &'static str,
    ) -> Result<Self, TchError> {
        let (parent, name) = split(path);
        Ok(Self {
            parent,
            name,
            weight: weight(weights, &format!("{outer}.{path}.weight"))?,
            bias: weight(weights, &format!("{outer}.{path}.bias"))?,
        })
    }

    /// `x [.., in]` to `[.., out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last axis.
#[derive(Debug)]
pub(super) struct LayerNorm {
    /// Path of the module it is part of, relative to `outer`.
    pub(super) parent: &'static str,
    name: &'static str,
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// The module at `path` in `outer`.
    pub(super) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        path: &'static str,
        epsilon: f64,
    ) -> Result<Self, TchError> {
        let (parent, name) = split(path);
        Ok(Self {
            parent,
            name,
            weight: weight(weights, &format!("{outer}.{path}.weight"))?,
            bias: weight(weights, &format!("{outer}.{path}.bias"))?,
            epsilon,
        })
    }

    /// `x [.., channel]` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        x.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
    }
}

/// Rows of a table.
#[derive(Debug)]
pub(super) struct Embedding {
    name: &'static str,
    weight: Tensor,
}

impl Embedding {
    /// The module `name` in `outer`.
    pub(super) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        name: &'static str,
    ) -> Result<Self, TchError> {
        Ok(Self { name, weight: weight(weights, &format!("{outer}.{name}.weight"))? })
    }

    /// Row numbers of any shape to `[.., channel]`.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        Tensor::f_embedding(&self.weight, rows, -1, false, false)
    }
}
