//! What the parts of a sum give, where the statistics of norms are kept as they are for the whole sum.
//!
//! Between a sum and what is computed of it stand linear maps, and norms that divide by a number which depends on the sum. With that
//! number kept (*frozen*), all of it is affine: `y = A x + b`, with the `y` of the model for the whole `x`, and each part of `x` has
//! a part of `y`. [`LoadedPath::pull`] gives `Aᵀ c` and `b · c` for rows of covectors `c`, so a part `p` gives `(Aᵀ c) · p` of `y · c`.
//!
//! For a stream and the difference of two logits, `Aᵀ c` is `(w ∘ (W_U[right] - W_U[wrong])) / s`, with its mean taken off
//! where the norm subtracts the mean, and `b · c` is what the norm's bias and that of the map add: direct logit attribution (Elhage
//! et al. 2021). Through a norm behind attention (Gemma) it is the same with the output of attention as the sum.
//!
//! A function that is not linear and no statistic of a norm, such as the GELU of masked-language heads, is an error that names it.

mod covectors;
mod kind;
mod loaded;
mod norms;
mod path;

pub use covectors::Covectors;
pub use loaded::{LoadedPath, Pulled};
pub use path::Path;
