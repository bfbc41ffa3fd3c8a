//! What a model does with the result of its map: scales, biases and soft-caps, up to its logits.

use fmrai_core::graph::{Graph, Operation, TensorId};

use super::error::LensError;
use super::operation::{Form, binary, form, not_understood, shape, stem, unary};

/// Operations followed.
const LIMIT: usize = 64;

/// The logits: the last tensor that is computed of `output`, the map's result, before something else than numbers for each token of
/// the vocabulary is made of it (probabilities, chosen tokens, a loss).
pub(super) fn logits(graph: &dyn Graph, output: TensorId) -> Result<TensorId, LensError> {
    let mut logits = output;
    let mut at = output;
    for _ in 0..LIMIT {
        let Some(user) = only_user(graph, at) else { return Ok(logits) };
        let Some(&next) = user.outputs.first() else { return Ok(logits) };
        match kind(graph, user, at, next)? {
            Kind::Number => {
                if at != logits {
                    let what = "it changes logits of which only a part is left";
                    return Err(not_understood(user, what));
                }
                (logits, at) = (next, next);
            }
            Kind::Form if at == logits => (logits, at) = (next, next),
            Kind::Form | Kind::Part => at = next,
            Kind::End => return Ok(logits),
        }
    }
    Ok(logits)
}

enum Kind {
    /// Arithmetic on every logit.
    Number,
    /// The same logits in another form.
    Form,
    /// Some of them, or in another order.
    Part,
    /// Something else is made of them.
    End,
}

fn kind(graph: &dyn Graph, user: &Operation, from: TensorId, to: TensorId) -> Result<Kind, LensError> {
    let name = stem(user);
    match form(name) {
        Some(Form::Copy | Form::Dropout) => return Ok(Kind::Form),
        Some(Form::View) if shape(graph, from).last() == shape(graph, to).last() => return Ok(Kind::Form),
        Some(Form::Slice) if shape(graph, from) == shape(graph, to) => return Ok(Kind::Form),
        Some(Form::Slice) if cuts_channels(graph, from, to) => return Ok(Kind::Number),
        Some(_) => return Ok(Kind::Part),
        None => {}
    }
    match name {
        "softmax" | "_softmax" | "special_softmax" | "log_softmax" | "_log_softmax" | "sigmoid"
        | "argmax" | "max" | "topk" | "sort" | "argsort" | "multinomial" | "logsumexp" => {
            return Ok(Kind::End);
        }
        "index" | "index_select" | "select" | "gather" | "unbind" | "split" | "chunk" | "masked_select" => {
            return Ok(Kind::Part);
        }
        _ => {}
    }
    if name.contains("loss") || name.contains("entropy") {
        return Ok(Kind::End);
    }
    if unary(user)?.is_some() {
        return Ok(Kind::Number);
    }
    if binary(user)?.is_some() {
        // With weights and numbers; what is combined with other activations is no logit any more.
        return Ok(Kind::Number);
    }
    Err(not_understood(user, "it is done with the logits and is none of the operations that are known here"))
}

/// True if channels and nothing else are left out.
fn cuts_channels(graph: &dyn Graph, from: TensorId, to: TensorId) -> bool {
    match (shape(graph, from).split_last(), shape(graph, to).split_last()) {
        (Some((_, from)), Some((_, to))) => from == to,
        _ => false,
    }
}

/// The one operation that takes a tensor, but for those that check something or only ask for sizes.
fn only_user(graph: &dyn Graph, id: TensorId) -> Option<&Operation> {
    let looks_only = |operation: &&Operation| {
        let name = stem(operation);
        let asserts = name.starts_with("_assert") || name.contains("_assert") || name.starts_with("sym_");
        !(asserts || matches!(name, "size" | "dim" | "numel" | "stride" | "is_floating_point"))
    };
    let users = graph.users(id).iter().filter_map(|user| graph.operation(*user));
    let mut users = users.filter(looks_only);
    let first = users.next()?;
    users.next().is_none().then_some(first)
}
