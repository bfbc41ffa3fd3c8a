//! From the JSON of a graph to a program that can run.

use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::metadata;
use super::numbers::{Function, Number};
use super::program::{Action, Block, Example, Mode, NumberKind, Operand, Step};
use super::schema::{
    Argument, Device, Graph, Hint, NamedArgument, Node, SymBool, SymBoolArgument, SymFloat, SymFloatArgument,
    SymIntArgument,
};
use super::weights;
use crate::capture::call::{Call, CallSpec, Given, Made, Slot};

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

/// Names of the values of a block.
struct Scope<'g> {
    graph: &'g Graph,
    /// What names of this block begin with in records.
    prefix: String,
    slots: BTreeMap<&'g str, Slot>,
}

/// A step whose call is not prepared yet, since it is not known which values it is the last to use.
struct Draft {
    name: String,
    target: String,
    action: DraftAction,
    reads: Vec<Slot>,
    makes: Vec<Slot>,
    example: Result<Example, String>,
}

enum DraftAction {
    Call(CallSpec),
    Other(Action),
}

type Compiled<T> = Result<T, String>;

impl Compiler {
    pub(super) fn new(device: &str) -> Self {
        Self { device: device.to_owned(), slots: 0, depth: 0 }
    }

    /// Number of slots that frames of the program need.
    pub(super) fn slots(&self) -> usize {
        self.slots as usize
    }

    fn slot(&mut self) -> Compiled<Slot> {
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
        Ok(vec![Draft { name, target, action: DraftAction::Call(spec), reads, makes, example }])
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
        Ok(Draft { name: name.to_owned(), target: node.target.clone(), action, reads, makes, example })
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
        Ok(vec![Draft { name: name.to_owned(), target: node.target.clone(), action, reads, makes, example }])
    }

    /// An operation that writes its arguments, called on copies of them: `[results..., copies...]`.
    fn functionalized<'g>(
        &mut self,
        scope: &mut Scope<'g>,
        node: &'g Node,
        name: &str,
    ) -> Compiled<Vec<Draft>> {
        let given = |key: &str| node.inputs.iter().find(|input| input.name == key).map(|input| &input.arg);
        let operator = node.inputs.iter().find_map(|input| match &input.arg {
            Argument::Operator(operator) => Some(operator.as_str()),
            _ => None,
        });
        let operator = operator.and_then(|o| o.strip_prefix("torch.ops.")).ok_or("it names no operation")?;
        let [namespace, base, overload] = operator.split('.').collect::<Vec<_>>()[..] else {
            return Err(format!("{operator} does not name an operation"));
        };
        let bases: &[String] = match given("_all_bases") {
            Some(Argument::Tensors(bases)) => bases,
            None => &[],
            Some(other) => return Err(format!("_all_bases is {}, tensors are needed", other.kind())),
        };
        let mut drafts = Vec::new();
        let mut copies = Vec::new();
        for base in bases {
            let (from, to) = (scope.slot(base)?, self.slot()?);
            copies.push(to);
            let spec = CallSpec {
                operation: "aten::clone".to_owned(),
                overload: String::new(),
                module: String::new(),
                source: String::new(),
                arguments: vec![("self".to_owned(), Given::Tensor(from))],
                results: vec![Made::Tensor(to, format!("{}{name}/{base}", scope.prefix))],
                last_used: Vec::new(),
            };
            let form = scope.form(base);
            drafts.push(Draft {
                name: name.to_owned(),
                target: "torch.ops.aten.clone.default".to_owned(),
                action: DraftAction::Call(spec),
                reads: vec![from],
                makes: vec![to],
                example: form.map(|form| Example { forms: vec![form], numbers: Vec::new() }),
            });
        }
        let mut arguments = Vec::new();
        for input in &node.inputs {
            if matches!(input.arg, Argument::Operator(_)) || input.name == "_all_bases" {
                continue;
            }
            let Some(inner) = input.name.strip_prefix('_') else {
                arguments.push((input.name.clone(), self.given(scope, input)?));
                continue;
            };
            let Some(argument) = inner.strip_suffix("_base_index") else { continue };
            let viewed = ["size", "stride", "storage_offset"]
                .iter()
                .any(|part| given(&format!("_{argument}_{part}")).is_some());
            let slice = given(&format!("_{argument}_slice_dim")).is_some();
            if viewed || slice {
                return Err(format!(
                    "argument {argument} is a view of a larger tensor, which is not supported here"
                ));
            }
            let copy = match &input.arg {
                Argument::Int(index) => usize::try_from(*index).ok().and_then(|index| copies.get(index)),
                Argument::None => None,
                other => return Err(format!("{} is {}, an index is needed", input.name, other.kind())),
            };
            let value = match (copy, &input.arg) {
                (Some(copy), _) => Given::Tensor(*copy),
                (None, Argument::None) => Given::None,
                (None, _) => return Err(format!("{} is out of range", input.name)),
            };
            arguments.push((argument.to_owned(), value));
        }
        let results =
            node.outputs.len().checked_sub(copies.len()).ok_or("it has fewer results than copies")?;
        let mut own = Vec::new();
        let mut makes = Vec::new();
        for output in node.outputs.iter().take(results) {
            own.push(match output {
                Argument::Tensor(tensor) => {
                    let slot = self.slot()?;
                    scope.define(tensor, slot)?;
                    makes.push(slot);
                    Made::Tensor(slot, format!("{}{tensor}", scope.prefix))
                }
                Argument::None => Made::Nothing,
                other => return Err(format!("a result of kind {} is not supported", other.kind())),
            });
        }
        if own.iter().all(|made| *made == Made::Nothing) {
            own.clear();
        }
        let forms = node.outputs.iter().take(results).filter_map(Argument::name).map(|n| scope.form(n));
        let example =
            forms.collect::<Result<Vec<_>, _>>().map(|forms| Example { forms, numbers: Vec::new() });
        drafts.push(Draft {
            name: name.to_owned(),
            target: format!("torch.ops.{operator}"),
            reads: arguments.iter().flat_map(|(_, value)| read(value)).collect(),
            makes,
            example,
            action: DraftAction::Call(CallSpec {
                operation: format!("{namespace}::{base}"),
                overload: if overload == "default" { String::new() } else { overload.to_owned() },
                module: metadata::module(&node.metadata).map(|(path, _)| path).unwrap_or_default(),
                source: metadata::source(&node.metadata).unwrap_or_default(),
                arguments,
                results: own,
                last_used: Vec::new(),
            }),
        });
        let mut aliases = Vec::new();
        for (output, copy) in node.outputs.iter().skip(results).zip(&copies) {
            let slot = self.slot()?;
            scope.define(output.name().ok_or("a copy has no name")?, slot)?;
            aliases.push((Operand::Slot(*copy), slot));
        }
        let action = Action::Alias(aliases);
        drafts.push(Draft {
            name: name.to_owned(),
            target: node.target.clone(),
            reads: action.reads(),
            makes: action.makes(),
            action: DraftAction::Other(action),
            example: Ok(Example::default()),
        });
        Ok(drafts)
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
    fn given(&self, scope: &Scope<'_>, input: &NamedArgument) -> Compiled<Given> {
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

fn number(operand: Operand) -> Given {
    match operand {
        Operand::Slot(slot) => Given::Number(slot),
        Operand::Number(Number::Int(value)) => Given::Int(value),
        Operand::Number(Number::Float(value)) => Given::Float(value),
        Operand::Number(Number::Bool(value)) => Given::Bool(value),
        Operand::None => Given::None,
    }
}

fn node_name(node: &Node) -> String {
    let first = node.outputs.iter().find_map(|output| match output {
        Argument::Tensors(names) => names.first().map(String::as_str),
        other => other.name(),
    });
    let name = node.name.as_deref().or(first);
    name.unwrap_or_else(|| node.target.rsplit('.').nth(1).unwrap_or(&node.target)).to_owned()
}

/// The slots that a given value reads.
fn read(value: &Given) -> Vec<Slot> {
    match value {
        Given::Tensor(slot) | Given::Number(slot) => vec![*slot],
        Given::List(items) => items.iter().flat_map(read).collect(),
        _ => Vec::new(),
    }
}

fn slots(operands: &[Operand]) -> Vec<Slot> {
    operands.iter().filter_map(|o| if let Operand::Slot(slot) = o { Some(*slot) } else { None }).collect()
}

impl Action {
    fn reads(&self) -> Vec<Slot> {
        match self {
            Self::Call(_) => Vec::new(),
            Self::Number { operands, .. } | Self::Inline { operands, .. } => slots(operands),
            Self::Alias(pairs) => slots(&pairs.iter().map(|(from, _)| from.clone()).collect::<Vec<_>>()),
            Self::Cond { condition, operands, .. } => {
                let mut reads = slots(operands);
                reads.extend(slots(std::slice::from_ref(condition)));
                reads
            }
            Self::While { carried, extra, .. } => [slots(carried), slots(extra)].concat(),
            Self::Scan { initial, over, extra, .. } => [slots(initial), slots(over), slots(extra)].concat(),
        }
    }

    fn makes(&self) -> Vec<Slot> {
        match self {
            Self::Call(_) => Vec::new(),
            Self::Number { into, .. } => vec![*into],
            Self::Alias(pairs) => pairs.iter().map(|(_, to)| *to).collect(),
            Self::Inline { results, .. }
            | Self::Cond { results, .. }
            | Self::While { results, .. }
            | Self::Scan { results, .. } => results.clone(),
        }
    }
}

/// Blocks take as many values as they are given, and give as many as are named.
fn check_arity(action: &Action) -> Compiled<()> {
    let same = |what: &str, found: usize, needed: usize| {
        if found == needed {
            Ok(())
        } else {
            Err(format!("{what}: {found} values where {needed} are needed"))
        }
    };
    match action {
        Action::Inline { block, operands, results, .. } => {
            same("its graph is given", operands.len(), block.inputs.len())?;
            same("its graph gives", block.outputs.len(), results.len())
        }
        Action::Cond { yes, no, operands, results, .. } => [yes, no].iter().try_for_each(|block| {
            same("a branch is given", operands.len(), block.inputs.len())?;
            same("a branch gives", block.outputs.len(), results.len())
        }),
        Action::While { condition, body, carried, extra, results } => {
            let given = carried.len() + extra.len();
            same("its condition is given", given, condition.inputs.len())?;
            same("its condition gives", condition.outputs.len(), 1)?;
            same("its body is given", given, body.inputs.len())?;
            same("its body gives", body.outputs.len(), carried.len())?;
            same("it carries", results.len(), carried.len())
        }
        Action::Scan { combine, initial, over, extra, results } => {
            same("its graph is given", initial.len() + over.len() + extra.len(), combine.inputs.len())?;
            same("its graph gives", combine.outputs.len(), results.len())?;
            if over.is_empty() {
                return Err("there is nothing to repeat it over".to_owned());
            }
            if initial.len() > results.len() {
                return Err("it carries more values than it gives".to_owned());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

impl<'g> Scope<'g> {
    fn define(&mut self, name: &'g str, slot: Slot) -> Compiled<()> {
        match self.slots.insert(name, slot) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is made twice")),
        }
    }

    fn slot(&self, name: &str) -> Compiled<Slot> {
        let slot = self.slots.get(name).copied();
        slot.ok_or_else(|| format!("takes {name}, which nothing before it makes"))
    }

    fn sym_int(&self, one: &SymIntArgument) -> Compiled<Operand> {
        Ok(match one {
            SymIntArgument::AsName(name) => Operand::Slot(self.slot(name)?),
            SymIntArgument::AsInt(value) => Operand::Number(Number::Int(*value)),
        })
    }

    fn sym_float(&self, one: &SymFloatArgument) -> Compiled<Operand> {
        Ok(match one {
            SymFloatArgument::AsName(name) => Operand::Slot(self.slot(name)?),
            SymFloatArgument::AsFloat(value) => Operand::Number(Number::Float(value.0)),
        })
    }

    fn sym_bool(&self, one: &SymBoolArgument) -> Compiled<Operand> {
        Ok(match one {
            SymBoolArgument::AsName(name) => Operand::Slot(self.slot(name)?),
            SymBoolArgument::AsBool(value) => Operand::Number(Number::Bool(*value)),
        })
    }

    /// A single value.
    fn operand(&self, argument: &Argument) -> Compiled<Operand> {
        Ok(match argument {
            Argument::Tensor(name) => Operand::Slot(self.slot(name)?),
            Argument::Int(value) => Operand::Number(Number::Int(*value)),
            Argument::Float(value) => Operand::Number(Number::Float(*value)),
            Argument::Bool(value) => Operand::Number(Number::Bool(*value)),
            Argument::SymInt(one) => self.sym_int(one)?,
            Argument::SymFloat(one) => self.sym_float(one)?,
            Argument::SymBool(one) => self.sym_bool(one)?,
            Argument::None | Argument::Text(_) => Operand::None,
            other => return Err(format!("a value of kind {} is not supported here", other.kind())),
        })
    }

    fn operands(&self, arguments: &[&Argument]) -> Compiled<Vec<Operand>> {
        arguments.iter().map(|argument| self.operand(argument)).collect()
    }

    /// The values of a list; numbers may stand among tensors.
    fn list(&self, argument: &Argument) -> Compiled<Vec<Operand>> {
        match argument {
            Argument::Tensors(names) => names.iter().map(|name| self.slot(name).map(Operand::Slot)).collect(),
            Argument::OptionalTensors(names) => names
                .iter()
                .map(|name| {
                    name.as_ref().map_or(Ok(Operand::None), |name| self.slot(name).map(Operand::Slot))
                })
                .collect(),
            Argument::SymInts(all) => all.iter().map(|one| self.sym_int(one)).collect(),
            Argument::Ints(all) => Ok(all.iter().map(|i| Operand::Number(Number::Int(*i))).collect()),
            other => Ok(vec![self.operand(other)?]),
        }
    }

    /// How a tensor lies in memory in the example.
    fn form(&self, name: &str) -> Result<crate::capture::call::Form, String> {
        let meta = self.graph.tensor_values.get(name);
        let meta = meta.ok_or_else(|| format!("the program does not describe {name}"))?;
        weights::form(meta).map_err(|what| format!("{name} {what}"))
    }

    /// The value of a number in the example.
    fn number(&self, name: &str) -> Option<Number> {
        let of_hint = |hint: &Option<Hint>| {
            hint.as_ref().map(|hint| match hint {
                Hint::AsInt(value) => Number::Int(*value),
                Hint::AsFloat(value) => Number::Float(value.0),
                Hint::AsBool(value) => Number::Bool(*value),
            })
        };
        if let Some(size) = self.graph.sym_int_values.get(name) {
            return size.hint().map(Number::Int);
        }
        if let Some(value) = self.graph.sym_float_values.get(name) {
            return match value {
                SymFloat::AsFloat(value) => Some(Number::Float(value.0)),
                SymFloat::AsExpr { hint } => of_hint(hint),
            };
        }
        match self.graph.sym_bool_values.get(name)? {
            SymBool::AsBool(value) => Some(Number::Bool(*value)),
            SymBool::AsExpr { hint } => of_hint(hint),
        }
    }
}

/// What a node makes in the example.
fn example(scope: &Scope<'_>, node: &Node, makes: &[Slot]) -> Result<Example, String> {
    let mut example = Example::default();
    let names = node.outputs.iter().flat_map(|output| match output {
        Argument::Tensors(names) => names.iter().map(|name| (name.as_str(), true)).collect(),
        Argument::Tensor(name) => vec![(name.as_str(), true)],
        other => other.name().map(|name| (name, false)).into_iter().collect::<Vec<_>>(),
    });
    for ((name, tensor), slot) in names.zip(makes) {
        if tensor {
            example.forms.push(scope.form(name)?);
        } else {
            let number = scope.number(name).ok_or_else(|| format!("{name} depends on data"))?;
            example.numbers.push((*slot, number));
        }
    }
    Ok(example)
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
        let Draft { name, target, action, example, .. } = draft;
        let action = match action {
            DraftAction::Other(action) => action,
            DraftAction::Call(spec) => {
                let spec = CallSpec { last_used: last_used.clone(), ..spec };
                let call = Call::new(&spec).map_err(|what| {
                    let node = format!("{prefix}{name}");
                    let what = match spec.operation.starts_with("aten::") {
                        true => format!("{target}: {what}"),
                        false => format!(
                            "{target}: {what}; a custom operation that is written in Python cannot run without it: export \
                             the model with an implementation made of PyTorch's own operations"
                        ),
                    };
                    NodeError { node, what }
                })?;
                Action::Call(call)
            }
        };
        steps.push(Step { name: format!("{prefix}{name}"), target, action, last_used, example });
    }
    Ok(steps)
}
