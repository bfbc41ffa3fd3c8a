//! A TorchScript module as a [`Model`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use fmrai_core::registry::Named;
use fmrai_core::tensor::DType;
use serde::Deserialize;

use super::config::TorchScript;
use super::interpreter;
use crate::device::Device;
use crate::ffi::script::{Attributes, Script};
use crate::ffi::tensor::Tensor;
use crate::files::{self, FileInfo};
use crate::model::archives::{check_weights, not_zip, other_archive};
use crate::model::{
    InputSpec, LoadContext, Model, ModelError, ModelInfo, ModelState, NamedTensors, NonFiniteWeight,
};
use crate::text::{FoundTokenizer, Tokenizer, tokenizer_beside};

/// What the module tells of itself.
#[derive(Debug, Deserialize)]
struct Description {
    class: String,
    inputs: Vec<DescribedInput>,
}

#[derive(Debug, Deserialize)]
struct DescribedInput {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    required: bool,
    /// Rows of the embedding that its elements are looked up in, where there is one.
    #[serde(default)]
    rows: Option<i64>,
}

struct ScriptModel {
    info: ModelInfo,
    tokenizer: Option<Tokenizer>,
    script: Script,
    weights: Vec<(String, Tensor)>,
    inputs: Vec<InputSpec>,
}

impl ScriptModel {
    fn read(source: &TorchScript, context: &LoadContext<'_>) -> Result<Self, ModelError> {
        let path = context.base.join(&source.path);
        let fail = |what: String| ModelError::File { path: path.clone(), what };
        let io = |source| ModelError::Io { path: path.clone(), source };
        if !std::fs::metadata(&path).map_err(io)?.is_file() {
            return Err(fail("is no file, a file of torch.jit.save is needed".to_owned()));
        }
        if context.device != Device::Cpu {
            return Err(fail(format!("TorchScript runs on the CPU only, not on {}", context.device)));
        }
        let file_name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        check_kind(&path, File::open(&path).map_err(io)?, context.weight_bytes)?; // of other files nothing else is read
        let (file, file_info) = files::read(&path, &file_name).map_err(io)?;
        check_kind(&path, Cursor::new(&file), None)?;
        tracing::warn!(
            path = %path.display(),
            "TorchScript is deprecated by PyTorch, and is code that is run: load files that you trust, or export the model with \
             torch.export and use exported_program"
        );
        let script = Script::load(&file).map_err(|what| fail(format!("is no TorchScript module: {what}")))?;
        drop(file);
        let description = script.describe().map_err(fail)?;
        let description: Description =
            serde_json::from_slice(&description).map_err(|e| fail(e.to_string()))?;
        let mut inputs = Vec::new();
        for input in description.inputs {
            inputs.push(spec(&input).map_err(fail)?);
        }
        rename(&mut inputs, &source.inputs).map_err(fail)?;
        let weights = script.weights().map_err(fail)?;
        let FoundTokenizer { tokenizer, mut files, warnings } =
            tokenizer_beside(source.tokenizer.as_deref().map(|folder| context.base.join(folder)), &path)?;
        files.insert(0, file_info);
        let info = info(description.class, path, files, warnings, &weights);
        Ok(Self { info, tokenizer, script, weights, inputs })
    }
}

/// Reads the file.
pub(super) fn load(source: &TorchScript, context: &LoadContext<'_>) -> Result<Box<dyn Model>, ModelError> {
    Ok(Box::new(ScriptModel::read(source, context)?))
}

/// Tells other kinds of files apart by their first bytes and members, and damaged ones by the checksums of their members, before
/// libtorch reads them: it compares no checksum, and what is damaged may bring the process down. Weights of more than `weight_bytes` are refused.
fn check_kind(path: &Path, file: impl Read + Seek, weight_bytes: Option<u64>) -> Result<(), ModelError> {
    let fail = |what: &str| Err(ModelError::File { path: path.to_owned(), what: what.to_owned() });
    let Ok(mut zip) = zip::ZipArchive::new(file) else {
        let what = "is no TorchScript file: it is not a complete zip archive, as torch.jit.save writes it";
        return fail(&format!("{what}{}", not_zip(path)));
    };
    let names: BTreeSet<String> = zip.file_names().map(str::to_owned).collect();
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    if has("archive_format") {
        return fail("is an exported program: use the model type exported_program");
    }
    if !has("constants.pkl") && has("data.pkl") {
        return fail(
            "is a checkpoint of torch.save, which has weights but no program; export the model with torch.export",
        );
    }
    if !has("constants.pkl") || !has("data.pkl") {
        let what = "is no TorchScript file: it has no constants.pkl and data.pkl";
        return fail(&format!("{what}{}", other_archive(&names.iter().map(String::as_str).collect())));
    }
    check_weights(path, &mut zip, weight_bytes)?;
    for index in 0..zip.len() {
        let read = zip.by_index(index).map_err(std::io::Error::from);
        let read = read.and_then(|mut member| {
            let name = member.name().to_owned();
            std::io::copy(&mut member, &mut std::io::sink())
                .map_err(|error| std::io::Error::other(format!("{name}: {error}")))
        });
        if let Err(error) = read {
            return fail(&format!("is damaged: {error}"));
        }
    }
    Ok(())
}

/// What an input takes; numbers are tensors without axes.
fn spec(input: &DescribedInput) -> Result<InputSpec, String> {
    let kind = input.kind.trim_start_matches("Optional[").trim_end_matches([']', '?']);
    let (dtype, axes) = match kind {
        "Tensor" => (None, None),
        "int" => (Some(DType::Int64), Some(Vec::new())),
        "float" => (Some(DType::Float64), Some(Vec::new())),
        "bool" => (Some(DType::Bool), Some(Vec::new())),
        // An input that may be left out is no hindrance.
        _ if !input.required => (None, None),
        other => {
            return Err(format!(
                "input {} is of type {other}, only tensors and numbers can be given",
                input.name
            ));
        }
    };
    let values = input.rows.map(|rows| 0..=rows - 1);
    Ok(InputSpec { name: input.name.clone(), dtype, axes, required: input.required, values })
}

fn rename(inputs: &mut [InputSpec], names: &BTreeMap<String, String>) -> Result<(), String> {
    let own: Vec<String> = inputs.iter().map(|input| input.name.clone()).collect();
    if let Some(name) = names.keys().find(|name| !own.contains(name)) {
        return Err(format!("has no input {name:?} to be renamed, there are {}", own.join(", ")));
    }
    for input in inputs {
        if let Some(name) = names.get(&input.name) {
            input.name.clone_from(name);
        }
    }
    Ok(())
}

fn info(
    class: String,
    path: PathBuf,
    files: Vec<FileInfo>,
    warnings: Vec<String>,
    weights: &[(String, Tensor)],
) -> ModelInfo {
    let mut elements: BTreeMap<DType, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut non_finite_weights = Vec::new();
    for (name, tensor) in weights {
        let dtype = tensor.dtype();
        if seen.insert((tensor.address(), tensor.numel())) {
            *elements.entry(dtype).or_default() += tensor.numel() as u64;
        }
        non_finite_weights.extend(NonFiniteWeight::of(name, tensor));
    }
    ModelInfo {
        source: TorchScript::NAME.to_owned(),
        architecture: if class.is_empty() { "module".to_owned() } else { class },
        path,
        files,
        parameters: elements.values().sum(),
        dtype: elements.into_iter().max_by_key(|(_, n)| *n).map_or(DType::Float32, |(dtype, _)| dtype),
        max_tokens: None,
        quantisation: None,
        remade_bytes: 0,
        unused_weights: Vec::new(),
        non_finite_weights,
        warnings,
    }
}

struct ScriptState<'s>(Attributes<'s>);

impl ModelState for ScriptState<'_> {
    fn put_back(&self) -> Result<(), ModelError> {
        self.0.put_back().map_err(|what| ModelError::State { what })
    }

    fn is_current(&self) -> Result<bool, ModelError> {
        self.0.are_current().map_err(|what| ModelError::State { what })
    }
}

impl Model for ScriptModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    fn inputs(&self) -> Vec<InputSpec> {
        let mut specs: Vec<InputSpec> = Vec::new();
        for input in &self.inputs {
            if !specs.iter().any(|spec| spec.name == input.name) {
                specs.push(input.clone());
            }
        }
        specs
    }

    fn state(&self) -> Result<Box<dyn ModelState + '_>, ModelError> {
        let attributes = self.script.attributes().map_err(|what| ModelError::State { what })?;
        Ok(Box::new(ScriptState(attributes)))
    }

    fn forward(&self, inputs: &NamedTensors) -> Result<NamedTensors, ModelError> {
        for (index, (name, tensor)) in inputs.0.iter().enumerate() {
            let known = self.inputs.iter().any(|input| input.name == *name);
            let twice = inputs.0.iter().take(index).any(|(other, _)| other == name);
            if !known || twice || !tensor.is_defined() {
                let needed: Vec<String> =
                    self.inputs.iter().map(|input| format!("`{}`", input.name)).collect();
                return Err(ModelError::Inputs {
                    found: if twice { format!("`{name}` twice") } else { format!("`{name}`") },
                    needed: needed.join(", "),
                });
            }
        }
        for input in &self.inputs {
            let numbers = input.axes.as_ref().is_some_and(Vec::is_empty);
            match inputs.get(&input.name) {
                None if input.required => {
                    let names: Vec<&str> = inputs.0.iter().map(|(name, _)| name.as_str()).collect();
                    let found = if names.is_empty() {
                        "nothing".to_owned()
                    } else {
                        format!("only {}", names.join(", "))
                    };
                    return Err(ModelError::Inputs { found, needed: format!("`{}`", input.name) });
                }
                Some(tensor) if numbers && tensor.numel() != 1 => {
                    return Err(ModelError::Inputs {
                        found: format!("shape {:?}", tensor.size()),
                        needed: format!("`{}`, one number", input.name),
                    });
                }
                _ => {}
            }
        }
        let given: Vec<Option<&Tensor>> = self.inputs.iter().map(|input| inputs.get(&input.name)).collect();
        let results = self.script.forward(&given);
        results.map(NamedTensors).map_err(|what| {
            let rows = given
                .iter()
                .flatten()
                .filter(|t| t.dim() > 0)
                .filter_map(|t| t.size().first().copied())
                .max();
            let what = interpreter::cause(&what, rows.unwrap_or(0));
            ModelError::Node { path: self.info.path.clone(), node: "forward".to_owned(), what }
        })
    }
}
