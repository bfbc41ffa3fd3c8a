//! What operations do to the elements of their operands, as far as the finder must know.

use crate::graph::{Argument, Operation, TensorId};

/// What an operation does to its main operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The same elements in the same row-major order, with other axes.
    Reshape,
    /// The same elements with axes in another order.
    Permute,
    /// The elements repeated along axes.
    Broadcast,
    /// Some of the elements.
    Part,
    /// The same elements as a copy, in another type, or with some dropped at random.
    Same,
    /// Arithmetic element by element, as between scores and softmax.
    Pointwise,
    /// Elements of several tensors, next to each other or one written into the other.
    Join,
    /// Normalisation.
    Norm,
    /// Arithmetic that turns weights into weights: powers, sums, dequantisation.
    WeightMath,
    /// A matrix product.
    Product,
    /// Softmax, over whatever axis.
    Softmax,
    /// Scaled dot product attention.
    Fused,
    /// Rows of a table.
    Lookup,
    /// Sine and cosine, as in tables of rotary embeddings.
    Wave,
    /// Anything else.
    Other,
}

/// The base name without the underscore of in-place operations.
pub(super) fn stem(operation: &Operation) -> &str {
    let name = operation.base_name();
    if name.starts_with("__") { name } else { name.strip_suffix('_').unwrap_or(name) }
}

/// What `operation` does.
pub(super) fn effect(operation: &Operation) -> Effect {
    match stem(operation) {
        "view" | "reshape" | "_unsafe_view" | "_reshape_alias" | "view_as" | "reshape_as" | "flatten"
        | "unflatten" | "squeeze" | "unsqueeze" | "view_copy" | "squeeze_copy" | "unsqueeze_copy"
        | "_reshape_copy" | "view_as_complex" | "view_as_real" | "atleast_2d" | "atleast_3d" => {
            Effect::Reshape
        }
        "transpose" | "permute" | "t" | "swapaxes" | "swapdims" | "movedim" | "moveaxis" | "mT"
        | "adjoint" | "matrix_H" | "numpy_T" | "transpose_copy" | "permute_copy" | "t_copy" => {
            Effect::Permute
        }
        "expand" | "expand_as" | "expand_copy" | "broadcast_to" | "repeat" | "tile" | "repeat_interleave" => {
            Effect::Broadcast
        }
        "slice"
        | "narrow"
        | "select"
        | "chunk"
        | "split"
        | "split_with_sizes"
        | "tensor_split"
        | "unbind"
        | "hsplit"
        | "vsplit"
        | "dsplit"
        | "unsafe_chunk"
        | "unsafe_split"
        | "unsafe_split_with_sizes"
        | "slice_copy"
        | "select_copy"
        | "narrow_copy"
        | "split_copy"
        | "split_with_sizes_copy"
        | "unbind_copy"
        | "constant_pad_nd"
        | "pad" => Effect::Part,
        "to"
        | "_to_copy"
        | "type_as"
        | "contiguous"
        | "clone"
        | "alias"
        | "alias_copy"
        | "detach"
        | "detach_copy"
        | "lift"
        | "lift_fresh"
        | "lift_fresh_copy"
        | "resolve_conj"
        | "resolve_neg"
        | "_autocast_to_full_precision"
        | "_autocast_to_reduced_precision"
        | "dropout"
        | "native_dropout"
        | "feature_dropout"
        | "alpha_dropout"
        | "positive" => Effect::Same,
        "add" | "sub" | "rsub" | "subtract" | "mul" | "multiply" | "div" | "divide" | "true_divide"
        | "masked_fill" | "where" | "tanh" | "hardtanh" | "clamp" | "clamp_min" | "clamp_max" | "clip"
        | "nan_to_num" | "maximum" | "minimum" | "neg" | "negative" | "addcmul" | "masked_scatter" => {
            Effect::Pointwise
        }
        "max" | "min" if operation.tensor("other").is_some() => Effect::Pointwise,
        "cat" | "concat" | "concatenate" | "stack" | "hstack" | "vstack" | "dstack" | "copy"
        | "index_copy" | "index_put" | "_index_put_impl" | "index_fill" | "scatter" | "slice_scatter"
        | "select_scatter" | "roll" | "flip" | "index" | "index_select" | "gather" | "tril" | "triu" => {
            Effect::Join
        }
        "layer_norm"
        | "native_layer_norm"
        | "rms_norm"
        | "_fused_rms_norm"
        | "group_norm"
        | "native_group_norm"
        | "batch_norm"
        | "native_batch_norm"
        | "_native_batch_norm_legit"
        | "_native_batch_norm_legit_no_training"
        | "instance_norm" => Effect::Norm,
        "pow"
        | "sqrt"
        | "rsqrt"
        | "reciprocal"
        | "abs"
        | "exp"
        | "log"
        | "sigmoid"
        | "softplus"
        | "sum"
        | "mean"
        | "norm"
        | "linalg_vector_norm"
        | "dequantize"
        | "_weight_norm"
        | "_weight_norm_interface" => Effect::WeightMath,
        "matmul" | "linalg_matmul" | "bmm" | "mm" | "baddbmm" | "addmm" | "linear" | "einsum" => {
            Effect::Product
        }
        "softmax" | "_softmax" | "special_softmax" | "_safe_softmax" | "_masked_softmax" => Effect::Softmax,
        "scaled_dot_product_attention" | "_scaled_dot_product_attention_math" => Effect::Fused,
        "embedding" | "embedding_bag" | "_embedding_bag" => Effect::Lookup,
        "cos" | "sin" | "polar" => Effect::Wave,
        _ => Effect::Other,
    }
}

/// True for operations that only rearrange, repeat, cut or copy their operand.
pub fn is_view(operation: &Operation) -> bool {
    match effect(operation) {
        Effect::Reshape | Effect::Permute | Effect::Broadcast => true,
        Effect::Part => !matches!(stem(operation), "pad" | "constant_pad_nd"),
        Effect::Same => !stem(operation).ends_with("dropout"),
        _ => false,
    }
}

/// True for arguments that carry elements of the result; masks, indices and the destination of `out=` do not.
fn carries(operation: &Operation, argument: &Argument) -> bool {
    match argument.name.as_str() {
        "condition" | "mask" | "index" | "indices" | "out" => false,
        "self" => stem(operation) != "copy",
        _ => true,
    }
}

/// The tensors whose elements make up the result.
pub(super) fn operands(operation: &Operation) -> impl Iterator<Item = TensorId> + '_ {
    operation.arguments.iter().filter(|a| carries(operation, a)).flat_map(|a| a.value.tensors())
}

/// The main operand.
pub(super) fn first_input(operation: &Operation) -> Option<TensorId> {
    operands(operation).next()
}

/// True for operations that take of their operands nothing but sizes.
pub(super) fn makes_anew(operation: &Operation) -> bool {
    let stem = stem(operation);
    stem.ends_with("_like") || stem.starts_with("new_")
}

/// True for operations that check something and make nothing.
pub(super) fn is_assertion(operation: &Operation) -> bool {
    let stem = stem(operation);
    stem.starts_with("_assert") || stem.starts_with("sym_constrain") || stem.starts_with("_functional_assert")
}

/// False where `operation` takes of `id` nothing but its sizes, its type or its place: then it is no user of the data.
pub(super) fn reads_data(operation: &Operation, id: TensorId) -> bool {
    if is_assertion(operation) || makes_anew(operation) {
        return false;
    }
    let stem = stem(operation);
    if operation.outputs.is_empty() {
        // Sizes, strides and types are numbers; a number that is an element is another thing.
        return matches!(stem, "item" | "_local_scalar_dense" | "is_nonzero" | "equal");
    }
    let form = match stem {
        "view_as" | "reshape_as" | "expand_as" | "type_as" | "to" => "other",
        "size" | "numel" | "sym_size" | "sym_numel" | "shape" | "_shape_as_tensor" => "self",
        _ => return true,
    };
    operation.arguments.iter().any(|a| a.name != form && a.value.tensors().any(|t| t == id))
}
