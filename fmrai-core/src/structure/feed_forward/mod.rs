//! Feed-forward blocks.
//!
//! # What counts as one
//! Only operations and data flow decide, never names of modules or parameters. The search starts from each addition
//! to a residual stream (see [`Residual`](super::Residual)) and goes back from what is added:
//! - through views, casts, dropout, normalisation, scaling by a number, a weight or a number per token, sums over
//!   chosen experts, sorting and scattering of tokens, to linear maps by a weight: the *values*;
//! - from what these take, through views, casts, dropout and normalisation, then through arithmetic element by
//!   element, to the results of one linear map of the stream (plain) or of two, or two parts of one (gated).
//!
//! A linear map is `linear`, `mm`, `matmul`, `bmm`, `addmm`, `baddbmm`, `einsum`, a grouped product, or a convolution
//! with a kernel of one, in groups or not; its weight may go through views, casts, arithmetic with other weights, and a lookup of
//! experts. The arithmetic between is evaluated as a function of numbers and compared with known functions, so fused and
//! written-out ones are the same; of two factors the one without the function is that in which the result is straight.
//!
//! # What is none
//! - Heads: the transform of a masked language model, poolers and classifiers do not return to the stream.
//! - Squeeze-and-excite multiplies the stream instead of adding to it.
//! - Blocks of convolutions with batch norm: a kernel larger than one is no linear map of a token, and a norm stands
//!   before the function. (An inverted bottleneck with kernels of one, as in `ConvNeXt`, is a feed-forward block.)
//! - Gated state-space mixers and gated attention: the other factor does not come from a linear map directly.
//! - Modulation: two linear maps that do not read the same input.
//! - Two linear maps without a function between, such as low-rank adapters.
//!
//! A bottleneck adapter with a function and an addition of its own has the data flow of a feed-forward block, and is
//! found as one.
//!
//! # What is not found
//! Blocks without an addition around them; blocks with a convolution between the two linear maps (the mixing of
//! `SegFormer`); functions of more than two linear maps (as in the
//! channel mixing of RWKV); experts combined by a matrix product with the router's weights; quantised products by
//! custom operations.

mod expression;
mod find;
mod function;

use serde::{Deserialize, Serialize};

use super::Positions;
use crate::graph::{OperationId, TensorId};

pub(super) use find::find_feed_forward;
pub use function::ActivationFunction;

/// How a block computes its neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedForwardKind {
    /// `f(x·K)·V`.
    Plain,
    /// `(f(x·G) ∘ (x·K))·V`.
    Gated,
    /// One of the two forms per expert, each token going through some of the experts.
    Experts,
}

/// Where the weight vectors of the neurons are in a weight.
///
/// Neuron `n` has the entries `start + n · step` along `axis` of `weight`. Weights of a linear layer are
/// `[out, in]`, those of a `Conv1D` (GPT-2) `[in, out]`, those of experts have an axis for the expert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeuronWeights {
    /// The parameter, before any view of it.
    pub weight: TensorId,
    /// The axis of `weight` along which the neurons lie.
    pub axis: usize,
    /// First entry of the axis that is a neuron's. Not 0 where gate and keys share one weight.
    pub start: usize,
    /// Distance between the entries of two neurons; 2 where gate and keys alternate.
    pub step: usize,
    /// Groups of a grouped convolution, which has neurons for some of the channels only; 1 of everything else. The axis of a
    /// second linear map then holds the neurons of one group.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// The axis of `weight` along which the experts lie, where they share one parameter.
    pub expert_axis: Option<usize>,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

/// Experts of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// Which one the block is, in execution order, where the model computes them one after another.
    pub index: Option<usize>,
}

/// One feed-forward block, seen as a memory of keys and values (Geva et al. 2021, "Transformer Feed-Forward Layers
/// Are Key-Value Memories").
///
/// Shapes are those of the usual layout. Models that flatten tokens have `[batch · token, ...]`, and experts that
/// are computed for the tokens sent to them have `[batch · token · choice, ...]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedForward {
    /// Position among the blocks of its role, from 0, in execution order.
    pub layer: usize,
    /// Plain, gated or experts.
    pub kind: FeedForwardKind,
    /// True for experts that see every token beside those that are chosen.
    pub shared: bool,
    /// Path of the module it runs in; empty where not known.
    pub module: String,
    /// Number of neurons, per expert.
    pub neurons: usize,
    /// The experts; absent but for [`FeedForwardKind::Experts`].
    pub experts: Option<Experts>,
    /// The activation function.
    pub function: ActivationFunction,
    /// What the first linear map takes, `[batch, token, channel]`.
    pub input: TensorId,
    /// What the activation function takes, `[batch, token, neuron]`; where the operation takes the gate and the other factor in one
    /// tensor (`glu`), that tensor, with twice as many channels as neurons.
    pub pre_activation: TensorId,
    /// `x·K` of a gated block, `[batch, token, neuron]`; absent in a plain one.
    pub linear: Option<TensorId>,
    /// The memory coefficients: what the second linear map takes, `[batch, token, neuron]`.
    pub activation: TensorId,
    /// What the second linear map gives, `[batch, token, channel]`.
    pub output: TensorId,
    /// The keys `K`: the weight of the first linear map, of a gated block the one without the function.
    pub keys: NeuronWeights,
    /// The gate `G` of a gated block: the weight of the linear map with the function.
    pub gate: Option<NeuronWeights>,
    /// The values `V`: the weight of the second linear map.
    pub values: NeuronWeights,
    /// Every operation from `input` to `output`, in execution order.
    pub operations: Vec<OperationId>,
    /// What the tokens of `activation` are; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<Positions>,
}

impl FeedForward {
    /// Its role in listings and selectors: `ffn`; `shared_expert` beside experts; `expert` where experts are computed
    /// one after another.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match self.experts {
            Some(Experts { index: Some(_), .. }) => "expert",
            _ if self.shared => "shared_expert",
            _ => "ffn",
        }
    }

    /// True if the block multiplies two linear maps of its input.
    #[must_use]
    pub fn gated(&self) -> bool {
        self.gate.is_some()
    }
}
