//! From the JSON of a graph to a program that can run.

use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::flow::{check_arity, read, slots};
use super::metadata;
use super::numbers::{Function, Number};
use super::program::{Action, Block, Example, Lookup, Mode, NumberKind, Operand, Step};
use super::schema::{
    Argument, Device, Graph, NamedArgument, Node, SymBoolArgument, SymFloatArgument, SymIntArgument,
};
use super::scope::{Scope, example};
use crate::ffi::call::{Call, CallSpec, Given, Made, Slot};

/// What is wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeError {
    pub(super) node: String,
    pub(super) what: String,
}

/// Subgraphs in subgraphs deeper than this are refused.
const DEEPEST: usize = 16;

/// What all blocks of a program share.
pub(super) struct Compiler {
    /// Where the program runs; devices that were fixed at export are replaced by it.
    device: String,
    slots: Slot,
    depth: usize,
}

/// A step whose call is not prepared yet, since it is not known which values it is the last to use.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) action: DraftAction,
    pub(super) reads: Vec<Slot>,
    pub(super) makes: Vec<Slot>,
    pub(super) example: Result<Example, String>,
    pub(super) lookup: Option<Lookup>,
}

pub(super) enum DraftAction {
    Call(CallSpec),
    Other(Action),
}

pub(super) type Compiled<T> = Result<T, String>;

impl Compiler {
    pub(super) fn new(device: &str) -> Self {
        Self { device: device.to_owned(), slots: 0, depth: 0 }
    }

    /// Number of slots that frames of the program need.
    pub(super) fn slots(&self) -> usize {
        self.slots as usize
    }

    pub(super) fn slot(&mut self) -> Compiled<Slot> {
        let slot = self.slots;
        self.slots = slot.checked_add(1).ok_or("it has too many values")?;
        Ok(slot)
    }

    /// The program of a graph; names in records begin with `prefix`.
    pub(super) fn block(&mut self, graph: &Graph, prefix: &str) -> Result<Block, NodeError> {
        let at = |node: &str| {
            let node = format!("{prefix}{node}");
            move |what| NodeError { node, what }
        };
        if self.depth > DEEPEST {
            return Err(at("graph")(format!("graphs are nested deeper than {DEEPEST}")));
        }
        let mut scope = Scope { graph, prefix: prefix.to_owned(), slots: BTreeMap::new() };
        let mut inputs = Vec::new();
        for input in &graph.inputs {
            let slot = self.slot().map_err(at("inputs"))?;
            inputs.push(slot);
            if let Some(name) = input.name() {
                scope.define(name, slot).map_err(at("inputs"))?;
            } else if !matches!(
                input,
                Argument::None
                    | Argument::Int(_)
                    | Argument::Float(_)
                    | Argument::Bool(_)
                    | Argument::Text(_)
            ) {
                return Err(at("inputs")(format!("an input of kind {} is not supported", input.kind())));
            }
        }
        let mut drafts = Vec::new();
        for node in &graph.nodes {
            let name = node_name(node);
            let mut made = self.node(&mut scope, node, &name).map_err(at(&name))?;
            drafts.append(&mut made);
        }
        let outputs: Vec<Operand> = graph
            .outputs
            .iter()
            .map(|output| scope.operand(output))
            .collect::<Compiled<_>>()
            .map_err(at("outputs"))?;
        let steps = finish(drafts, &outputs, prefix)?;
        Ok(Block { inputs, steps, outputs })
    }

    /// The steps of one node.
    fn node<'g>(&mut self, scope: &mut Scope<'g>, node: &'g Node, name: &str) -> Compiled<Vec<Draft>> {
        let target = node.target.as_str();
        if let Some(function) = Function::of_target(target) {
            return Ok(vec![self.number(scope, node, name, function)?]);
        }
        if let Some(kind) = target.strip_prefix("torch.ops.higher_order.") {
            return self.higher_order(scope, node, name, kind);
        }
        if target.starts_with("torch._functorch.") {
            return Err(format!(
                "{target} is a part of torch.vmap and the like, which exist in Python only; save the program after \
                 `ep = ep.run_decompositions({{}})`, which replaces them"
            ));
        }
        let Some(operation) = target.strip_prefix("torch.ops.") else {
            return Err(format!("{target} is no operation that a program can call"));
        };
        let [namespace, base, overload] = operation.split('.').collect::<Vec<_>>()[..] else {
            return Err(format!("{target} does not name an operation"));
        };
        if namespace == "aten" && base == "from_file" {
            return Err("it opens a file, which a program may not".to_owned());
        }
        let arguments = node
            .inputs
            .iter()
            .map(|input| Ok((input.name.clone(), self.given(scope, input)?)))
            .collect::<Compiled<Vec<_>>>()?;
        let reads = arguments.iter().flat_map(|(_, value)| read(value)).collect();
        let (results, makes) = self.results(scope, node)?;
        let example = example(scope, node, &makes);
        let spec = CallSpec {
            operation: format!("{namespace}::{base}"),
            overload: if overload == "default" { String::new() } else { overload.to_owned() },
            module: metadata::module(&node.metadata).map(|(path, _)| path).unwrap_or_default(),
            source: metadata::source(&node.metadata).unwrap_or_default(),
            arguments,
            results,
            last_used: Vec::new(),
        };
        let (name, target) = (name.to_owned(), target.to_owned());
        let lookup = lookup(&spec);
        Ok(vec![Draft { name, target, action: DraftAction::Call(spec), reads, makes, example, lookup }])
    }

    /// Slots and names of what a node makes.
    fn results<'g>(&mut self, scope: &mut Scope<'g>, node: &'g Node) -> Compiled<(Vec<Made>, Vec<Slot>)> {
        let mut makes = Vec::new();
        let mut results = Vec::new();
        for output in &node.outputs {
            let mut new = |name: &'g str| -> Compiled<Slot> {
                let slot = self.slot()?;
                scope.define(name, slot)?;
                makes.push(slot);
                Ok(slot)
            };
            results.push(match output {
                Argument::None => Made::Nothing,
                Argument::Tensor(tensor) => {
                    let slot = new(tensor)?;
                    Made::Tensor(slot, format!("{}{tensor}", scope.prefix))
                }
                Argument::Tensors(tensors) => {
                    let all = tensors.iter().map(|tensor| Ok((new(tensor)?, tensor)));
                    let all = all.collect::<Compiled<Vec<_>>>()?;
                    Made::Tensors(
                        all.into_iter().map(|(slot, t)| (slot, format!("{}{t}", scope.prefix))).collect(),
                    )
                }
                Argument::SymInt(SymIntArgument::AsName(name)) => Made::Int(new(name)?),
                Argument::SymFloat(SymFloatArgument::AsName(name)) => Made::Float(new(name)?),
                Argument::SymBool(SymBoolArgument::AsName(name)) => Made::Bool(new(name)?),
                other => return Err(format!("a result of kind {} is not supported", other.kind())),
            });
        }
        Ok((results, makes))
    }

    fn number<'g>(
        &mut self,
        scope: &mut Scope<'g>,
        node: &'g Node,
        name: &str,
        function: Function,
    ) -> Compiled<Draft> {
        let mut operands = Vec::new();
        for input in &node.inputs {
            match &input.arg {
                Argument::SymInts(all) => {
                    for one in all {
                        operands.push(scope.sym_int(one)?);
                    }
                }
                Argument::Ints(all) => operands.extend(all.iter().map(|i| Operand::Number(Number::Int(*i)))),
                one => operands.push(scope.operand(one)?),
            }
        }
        let (results, makes) = self.results(scope, node)?;
        let (into, kind) = match results[..] {
            [Made::Int(slot)] => (slot, NumberKind::Int),
            [Made::Float(slot)] => (slot, NumberKind::Float),
            [Made::Bool(slot)] => (slot, NumberKind::Bool),
            _ => return Err("it has to make one number".to_owned()),
        };
        let reads = slots(&operands);
        let example = example(scope, node, &makes);
        let action = DraftAction::Other(Action::Number { function, operands, into, kind });
        let (name, target) = (name.to_owned(), node.target.clone());
        Ok(Draft { name, target, action, reads, makes, example, lookup: None })
    }

    fn higher_order<'g>(
        &mut self,
        scope: &mut Scope<'g>,
        node: &'g Node,
        name: &str,
        kind: &str,
    ) -> Compiled<Vec<Draft>> {
        let arguments: Vec<&Argument> = node.inputs.iter().map(|input| &input.arg).collect();
        let path = |part: &str| format!("{}{name}/{part}", scope.prefix);
        let paths = ["", "true/", "false/", "condition/", "body/"].map(path);
        let [inline, yes_path, no_path, condition_path, body_path] = &paths;
        let boolean = |argument: &Argument| match argument {
            Argument::Bool(value) => Ok(*value),
            other => Err(format!("a truth value is needed, found {}", other.kind())),
        };
        let action = match (kind, &arguments[..]) {
            ("wrap_with_set_grad_enabled", [enabled, block, operands @ ..]) => Action::Inline {
                mode: Mode::Gradients(boolean(enabled)?),
                block: self.subgraph(block, inline)?,
                operands: scope.operands(operands)?,
                results: self.values(scope, node)?,
            },
            ("wrap_with_autocast", [device, dtype, enabled, _cache, block, operands @ ..]) => {
                let device = match device {
                    Argument::Text(device) => device.clone(),
                    Argument::Device(Device { kind, .. }) => kind.clone(),
                    other => return Err(format!("a kind of device is needed, found {}", other.kind())),
                };
                let dtype = match dtype {
                    Argument::ScalarType(code) => codes::scalar_type(*code),
                    _ => None,
                };
                Action::Inline {
                    mode: Mode::Autocast { device, dtype, enabled: boolean(enabled)? },
                    block: self.subgraph(block, inline)?,
                    operands: scope.operands(operands)?,
                    results: self.values(scope, node)?,
                }
            }
            ("invoke_subgraph", [block, Argument::Text(_), operands @ ..]) => Action::Inline {
                mode: Mode::Same,
                block: self.subgraph(block, inline)?,
                operands: scope.operands(operands)?,
                results: self.values(scope, node)?,
            },
            ("cond", [condition, yes, no, operands]) => Action::Cond {
                condition: scope.operand(condition)?,
                yes: self.subgraph(yes, yes_path)?,
                no: self.subgraph(no, no_path)?,
                operands: scope.list(operands)?,
                results: self.values(scope, node)?,
            },
            ("while_loop", [condition, body, carried, extra]) => Action::While {
                condition: self.subgraph(condition, condition_path)?,
                body: self.subgraph(body, body_path)?,
                carried: scope.list(carried)?,
                extra: scope.list(extra)?,
                results: self.values(scope, node)?,
            },
            ("scan", [combine, initial, over, extra]) => Action::Scan {
                combine: self.subgraph(combine, body_path)?,
                initial: scope.list(initial)?,
                over: scope.list(over)?,
                extra: scope.list(extra)?,
                results: self.values(scope, node)?,
            },
            ("map_impl", [body, over, extra]) => Action::Scan {
                combine: self.subgraph(body, body_path)?,
                initial: Vec::new(),
                over: scope.list(over)?,
                extra: scope.list(extra)?,
                results: self.values(scope, node)?,
            },
            ("auto_functionalized_v2" | "auto_functionalized", _) => {
                return self.functionalized(scope, node, name);
            }
            _ => {
                let found = arguments.len();
                return Err(format!(
                    "the higher-order operation {kind} with {found} arguments is not supported"
                ));
            }
        };
        check_arity(&action)?;
        let (reads, makes) = (action.reads(), action.makes());
        let example = Err(match action {
            Action::Cond { .. } | Action::While { .. } => {
                format!("{name} ({kind}) chooses its operations by its data")
            }
            _ => format!("{name} ({kind}) repeats its operations as often as its input is long"),
        });
        let action = DraftAction::Other(action);
        let example = match &action {
            DraftAction::Other(Action::Inline { .. }) => Ok(Example::default()),
            _ => example,
        };
        let (name, target) = (name.to_owned(), node.target.clone());
        Ok(vec![Draft { name, target, action, reads, makes, example, lookup: None }])
    }

    fn subgraph(&mut self, argument: &Argument, path: &str) -> Compiled<Block> {
        let Argument::Graph(graph) = argument else {
            return Err(format!("a graph is needed, found {}", argument.kind()));
        };
        self.depth += 1;
        let block = self.block(&graph.graph, path);
        self.depth -= 1;
        block.map_err(|e| format!("in its graph {}, node {}: {}", graph.name, e.node, e.what))
    }

    /// Slots for what a higher-order operation makes, whether as single values or as a list.
    fn values<'g>(&mut self, scope: &mut Scope<'g>, node: &'g Node) -> Compiled<Vec<Slot>> {
        let mut results = Vec::new();
        for output in &node.outputs {
            match output {
                Argument::Tensors(names) => {
                    for name in names {
                        let slot = self.slot()?;
                        scope.define(name, slot)?;
                        results.push(slot);
                    }
                }
                Argument::None => results.push(self.slot()?),
                other => {
                    let name = other
                        .name()
                        .ok_or_else(|| format!("a result of kind {} is not supported", other.kind()))?;
                    let slot = self.slot()?;
                    scope.define(name, slot)?;
                    results.push(slot);
                }
            }
        }
        Ok(results)
    }

    /// What an argument is given.
    pub(super) fn given(&self, scope: &Scope<'_>, input: &NamedArgument) -> Compiled<Given> {
        let list = |items: Vec<Given>| Given::List(items);
        let code = |code: Option<i64>, what: &str, found: i64| {
            code.map(Given::Int)
                .ok_or_else(|| format!("argument {} has the unknown {what} {found}", input.name))
        };
        Ok(match &input.arg {
            Argument::None => Given::None,
            Argument::Tensor(name) => Given::Tensor(scope.slot(name)?),
            Argument::Tensors(names) => {
                list(names.iter().map(|name| scope.slot(name).map(Given::Tensor)).collect::<Compiled<_>>()?)
            }
            Argument::OptionalTensors(names) => list(
                names
                    .iter()
                    .map(|name| match name {
                        Some(name) => scope.slot(name).map(Given::Tensor),
                        None => Ok(Given::None),
                    })
                    .collect::<Compiled<_>>()?,
            ),
            Argument::Int(value) => Given::Int(*value),
            Argument::Ints(values) => list(values.iter().map(|v| Given::Int(*v)).collect()),
            Argument::Float(value) => Given::Float(*value),
            Argument::Floats(values) => list(values.iter().map(|v| Given::Float(*v)).collect()),
            Argument::Bool(value) => Given::Bool(*value),
            Argument::Bools(values) => list(values.iter().map(|v| Given::Bool(*v)).collect()),
            Argument::Text(text) => Given::Text(text.clone()),
            Argument::Texts(texts) => list(texts.iter().cloned().map(Given::Text).collect()),
            Argument::Complex(real, imaginary) => Given::Complex(*real, *imaginary),
            Argument::SymInt(one) => number(scope.sym_int(one)?),
            Argument::SymInts(all) => {
                list(all.iter().map(|one| scope.sym_int(one).map(number)).collect::<Compiled<_>>()?)
            }
            Argument::SymFloat(one) => number(scope.sym_float(one)?),
            Argument::SymFloats(all) => {
                list(all.iter().map(|one| scope.sym_float(one).map(number)).collect::<Compiled<_>>()?)
            }
            Argument::SymBool(one) => number(scope.sym_bool(one)?),
            Argument::SymBools(all) => {
                list(all.iter().map(|one| scope.sym_bool(one).map(number)).collect::<Compiled<_>>()?)
            }
            Argument::ScalarType(found) => {
                code(codes::scalar_type(*found).map(i64::from), "element type", *found)?
            }
            Argument::Layout(found) => code(codes::layout(*found), "layout", *found)?,
            Argument::MemoryFormat(found) => code(codes::memory_format(*found), "memory format", *found)?,
            Argument::Device(_) => Given::Device(self.device.clone()),
            other => {
                return Err(format!("argument {} of kind {} is not supported", input.name, other.kind()));
            }
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over values")]
fn number(operand: Operand) -> Given {
    match operand {
        Operand::Slot(slot) => Given::Number(slot),
        Operand::Number(Number::Int(value)) => Given::Int(value),
        Operand::Number(Number::Float(value)) => Given::Float(value),
        Operand::Number(Number::Bool(value)) => Given::Bool(value),
        Operand::None => Given::None,
    }
}

/// What can be done about an operation that is none of PyTorch's own.
fn custom(target: &str) -> String {
    if target.starts_with("torch.ops.export.access_subclass_inner_tensor") {
        return "the weights are tensors of a subclass, as quantisation by torchao makes them: export the model again after \
                `torchao.utils.unwrap_tensor_subclass(model)`, which leaves plain weights and PyTorch's own operations"
            .to_owned();
    }
    if target.starts_with("torch.ops.torchao.") {
        return "torchao makes it of PyTorch's own operations, in a Python that has it: \
                `import torchao; torch.export.save(torch.export.load(PATH).run_decompositions(), PATH)`"
            .to_owned();
    }
    format!(
        "a custom operation that is written in Python, or in a library that Python loads, cannot run without it, and no such \
         library is loaded here. Replace it in the program, in Python where the operation is registered: \
         `table = torch.export.default_decompositions(); table[{target}] = FUNCTION; \
         torch.export.save(torch.export.load(PATH).run_decompositions(table), PATH)`, where FUNCTION computes the same from \
         PyTorch's own operations; or export the model with an implementation that uses these alone"
    )
}

/// What a call takes rows of a table by.
fn lookup(spec: &CallSpec) -> Option<Lookup> {
    let argument = |name: &str| spec.arguments.iter().find(|(n, _)| n == name).map(|(_, given)| given);
    let slot = |given: &Given| if let Given::Tensor(slot) = given { Some(*slot) } else { None };
    let tensor = |name: &str| argument(name).and_then(slot);
    let (table, ids, axis, from_end) = match spec.operation.as_str() {
        "aten::embedding" | "aten::embedding_bag" => (tensor("weight")?, tensor("indices")?, 0, false),
        "aten::index_select" | "aten::gather" => {
            let Some(Given::Int(axis)) = argument("dim") else { return None };
            (tensor("self")?, tensor("index")?, usize::try_from(*axis).ok()?, false)
        }
        "aten::index" => {
            let Some(Given::List(all)) = argument("indices") else { return None };
            let mut indices = all.iter().enumerate().filter_map(|(axis, given)| Some((axis, slot(given)?)));
            let (Some((axis, ids)), None) = (indices.next(), indices.next()) else { return None };
            (tensor("self")?, ids, axis, true)
        }
        _ => return None,
    };
    Some(Lookup { table, ids, axis, from_end })
}

fn node_name(node: &Node) -> String {
    let first = node.outputs.iter().find_map(|output| match output {
        Argument::Tensors(names) => names.first().map(String::as_str),
        other => other.name(),
    });
    let name = node.name.as_deref().or(first);
    name.unwrap_or_else(|| node.target.rsplit('.').nth(1).unwrap_or(&node.target)).to_owned()
}

/// Prepares the calls, now that it is known which values each is the last to use.
fn finish(drafts: Vec<Draft>, outputs: &[Operand], prefix: &str) -> Result<Vec<Step>, NodeError> {
    let mut alive: BTreeSet<Slot> = slots(outputs).into_iter().collect();
    let mut last_used: Vec<Vec<Slot>> = Vec::new();
    for draft in drafts.iter().rev() {
        let mut ends = BTreeSet::new();
        for slot in draft.reads.iter().chain(&draft.makes) {
            if alive.insert(*slot) {
                ends.insert(*slot);
            }
        }
        last_used.push(ends.into_iter().collect());
    }
    last_used.reverse();
    let mut steps = Vec::new();
    for (draft, last_used) in drafts.into_iter().zip(last_used) {
        let Draft { name, target, action, example, lookup, .. } = draft;
        let action = match action {
            DraftAction::Other(action) => action,
            DraftAction::Call(spec) => {
                let spec = CallSpec { last_used: last_used.clone(), ..spec };
                let call = Call::new(&spec).map_err(|what| {
                    let node = format!("{prefix}{name}");
                    let what = match spec.operation.starts_with("aten::") {
                        true => format!("{target}: {what}"),
                        false => format!("{target}: {what}; {}", custom(&target)),
                    };
                    NodeError { node, what }
                })?;
                Action::Call(call)
            }
        };
        steps.push(Step { name: format!("{prefix}{name}"), target, action, last_used, example, lookup });
    }
    Ok(steps)
}
