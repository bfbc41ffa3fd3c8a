//! From an archive to a program that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use fmrai_core::registry::Named;
use fmrai_core::structure::valid_ids;
use fmrai_core::tensor::DType;

use super::archive::Archive;
use super::compile::Compiler;
use super::config::ExportedProgram;
use super::inputs::{self, UserInput};
use super::loaded::{ProgramModel, Weight};
use super::program::{NumberKind, Operand, ProgramOutput};
use super::schema::{self, Argument, InputSpec, OutputSpec, SymIntArgument, Versions};
use super::simulate::{Foreseen, Leaf, foresee};
use super::weights::{Loaded, Payloads, form};
use super::{metadata, names};
use crate::device::Device;
use crate::ffi::call::{Held, Slot, copy_unseen, imagined};
use crate::files::FileInfo;
use crate::model::{LoadContext, Model, ModelError, ModelInfo, NonFiniteWeight};
use crate::text::{FoundTokenizer, tokenizer_beside};

/// The major version of the schema that this program reads.
const SCHEMA: i64 = 8;

/// Reads the archive.
pub(super) fn load(
    source: &ExportedProgram,
    context: &LoadContext<'_>,
) -> Result<Box<dyn Model>, ModelError> {
    Ok(Box::new(program(source, context)?))
}

fn program(source: &ExportedProgram, context: &LoadContext<'_>) -> Result<ProgramModel, ModelError> {
    let path = context.base.join(&source.path);
    let archive = Archive::open(&path, context.weight_bytes)?;
    let (name, program) = read(&archive, source.program.as_deref())?;
    let device = context.device.to_string();

    let mut compiler = Compiler::new(&device);
    let graph = &program.graph_module.graph;
    let block = compiler.block(graph, "").map_err(|error| ModelError::Node {
        path: path.clone(),
        node: error.node,
        what: error.what,
    })?;
    let signature = &program.graph_module.signature;
    if signature.input_specs.len() != graph.inputs.len()
        || signature.output_specs.len() != graph.outputs.len()
    {
        return Err(archive.fail(format!(
            "its signature has {} inputs and {} outputs, its graph {} and {}",
            signature.input_specs.len(),
            signature.output_specs.len(),
            graph.inputs.len(),
            graph.outputs.len()
        )));
    }

    let mut bound = bind(&archive, &name, &program, &block.inputs, context.device)?;
    rename(&archive, source, &program, &mut bound.inputs)?;
    let outputs = outputs(&program, &block.outputs);
    let mutations = mutations(&program, &block.outputs, &bound.weights);

    let graph = {
        let mut leaves: Vec<Leaf<'_>> = bound
            .weights
            .iter()
            .zip(&bound.examples)
            .map(|(weight, example)| Leaf {
                name: &weight.name,
                parameter: true,
                slot: weight.slot,
                value: example,
            })
            .collect();
        for input in &bound.inputs {
            // Two inputs that take the same tensor of the data are the same leaf.
            let first = bound.inputs.iter().find(|other| other.spec.name == input.spec.name).unwrap_or(input);
            leaves.push(Leaf {
                name: &input.spec.name,
                parameter: false,
                slot: input.slot,
                value: &first.example,
            });
        }
        foresee(&block, compiler.slots(), &leaves, &outputs)
    };
    let written = match &graph {
        Ok(Foreseen { written, .. }) => written.clone(),
        // Where it is not known, everything but parameters counts as written.
        Err(_) => {
            bound.buffers.iter().copied().chain(bound.inputs.iter().map(|i| i.number.is_none())).collect()
        }
    };
    let mutated: BTreeSet<usize> = mutations.iter().map(|(_, position)| *position).collect();
    for (position, weight) in bound.weights.iter_mut().enumerate() {
        if written.get(position) == Some(&true) || mutated.contains(&position) {
            weight.original = Some(copy_unseen(&weight.tensor).map_err(|e| archive.fail(e))?);
        }
    }
    let weights = bound.weights.len();
    let mut valid = graph.as_ref().map(|foreseen| valid_ids(&foreseen.graph)).unwrap_or_default();
    for (position, input) in bound.inputs.iter_mut().enumerate() {
        input.spec.values = valid.remove(&input.spec.name);
        input.written = written.get(weights + position) == Some(&true);
    }

    let FoundTokenizer { tokenizer, mut files, warnings } = tokenizer(source, context.base, &path)?;
    files.insert(0, archive.info().clone());
    Ok(ProgramModel {
        info: info(&program, &path, files, warnings, &bound),
        tokenizer,
        block,
        slots: compiler.slots(),
        weights: bound.weights,
        inputs: bound.inputs,
        outputs,
        mutations,
        graph: graph.map(|foreseen| Arc::new(foreseen.graph)),
        keep_state: source.keep_state,
    })
}

/// The name and the JSON of the program.
fn read(archive: &Archive, wanted: Option<&str>) -> Result<(String, schema::ExportedProgram), ModelError> {
    let names: Vec<&str> =
        archive.below("models/").into_iter().filter_map(|name| name.strip_suffix(".json")).collect();
    let name = match (wanted, names.as_slice()) {
        (_, []) if !archive.below("data/aotinductor/").is_empty() => {
            return Err(archive.fail(
                "holds machine code of AOTInductor and no program; save the model with torch.export.save as well",
            ));
        }
        (_, []) => return Err(archive.fail("holds no program (models/*.json)")),
        (Some(wanted), names) if names.contains(&wanted) => wanted,
        (Some(wanted), names) => {
            return Err(archive.fail(format!("holds no program {wanted:?}, there are {}", names.join(", "))));
        }
        (None, [name]) => name,
        (None, names) => {
            return Err(
                archive.fail(format!("holds several programs, name one as `program`: {}", names.join(", ")))
            );
        }
    };
    let member = format!("models/{name}.json");
    let text = archive.text(&member)?.unwrap_or_default();
    let broken = |e: serde_json::Error| archive.fail(format!("{member}: {e}"));
    let Versions { schema_version, torch_version } = serde_json::from_slice(&text).map_err(broken)?;
    let torch = torch_version.unwrap_or_else(|| "an unknown version".to_owned());
    if schema_version.major != SCHEMA {
        return Err(archive.fail(format!(
            "has schema {}.{} of torch {torch}, this program reads schema {SCHEMA}: export it again with torch 2.9 to 2.15",
            schema_version.major, schema_version.minor
        )));
    }
    tracing::debug!(torch, minor = schema_version.minor, "an exported program");
    let program: schema::ExportedProgram = serde_json::from_slice(&text)
        .map_err(|e| archive.fail(format!("{member} (written by torch {torch}): {e}")))?;
    Ok((name.to_owned(), program))
}

/// What the inputs of a graph are bound to.
struct Bound {
    weights: Vec<Weight>,
    /// Stand-ins for the weights, in their order.
    examples: Vec<Held>,
    /// For each weight, whether it is a buffer or constant rather than a parameter.
    buffers: Vec<bool>,
    inputs: Vec<UserInput>,
}

fn bind(
    archive: &Archive,
    name: &str,
    program: &schema::ExportedProgram,
    slots: &[Slot],
    device: Device,
) -> Result<Bound, ModelError> {
    let mut bound =
        Bound { weights: Vec::new(), examples: Vec::new(), buffers: Vec::new(), inputs: Vec::new() };
    let graph = &program.graph_module.graph;
    let specs = &program.graph_module.signature.input_specs;
    // One folder after the other, since each shares storages between its tensors.
    for constants in [false, true] {
        let folder = if constants { "constants" } else { "weights" };
        let mut payloads = Payloads::open(archive, folder, name)?;
        for (spec, slot) in specs.iter().zip(slots) {
            let (name, in_constants, buffer) = match spec {
                InputSpec::Parameter { parameter_name, .. } => (parameter_name, false, false),
                InputSpec::Buffer { buffer_name, persistent, .. } => (buffer_name, !persistent, true),
                InputSpec::TensorConstant { tensor_constant_name, .. } => (tensor_constant_name, true, true),
                _ => continue,
            };
            if in_constants != constants {
                continue;
            }
            let Loaded { real, imagined } = payloads.tensor(name)?;
            let tensor = if device == Device::Cpu { real } else { real.to_device(device)? };
            bound.weights.push(Weight { name: name.clone(), slot: *slot, tensor, original: None });
            bound.examples.push(Held::Tensor(imagined));
            bound.buffers.push(buffer);
        }
    }
    for ((spec, slot), argument) in specs.iter().zip(slots).zip(&graph.inputs) {
        match spec {
            InputSpec::UserInput { arg } => bound.inputs.push(user_input(archive, program, arg, *slot)?),
            InputSpec::CustomObj(_) => {
                return Err(archive.fail("takes a custom object, which only Python can make"));
            }
            InputSpec::Token(_) => {
                return Err(archive.fail("orders its side effects by tokens, which is not supported"));
            }
            InputSpec::Parameter { arg, .. }
            | InputSpec::Buffer { arg, .. }
            | InputSpec::TensorConstant { arg, .. } => {
                if argument.name() != Some(&arg.name) {
                    return Err(
                        archive.fail(format!("its signature and its graph disagree about {}", arg.name))
                    );
                }
            }
            InputSpec::ConstantInput { name, value } => {
                tracing::debug!(name, kind = value.kind(), "an argument is fixed in the program");
            }
        }
    }
    let mut order: Vec<usize> = (0..bound.weights.len()).collect();
    order.sort_by(|a, b| bound.weights[*a].name.cmp(&bound.weights[*b].name));
    bound.sort(&order);
    Ok(bound)
}

impl Bound {
    fn sort(&mut self, order: &[usize]) {
        let mut weights: Vec<Option<Weight>> = self.weights.drain(..).map(Some).collect();
        let mut examples: Vec<Option<Held>> = self.examples.drain(..).map(Some).collect();
        let buffers = std::mem::take(&mut self.buffers);
        for &i in order {
            self.weights.extend(weights[i].take());
            self.examples.extend(examples[i].take());
            self.buffers.push(buffers[i]);
        }
    }
}

fn user_input(
    archive: &Archive,
    program: &schema::ExportedProgram,
    argument: &Argument,
    slot: Slot,
) -> Result<UserInput, ModelError> {
    let graph = &program.graph_module.graph;
    let number = |name: &str, kind, dtype, example| UserInput {
        spec: crate::model::InputSpec {
            name: name.to_owned(),
            dtype: Some(dtype),
            axes: Some(Vec::new()),
            required: true,
            values: None,
        },
        slot,
        number: Some(kind),
        symbols: Vec::new(),
        example,
        written: false,
    };
    match argument {
        Argument::Tensor(name) => {
            let meta = graph.tensor_values.get(name);
            let meta = meta.ok_or_else(|| archive.fail(format!("does not describe its input {name}")))?;
            let (axes, symbols) = inputs::axes(meta, &program.range_constraints);
            let form = form(meta).map_err(|what| archive.fail(format!("input {name} {what}")))?;
            let spec = crate::model::InputSpec {
                name: name.clone(),
                dtype: Some(DType::from_c10(form.dtype)),
                axes: Some(axes),
                required: true,
                values: None,
            };
            let example =
                Held::Tensor(imagined(&form).map_err(|what| archive.fail(format!("input {name}: {what}")))?);
            Ok(UserInput { spec, slot, number: None, symbols, example, written: false })
        }
        Argument::SymInt(SymIntArgument::AsName(name)) => {
            let value = graph.sym_int_values.get(name).and_then(schema::SymInt::hint);
            Ok(number(name, NumberKind::Int, DType::Int64, value.map_or(Held::Nothing, Held::Int)))
        }
        Argument::SymFloat(schema::SymFloatArgument::AsName(name)) => {
            Ok(number(name, NumberKind::Float, DType::Float64, Held::Nothing))
        }
        Argument::SymBool(schema::SymBoolArgument::AsName(name)) => {
            Ok(number(name, NumberKind::Bool, DType::Bool, Held::Nothing))
        }
        other => {
            Err(archive.fail(format!("takes an input of kind {}, which is not supported", other.kind())))
        }
    }
}

/// Gives the inputs the names that the data have for them.
fn rename(
    archive: &Archive,
    source: &ExportedProgram,
    program: &schema::ExportedProgram,
    inputs: &mut [UserInput],
) -> Result<(), ModelError> {
    let specs = &program.graph_module.signature.input_specs;
    let call = program.graph_module.module_call_graph.iter().find(|call| call.fqn.is_empty());
    let signature = call.and_then(|call| call.signature.as_ref());
    let given =
        |spec: &&InputSpec| matches!(spec, InputSpec::UserInput { .. } | InputSpec::ConstantInput { .. });
    let count = specs.iter().filter(given).count();
    if let Some(names) = names::inputs(signature, &program.graph_module.treespec_namedtuple_fields, count) {
        // Constant arguments have a name as well, and take no tensor.
        let user = specs
            .iter()
            .filter(given)
            .zip(names)
            .filter(|(spec, _)| matches!(spec, InputSpec::UserInput { .. }));
        for (input, (_, name)) in inputs.iter_mut().zip(user) {
            input.spec.name = name;
        }
    }
    let own: Vec<String> = inputs.iter().map(|input| input.spec.name.clone()).collect();
    for name in source.inputs.keys() {
        if !own.contains(name) {
            return Err(
                archive.fail(format!("has no input {name:?} to be renamed, there are {}", own.join(", ")))
            );
        }
    }
    for input in inputs {
        if let Some(name) = source.inputs.get(&input.spec.name) {
            input.spec.name.clone_from(name);
        }
    }
    Ok(())
}

/// Names of the results that the user gets, and where they are.
fn outputs(program: &schema::ExportedProgram, operands: &[Operand]) -> Vec<ProgramOutput> {
    let specs = &program.graph_module.signature.output_specs;
    let values = program.graph_module.graph.outputs.iter().map(|argument| match argument {
        Argument::Tensor(name) => Some(name.clone()),
        _ => None,
    });
    let user: Vec<(&Operand, Option<String>)> = specs
        .iter()
        .zip(operands.iter().zip(values))
        .filter(|(spec, _)| matches!(spec, OutputSpec::UserOutput(_) | OutputSpec::LossOutput(_)))
        .map(|(_, output)| output)
        .collect();
    let call = program.graph_module.module_call_graph.iter().find(|call| call.fqn.is_empty());
    let names = names::outputs(
        call.and_then(|call| call.signature.as_ref()),
        &program.graph_module.treespec_namedtuple_fields,
        user.len(),
    );
    let output = |(name, (operand, value)): (String, (&Operand, Option<String>))| ProgramOutput {
        name,
        value,
        operand: operand.clone(),
    };
    names.into_iter().zip(user).map(output).collect()
}

fn mutations(
    program: &schema::ExportedProgram,
    operands: &[Operand],
    weights: &[Weight],
) -> Vec<(Operand, usize)> {
    let specs = &program.graph_module.signature.output_specs;
    specs
        .iter()
        .zip(operands)
        .filter_map(|(spec, operand)| match spec {
            OutputSpec::BufferMutation { buffer_name: name, .. }
            | OutputSpec::ParameterMutation { parameter_name: name, .. } => {
                let position = weights.iter().position(|weight| weight.name == *name)?;
                Some((operand.clone(), position))
            }
            _ => None,
        })
        .collect()
}

/// The tokenizer that the plan names, or the one beside the archive.
fn tokenizer(source: &ExportedProgram, base: &Path, path: &Path) -> Result<FoundTokenizer, ModelError> {
    Ok(tokenizer_beside(source.tokenizer.as_deref().map(|folder| base.join(folder)), path)?)
}

fn info(
    program: &schema::ExportedProgram,
    path: &Path,
    files: Vec<FileInfo>,
    warnings: Vec<String>,
    bound: &Bound,
) -> ModelInfo {
    let class = program.graph_module.graph.nodes.iter().find_map(|node| metadata::root_class(&node.metadata));
    let parameters: Vec<&Weight> = bound
        .weights
        .iter()
        .zip(&bound.buffers)
        .filter(|(_, buffer)| !**buffer)
        .map(|(weight, _)| weight)
        .collect();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let mut kinds: BTreeMap<DType, usize> = BTreeMap::new();
    for weight in &parameters {
        let tensor = &weight.tensor;
        // Tied weights count once.
        if seen.insert((tensor.address(), tensor.numel())) {
            count += tensor.numel() as u64;
            *kinds.entry(tensor.dtype()).or_default() += tensor.numel();
        }
    }
    let dtype =
        kinds.into_iter().max_by_key(|(_, elements)| *elements).map_or(DType::Float32, |(dtype, _)| dtype);
    let tokens =
        bound.inputs.iter().find(|input| input.spec.name == "input_ids").and_then(|input| {
            match input.spec.axes.as_deref()?.get(1)? {
                crate::model::Axis::Fixed(size) => usize::try_from(*size).ok(),
                crate::model::Axis::Range { max, .. } => max.and_then(|max| usize::try_from(max).ok()),
            }
        });
    ModelInfo {
        source: ExportedProgram::NAME.to_owned(),
        architecture: class.unwrap_or_else(|| "program".to_owned()),
        path: path.to_owned(),
        files,
        parameters: count,
        dtype,
        max_tokens: tokens,
        quantisation: None,
        remade_bytes: 0,
        unused_weights: Vec::new(),
        non_finite_weights: parameters
            .iter()
            .filter_map(|w| NonFiniteWeight::of(&w.name, &w.tensor))
            .collect(),
        warnings,
    }
}
