//! What a graph is made of, found by its operations and data flow.

mod attention;
mod axis_names;
mod check;
mod component;
mod coverage;
mod embedding;
mod facts;
mod feed_forward;
mod file;
mod find;
mod found;
mod ids;
mod input_projection;
mod lineage;
mod norm;
mod opaque;
mod operator;
mod output_projection;
mod permutation;
mod positions;
mod product;
mod projection;
mod residual;
mod shape;
#[cfg(test)]
mod tests;
mod unembedding;
mod weights;

pub use attention::{Attention, AttentionAxes, AttentionForm, AttentionKind, Visible, find_attention};
pub use axis_names::AxisNames;
pub use check::{Checked, Doubt, needed};
pub use component::Component;
pub use coverage::{Coverage, Role};
pub use embedding::{Embedding, EmbeddingKind};
pub use feed_forward::{ActivationFunction, Experts, FeedForward, FeedForwardKind, NeuronWeights};
pub use file::{StructureFile, StructureFileError};
pub use found::Structure;
pub use ids::valid_ids;
pub use input_projection::{HeadProjection, InputProjections, input_projections};
pub use norm::{Norm, NormKind};
pub use opaque::opaque_operations;
pub use operator::is_view;
pub use output_projection::{OutputProjection, output_projections};
pub use positions::{Positions, recorded_batch};
pub use residual::{Addition, Residual, Writer};
pub use unembedding::Unembedding;
