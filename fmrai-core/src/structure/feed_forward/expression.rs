//! What happens to each element between two linear maps, evaluated as a function of numbers.

use std::collections::BTreeMap;

use crate::graph::{Operation, OperationId, TensorId, Value};
use crate::structure::facts::{Facts, number};
use crate::structure::operator::{first_input, operands, stem};

/// Tensors in an expression after which it is none that we know.
const LIMIT: usize = 64;

/// What stands for numbers that the graph does not tell: with it no function is taken for one that it is not.
const SOME_NUMBER: f64 = 0.37;

/// An expression of elements, each of which is read at one place of its variables.
pub(super) struct Expression {
    /// The variables: tensors that `variable` knew, or halves of them, in order of first use.
    pub(super) variables: Vec<Variable>,
    /// What stands between, in the order of evaluation.
    nodes: Vec<(TensorId, Node)>,
    /// The operations of it.
    pub(super) operations: Vec<OperationId>,
}

/// A tensor, or the half of its channels that a `glu` takes: the first, or the second.
pub(super) type Variable = (TensorId, Option<Half>);

/// One half of the channels of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Half {
    First,
    Second,
}

enum Node {
    Variable(usize),
    /// The first variable times the sigmoid of the second.
    Glu(usize, usize),
    Copy(TensorId),
    Call(String, Vec<Term>, Vec<f64>),
}

#[derive(Clone, Copy)]
enum Term {
    Tensor(TensorId),
    Number(f64),
    /// A number that the graph does not tell: learned, or kept in a tensor.
    Unknown,
}

impl Expression {
    /// The expression of `top` in the nearest tensors for which `variable` gives a name; the same name, the same
    /// variable.
    pub(super) fn of<K: PartialEq>(
        facts: &Facts<'_>,
        top: TensorId,
        variable: &mut dyn FnMut(Variable) -> Option<K>,
    ) -> Option<Self> {
        let mut found = Self { variables: Vec::new(), nodes: Vec::new(), operations: Vec::new() };
        let size = facts.elements(top);
        let mut names: Vec<K> = Vec::new();
        let mut done: BTreeMap<TensorId, ()> = BTreeMap::new();
        let mut stack = vec![(top, false)];
        while let Some((id, ready)) = stack.pop() {
            if done.contains_key(&id) {
                continue;
            }
            if done.len() + stack.len() > LIMIT {
                return None;
            }
            let mut place = |found: &mut Self, wanted: Variable, name: K| {
                names.iter().position(|n| *n == name).unwrap_or_else(|| {
                    names.push(name);
                    found.variables.push(wanted);
                    names.len() - 1
                })
            };
            if let Some(name) = variable((id, None)) {
                let position = place(&mut found, (id, None), name);
                found.nodes.push((id, Node::Variable(position)));
                done.insert(id, ());
                continue;
            }
            let producer = facts.graph.producer(id)?;
            if stem(producer) == "glu" {
                let whole = producer.tensor("self")?;
                let mut half = |half: Half| {
                    let wanted = (whole, Some(half));
                    let name = variable(wanted)?;
                    Some(place(&mut found, wanted, name))
                };
                let (first, second) = (half(Half::First)?, half(Half::Second)?);
                found.nodes.push((id, Node::Glu(first, second)));
                found.operations.push(producer.id);
                done.insert(id, ());
                continue;
            }
            let (node, needs) = node(facts, producer, size, variable)?;
            if ready {
                found.operations.push(producer.id);
                found.nodes.push((id, node));
                done.insert(id, ());
            } else {
                stack.push((id, true));
                stack.extend(needs.into_iter().rev().map(|need| (need, false)));
            }
        }
        Some(found)
    }

    /// Its value where the variables have these values; not a number where that cannot be told.
    pub(super) fn value(&self, at: &[f64]) -> f64 {
        let mut values: BTreeMap<TensorId, f64> = BTreeMap::new();
        let mut last = f64::NAN;
        for (id, node) in &self.nodes {
            let of = |id: &TensorId| values.get(id).copied().unwrap_or(f64::NAN);
            last = match node {
                Node::Variable(i) => at.get(*i).copied().unwrap_or(f64::NAN),
                Node::Glu(i, j) => {
                    let of = |i: usize| at.get(i).copied().unwrap_or(f64::NAN);
                    of(*i) * sigmoid(of(*j))
                }
                Node::Copy(input) => of(input),
                Node::Call(name, terms, settings) => {
                    let terms: Vec<f64> = terms
                        .iter()
                        .map(|term| match term {
                            Term::Tensor(id) => of(id),
                            Term::Number(x) => *x,
                            Term::Unknown => SOME_NUMBER,
                        })
                        .collect();
                    call(name, &terms, settings)
                }
            };
            values.insert(*id, last);
        }
        last
    }
}

/// How `operation` computes an element, and the tensors of full size that it needs.
fn node<K>(
    facts: &Facts<'_>,
    operation: &Operation,
    size: i64,
    variable: &mut dyn FnMut(Variable) -> Option<K>,
) -> Option<(Node, Vec<TensorId>)> {
    if facts.rearranges(operation) {
        let input = first_input(operation)?;
        return Some((Node::Copy(input), vec![input]));
    }
    let name = match stem(operation) {
        "max" if operation.tensor("other").is_some() => "maximum",
        "min" if operation.tensor("other").is_some() => "minimum",
        name => name,
    };
    let arity = arity(name)?;
    let neutral = match name {
        "mul" | "multiply" | "div" | "divide" | "true_divide" | "pow" => 1.0,
        _ => 0.0,
    };
    let mut needs = Vec::new();
    let mut terms = Vec::new();
    let mut arguments: Vec<Value> = operation.arguments.iter().map(|a| a.value.clone()).collect();
    arguments.truncate(arity);
    for value in arguments {
        terms.push(match &value {
            Value::Tensor(id) => match number(facts.graph, &value) {
                // A tensor of full size that is filled here is one that is written later, in a loop over tokens.
                Some(_) if facts.elements(*id) == size && size > 1 => return None,
                Some(x) => Term::Number(x),
                None if facts.elements(*id) == size || variable((*id, None)).is_some() => {
                    if facts.weights.contains(*id) {
                        // A tensor that is filled here and written later is no weight.
                        if facts.graph.producer(facts.parameter(*id)).is_some() {
                            return None;
                        }
                        Term::Number(neutral)
                    } else {
                        needs.push(*id);
                        Term::Tensor(*id)
                    }
                }
                // A number that the program keeps in a tensor cannot be read here.
                None if facts.elements(*id) == 1 => Term::Unknown,
                // A learned scale or shift, a statistic, the weight of a token's expert.
                None => Term::Number(neutral),
            },
            other => number(facts.graph, other).map_or(Term::Unknown, Term::Number),
        });
    }
    if needs.is_empty() || operands(operation).count() == 0 {
        return None;
    }
    Some((Node::Call(name.to_owned(), terms, settings(operation)), needs))
}

/// Tensors and numbers that a function of elements takes before its settings; `None` if it is none.
fn arity(name: &str) -> Option<usize> {
    match name {
        "add" | "sub" | "subtract" | "rsub" | "mul" | "multiply" | "div" | "divide" | "true_divide"
        | "pow" | "maximum" | "minimum" | "gt" | "ge" | "lt" | "le" => Some(2),
        "addcmul" | "where" => Some(3),
        "gelu" | "relu" | "relu6" | "silu" | "mish" | "elu" | "selu" | "celu" | "leaky_relu"
        | "hardswish" | "hardsigmoid" | "hardtanh" | "sigmoid" | "tanh" | "softplus" | "softsign" | "erf"
        | "exp" | "expm1" | "log1p" | "log" | "neg" | "negative" | "abs" | "square" | "sqrt" | "rsqrt"
        | "reciprocal" | "clamp" | "clamp_min" | "clamp_max" | "clip" | "sin" | "cos" | "log_sigmoid"
        | "rrelu" | "threshold" | "prelu" | "_prelu_kernel" | "tanhshrink" | "softshrink" | "hardshrink"
        | "sign" => Some(1),
        _ => None,
    }
}

/// The numbers that change what a function does: bounds, slopes, `alpha`, and 1 for the approximation by tanh.
fn settings(operation: &Operation) -> Vec<f64> {
    let number = |name: &str| operation.argument(name).and_then(Value::as_float);
    let or = |name: &str, default: f64| number(name).unwrap_or(default);
    match stem(operation) {
        "add" | "sub" | "subtract" | "rsub" => vec![or("alpha", 1.0)],
        "addcmul" => vec![or("value", 1.0)],
        "gelu" => {
            let tanh = operation.argument("approximate") == Some(&Value::Text("tanh".to_owned()));
            vec![f64::from(u8::from(tanh))]
        }
        "elu" | "celu" => vec![or("alpha", 1.0), or("scale", 1.0), or("input_scale", 1.0)],
        "leaky_relu" => vec![or("negative_slope", 0.01)],
        "softplus" => vec![or("beta", 1.0)],
        "hardtanh" => vec![or("min_val", -1.0), or("max_val", 1.0)],
        "clamp" | "clip" | "clamp_min" | "clamp_max" => {
            vec![or("min", f64::NEG_INFINITY), or("max", f64::INFINITY)]
        }
        _ => Vec::new(),
    }
}

/// A function of elements; one that is not known here, or that has learned parameters, is something unlike any other.
fn call(name: &str, terms: &[f64], settings: &[f64]) -> f64 {
    let term = |i: usize| terms.get(i).copied().unwrap_or(f64::NAN);
    let setting = |i: usize, default: f64| settings.get(i).copied().unwrap_or(default);
    let (x, y) = (term(0), term(1));
    match name {
        "add" => x + y * setting(0, 1.0),
        "sub" | "subtract" => x - y * setting(0, 1.0),
        "rsub" => y - x * setting(0, 1.0),
        "mul" | "multiply" => x * y,
        "div" | "divide" | "true_divide" => x / y,
        "pow" => x.powf(y),
        "maximum" => x.max(y),
        "minimum" => x.min(y),
        "gt" | "ge" => f64::from(u8::from(x > y)),
        "lt" | "le" => f64::from(u8::from(x < y)),
        "where" => {
            if x > 0.5 {
                y
            } else {
                term(2)
            }
        }
        "addcmul" => x + setting(0, 1.0) * y * term(2),
        "gelu" if setting(0, 0.0) > 0.5 => super::function::gelu_tanh(x),
        "gelu" => super::function::gelu(x),
        "relu" => x.max(0.0),
        "relu6" => x.clamp(0.0, 6.0),
        "silu" => x * sigmoid(x),
        "mish" => x * x.exp().ln_1p().tanh(),
        "elu" | "celu" => {
            let (alpha, scale, inner) = (setting(0, 1.0), setting(1, 1.0), setting(2, 1.0));
            let inner = if name == "celu" { 1.0 / alpha } else { inner };
            scale * if x > 0.0 { x } else { alpha * (x * inner).exp_m1() }
        }
        "selu" => super::function::selu(x),
        "leaky_relu" => {
            if x > 0.0 {
                x
            } else {
                x * setting(0, 0.01)
            }
        }
        "hardswish" => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        "hardsigmoid" => (x + 3.0).clamp(0.0, 6.0) / 6.0,
        "hardtanh" | "clamp" | "clip" | "clamp_min" | "clamp_max" => {
            x.max(setting(0, f64::NEG_INFINITY)).min(setting(1, f64::INFINITY))
        }
        "sigmoid" => sigmoid(x),
        "tanh" => x.tanh(),
        "softplus" => (x * setting(0, 1.0)).exp().ln_1p() / setting(0, 1.0),
        "softsign" => x / (1.0 + x.abs()),
        "erf" => super::function::erf(x),
        "exp" => x.exp(),
        "expm1" => x.exp_m1(),
        "log1p" => x.ln_1p(),
        "log" => x.ln(),
        "neg" | "negative" => -x,
        "abs" => x.abs(),
        "square" => x * x,
        "sqrt" => x.sqrt(),
        "rsqrt" => x.sqrt().recip(),
        "reciprocal" => x.recip(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "sign" => x.signum(),
        "log_sigmoid" => -(-x).exp().ln_1p(),
        _ => (1.234 * x).sin() + 0.1 * x * x,
    }
}

fn sigmoid(x: f64) -> f64 {
    (1.0 + (-x).exp()).recip()
}
