//! Where the axes of each tensor come from: channels of a linear map, rows and columns of a product of two activations, the
//! axis of a softmax, or anything else.
//!
//! An axis is followed from where it begins through views, permutations, arithmetic and joins, whatever its place is. So
//! scores are known for scores in any layout, heads are told from windows and from the batch (heads are split off the
//! channels of a linear map), and heads that are repeated from those that are not.

mod axis;
mod follow;
mod lines;
mod transfer;

pub(super) use axis::{Axis, Label, total};
pub(super) use follow::follow;
pub(super) use lines::Lines;
