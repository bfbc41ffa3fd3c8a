//! Normalisations found, fused or written out.

use crate::graph::{Graph, Operation, OperationId, TensorId};
use crate::structure::facts::{number, sorted, users};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::weights::PlainWeights;

use super::{Norm, NormKind};

/// Operations after the division that may scale, shift and cast the result.
const TAIL: usize = 6;

/// All normalisations of a graph, in execution order.
pub(in crate::structure) fn find_norms(graph: &dyn Graph, weights: &PlainWeights) -> Vec<Norm> {
    let mut found: Vec<Norm> = graph
        .operations()
        .iter()
        .filter_map(|operation| fused(graph, operation).or_else(|| written(graph, weights, operation)))
        .collect();
    found.sort_by_key(|norm| norm.operations.first().copied());
    for (layer, norm) in found.iter_mut().enumerate() {
        norm.layer = layer;
    }
    found
}

fn fused(graph: &dyn Graph, operation: &Operation) -> Option<Norm> {
    let kind = match stem(operation) {
        "layer_norm" | "native_layer_norm" => NormKind::Layer,
        "rms_norm" | "_fused_rms_norm" => NormKind::Rms,
        "group_norm" | "native_group_norm" => NormKind::Group,
        "instance_norm" => NormKind::Instance,
        "batch_norm"
        | "native_batch_norm"
        | "cudnn_batch_norm"
        | "miopen_batch_norm"
        | "_native_batch_norm_legit"
        | "_native_batch_norm_legit_no_training"
        | "_native_batch_norm_legit_functional"
        | "_batch_norm_with_update"
        | "_batch_norm_no_update" => NormKind::Batch,
        _ => return None,
    };
    let input = operation.tensor("input").or_else(|| operation.tensor("self"))?;
    let eps = operation.argument("eps").or_else(|| operation.argument("epsilon"));
    Some(Norm {
        layer: 0,
        kind,
        module: operation.module.clone(),
        input,
        output: *operation.outputs.first()?,
        weight: operation.tensor("weight").map(|weight| root(graph, weight)),
        bias: operation.tensor("bias").map(|bias| root(graph, bias)),
        eps: eps.and_then(|eps| number(graph, eps)),
        operations: vec![operation.id],
    })
}

/// The operations of a normalisation that is written out, while it is pieced together.
struct Pieces<'g> {
    graph: &'g dyn Graph,
    operations: Vec<OperationId>,
}

impl<'g> Pieces<'g> {
    fn take(&mut self, operation: &Operation) {
        self.operations.push(operation.id);
    }

    fn producer(&self, id: TensorId) -> Option<&'g Operation> {
        self.graph.producer(id)
    }

    /// `id` before casts and copies, which are taken.
    fn uncast(&mut self, mut id: TensorId) -> TensorId {
        while let Some(producer) = self.producer(id).filter(|p| effect(p) == Effect::Same) {
            let Some(input) = first_input(producer) else { break };
            self.take(producer);
            id = input;
        }
        id
    }

    /// The tensor whose squares, or whose distances from their mean, are averaged in `id`.
    fn averaged(&mut self, id: TensorId) -> Option<(TensorId, NormKind)> {
        let variance = self.uncast(id);
        let producer = self.producer(variance)?;
        self.take(producer);
        match stem(producer) {
            "var" | "var_mean" => Some((producer.tensor("self")?, NormKind::Layer)),
            "mean" => {
                let squares = self.uncast(producer.tensor("self")?);
                let square = self.producer(squares)?;
                self.take(square);
                let x = self.squared(square)?;
                match self.centred(x) {
                    Some(root) => Some((root, NormKind::Layer)),
                    None => Some((x, NormKind::Rms)),
                }
            }
            _ => None,
        }
    }

    fn squared(&self, operation: &Operation) -> Option<TensorId> {
        let x = operation.tensor("self")?;
        let square = match stem(operation) {
            "pow" => number(self.graph, operation.argument("exponent")?) == Some(2.0),
            "square" => true,
            "mul" | "multiply" => operation.tensor("other") == Some(x),
            _ => false,
        };
        square.then_some(x)
    }

    /// `x` of `x - mean(x)`.
    fn centred(&mut self, id: TensorId) -> Option<TensorId> {
        let difference = self.producer(id).filter(|p| matches!(stem(p), "sub" | "subtract"))?;
        let (x, mean) = (difference.tensor("self")?, difference.tensor("other")?);
        let average = self.producer(mean).filter(|p| stem(p) == "mean" || stem(p) == "var_mean")?;
        let plain = |id: TensorId| {
            let cast = self.graph.producer(id).filter(|p| effect(p) == Effect::Same);
            cast.and_then(first_input).unwrap_or(id)
        };
        let same = plain(average.tensor("self")?) == plain(x);
        if same {
            let ids = [difference.id, average.id];
            self.operations.extend(ids);
        }
        same.then_some(x)
    }
}

/// True if `operation` is the root of a variance; true inside if it is the reciprocal one.
fn root_of_variance(graph: &dyn Graph, operation: &Operation) -> Option<bool> {
    match stem(operation) {
        "rsqrt" => Some(true),
        "sqrt" => Some(false),
        "pow" => match number(graph, operation.argument("exponent")?) {
            Some(-0.5) => Some(true),
            Some(0.5) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn written(graph: &dyn Graph, weights: &PlainWeights, operation: &Operation) -> Option<Norm> {
    let mut pieces = Pieces { graph, operations: vec![operation.id] };
    let (averaged, eps, reciprocal) = if stem(operation) == "std" {
        // (x - mean) / (std + eps)
        let deviation = *operation.outputs.first()?;
        let sum = users(graph, deviation)
            .filter(|user| stem(user) == "add")
            .find_map(|user| Some((user, number(graph, user.argument("other")?)?)));
        if let Some((sum, _)) = sum {
            pieces.take(sum);
        }
        ((operation.tensor("self")?, NormKind::Layer), sum.map(|(_, eps)| eps), false)
    } else {
        let reciprocal = root_of_variance(graph, operation)?;
        let taken = pieces.uncast(operation.tensor("self")?);
        let (variance, eps) = match graph.producer(taken) {
            Some(sum) if matches!(stem(sum), "add" | "clamp" | "clamp_min") => {
                pieces.take(sum);
                let eps = sum.argument("other").or_else(|| sum.argument("min"));
                (sum.tensor("self")?, eps.and_then(|eps| number(graph, eps)))
            }
            _ => (taken, None),
        };
        (pieces.averaged(variance)?, eps, reciprocal)
    };
    let ((x, kind), root_output) = (averaged, *operation.outputs.first()?);
    if weights.contains(x) {
        return None;
    }
    let divisor = if stem(operation) == "std" {
        pieces.operations.last().and_then(|id| graph.operation(*id)?.outputs.first().copied())?
    } else {
        root_output
    };
    let divided = division(&mut pieces, x, divisor, reciprocal)?;
    let mut norm = Norm {
        layer: 0,
        kind,
        module: operation.module.clone(),
        input: x,
        output: divided,
        weight: None,
        bias: None,
        eps,
        operations: Vec::new(),
    };
    scaled(&mut pieces, weights, &mut norm);
    norm.operations = sorted(pieces.operations);
    norm.input = before_cast(graph, norm.input, &mut norm.operations);
    Some(norm)
}

/// The result of dividing `x` by `root`, or of multiplying it if that is `reciprocal`.
fn division(pieces: &mut Pieces<'_>, x: TensorId, root: TensorId, reciprocal: bool) -> Option<TensorId> {
    let graph = pieces.graph;
    let mut divisor = root;
    let mut reciprocal = reciprocal;
    for _ in 0..TAIL {
        let step = users(graph, divisor).find(|o| {
            matches!(effect(o), Effect::Same | Effect::Broadcast | Effect::Reshape) || stem(o) == "reciprocal"
        });
        for user in users(graph, divisor) {
            let divides =
                if reciprocal { stem(user) == "mul" } else { matches!(stem(user), "div" | "divide") };
            let other = operands(user).find(|id| *id != divisor);
            let size = |id: TensorId| graph.tensor(id).map(|t| &t.shape);
            if let Some(other) = other.filter(|o| divides && size(*o) == size(x)) {
                pieces.take(user);
                pieces.centred(other);
                return user.outputs.first().copied();
            }
        }
        let step = step?;
        reciprocal |= stem(step) == "reciprocal";
        pieces.take(step);
        divisor = *step.outputs.first()?;
    }
    None
}

/// Takes in casts, the scale and the shift that follow.
fn scaled(pieces: &mut Pieces<'_>, weights: &PlainWeights, norm: &mut Norm) {
    let graph = pieces.graph;
    for _ in 0..TAIL {
        let mut users = users(graph, norm.output);
        let (Some(user), None) = (users.next(), users.next()) else { return };
        let Some(output) = user.outputs.first() else { return };
        let other = operands(user).find(|id| *id != norm.output).filter(|id| weights.contains(*id));
        match (stem(user), other) {
            ("mul" | "multiply", Some(weight)) if norm.weight.is_none() && norm.bias.is_none() => {
                norm.weight = Some(root(graph, weight));
            }
            ("add", Some(bias)) if norm.bias.is_none() => norm.bias = Some(root(graph, bias)),
            (name, _) if effect(user) == Effect::Same && !name.ends_with("dropout") => {}
            _ => return,
        }
        pieces.take(user);
        norm.output = *output;
    }
}

/// The parameter that a weight was made of.
fn root(graph: &dyn Graph, mut id: TensorId) -> TensorId {
    let start = id;
    while let Some(producer) = graph.producer(id) {
        let mut tensors = operands(producer);
        let (Some(input), None) = (tensors.next(), tensors.next()) else { return start };
        if effect(producer) == Effect::Other {
            return start;
        }
        id = input;
    }
    id
}

/// `x` before a cast that only this normalisation uses.
fn before_cast(graph: &dyn Graph, mut x: TensorId, operations: &mut Vec<OperationId>) -> TensorId {
    while let Some(cast) = graph.producer(x).filter(|p| effect(p) == Effect::Same) {
        let own = users(graph, x).all(|user| operations.contains(&user.id));
        let Some(input) = first_input(cast).filter(|_| own && !stem(cast).ends_with("dropout")) else {
            break;
        };
        operations.insert(0, cast.id);
        x = input;
    }
    x
}
