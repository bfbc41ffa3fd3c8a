//! Modules with weights. Each runs in a module scope of its own name.

use std::collections::BTreeMap;

use tch::{Kind, TchError, Tensor};

use fmrai_torch::capture::{Scope, scope};

/// A scope for `path`, which may be empty.
pub(crate) fn inside(path: &str) -> Option<Scope> {
    (!path.is_empty()).then(|| scope(path))
}

/// Parent and own name of a module path.
pub(crate) fn split(path: &'static str) -> (&'static str, &'static str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Name of a weight of the module at `path` in `outer`, which may be empty.
pub(crate) fn join(outer: &str, path: &str, name: &str) -> String {
    if outer.is_empty() { format!("{path}.{name}") } else { format!("{outer}.{path}.{name}") }
}

/// The lowest finite number of a floating-point type: what masked attention scores are lowered by.
pub(crate) fn lowest(kind: Kind) -> f64 {
    match kind {
        Kind::Half => half::f16::MIN.to_f64(),
        Kind::BFloat16 => half::bf16::MIN.to_f64(),
        Kind::Double => f64::MIN,
        _ => f64::from(f32::MIN),
    }
}

/// Takes a weight by its name. Loading has made sure that all are there.
pub(crate) fn weight(weights: &BTreeMap<String, Tensor>, name: &str) -> Result<Tensor, TchError> {
    let found = weights.get(name).map(Tensor::shallow_clone);
    found.ok_or_else(|| TchError::Torch(format!("there is no weight {name}")))
}

/// How a linear map's weight lies in the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `[out, in]`, as in `torch.nn.Linear`.
    OutIn,
    /// `[in, out]`, as in the `Conv1D` of GPT-2.
    InOut,
}

impl Layout {
    /// True if it is not that of `torch.nn.Linear`.
    pub(crate) fn is_transposed(self) -> bool {
        self == Self::InOut
    }
}

/// `x Wᵀ + b`, or `x W + b` where the weight is `[in, out]`.
#[derive(Debug)]
pub(crate) struct Linear {
    /// Path of the module it is part of, relative to `outer`.
    pub(crate) parent: &'static str,
    name: &'static str,
    layout: Layout,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// The module at `path` in `outer`. Its bias is taken where the checkpoint has one.
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        path: &'static str,
        layout: Layout,
    ) -> Result<Self, TchError> {
        let (parent, name) = split(path);
        Ok(Self {
            parent,
            name,
            layout,
            weight: weight(weights, &join(outer, path, "weight"))?,
            bias: weights.get(&join(outer, path, "bias")).map(Tensor::shallow_clone),
        })
    }

    /// The linear map at the top of the model that shares `weight` with another module.
    pub(crate) fn tied(name: &'static str, weight: &Tensor) -> Self {
        Self { parent: "", name, layout: Layout::OutIn, weight: weight.shallow_clone(), bias: None }
    }

    /// `x [.., in]` to `[.., out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        match (self.layout, &self.bias) {
            (Layout::OutIn, bias) => x.f_linear(&self.weight, bias.as_ref()),
            (Layout::InOut, None) => x.f_matmul(&self.weight),
            (Layout::InOut, Some(bias)) => {
                let mut size = x.size();
                let channels = size.pop().unwrap_or(1);
                let out = bias.f_addmm(&x.f_reshape([-1, channels])?, &self.weight)?;
                size.extend(bias.size());
                out.f_reshape(size)
            }
        }
    }
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last axis.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    /// Path of the module it is part of, relative to `outer`.
    pub(crate) parent: &'static str,
    name: &'static str,
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// The module at `path` in `outer`.
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        path: &'static str,
        epsilon: f64,
    ) -> Result<Self, TchError> {
        let (parent, name) = split(path);
        Ok(Self {
            parent,
            name,
            weight: weight(weights, &join(outer, path, "weight"))?,
            bias: weight(weights, &join(outer, path, "bias"))?,
            epsilon,
        })
    }

    /// `x [.., channel]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        x.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
    }
}

/// Rows of a table.
#[derive(Debug)]
pub(crate) struct Embedding {
    name: &'static str,
    weight: Tensor,
}

impl Embedding {
    /// The module `name` in `outer`.
    pub(crate) fn new(
        weights: &BTreeMap<String, Tensor>,
        outer: &str,
        name: &'static str,
    ) -> Result<Self, TchError> {
        Ok(Self { name, weight: weight(weights, &join(outer, name, "weight"))? })
    }

    /// The table, `[row, channel]`.
    pub(crate) fn table(&self) -> &Tensor {
        &self.weight
    }

    /// Row numbers of any shape to `[.., channel]`.
    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        let _scope = scope(self.name);
        Tensor::f_embedding(&self.weight, rows, -1, false, false)
    }
}
