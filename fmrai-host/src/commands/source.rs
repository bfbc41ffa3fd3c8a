//! Models and data as they are named on the command line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::{ENOUGH, FileKind};
use fmrai_core::registry::Registered;
use fmrai_torch::Device;
use fmrai_torch::model::{LoadContext, Model, ModelSources, RegisteredModelSource};
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::error::Error;

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A model, as a plan would have it.
    Model(Value),
    /// A plan.
    Plan(PathBuf),
}

/// A path as a plan has it: plans are text.
pub(super) fn written(path: &Path) -> Result<Value, Error> {
    let text = path.to_str().ok_or_else(|| {
        let what = "the path is not UTF-8, as it has to be in a plan: rename it, or make a link to it of another name";
        Error::Usage(format!("{}: {what}", path.display()))
    });
    text.map(Value::from)
}

/// The same, from the root.
pub(super) fn whole(path: &Path) -> Result<Value, Error> {
    written(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// A model's folder or file, or a plan: by what is in it, not by its name.
pub(super) fn named(path: &Path, tokenizer: Option<&Path>) -> Result<Named, Error> {
    let wrong = |what: &str| Err(Error::Usage(format!("{}: {what}", path.display())));
    let io = |error: std::io::Error| Error::Usage(format!("{}: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(io)?;
    if meta.is_dir() {
        if path.join("manifest.json").is_file() {
            return wrong("is a folder of activations, needed a model: name it in a plan's `activations`");
        }
        return match tokenizer {
            None => Ok(Named::Model(json!({ "type": "hf_checkpoint", "path": written(path)? }))),
            Some(_) => {
                wrong("has its own tokenizer, or takes one that is saved into it: leave out --tokenizer")
            }
        };
    }
    let mut start = Vec::new();
    File::open(path).map_err(io)?.take(ENOUGH as u64).read_to_end(&mut start).map_err(io)?;
    let ends = |endings: &[&str]| path.extension().is_some_and(|e| endings.iter().any(|end| e == *end));
    match FileKind::of(&start) {
        Some(FileKind::Zip) => {
            let kind = archive(path)?;
            let mut model = json!({ "type": kind, "path": written(path)? });
            if let Some(folder) = tokenizer {
                model["tokenizer"] = written(folder)?;
            }
            Ok(Named::Model(model))
        }
        Some(FileKind::Gguf) => match tokenizer {
            None => Ok(Named::Model(json!({ "type": "gguf", "path": written(path)? }))),
            Some(_) => wrong("holds its own tokenizer: leave out --tokenizer"),
        },
        Some(FileKind::Pickle) => {
            wrong("is a pickle of torch.save, which is not read: export the model with torch.export.save")
        }
        None | Some(FileKind::Empty) if ends(&["pt", "pt2", "pth"]) => {
            wrong("is no archive, as torch.export.save and torch.jit.save write it: copy it again")
        }
        None | Some(FileKind::Json | FileKind::Empty) if !ends(&["safetensors"]) => {
            Ok(Named::Plan(path.to_owned()))
        }
        None | Some(FileKind::Safetensors | FileKind::Json | FileKind::Empty) => {
            wrong("holds weights alone: give the folder that it is in, with config.json")
        }
        Some(kind) => wrong(&format!(
            "is {kind}; needed is the folder of a model, a .gguf file, a .pt2 or .pt archive, or a plan"
        )),
    }
}

/// What a zip archive is: the `type` of its model source.
fn archive(path: &Path) -> Result<&'static str, Error> {
    let wrong = |what: String| Error::Usage(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
    let archive = ZipArchive::new(file).map_err(|e| wrong(format!("a damaged archive: {e}")))?;
    let names: Vec<&str> = archive.file_names().collect();
    // Below one folder with the name of the archive, in most versions of PyTorch.
    let within = |name: &str| {
        names.iter().any(|n| n.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
    };
    let folder = |folder: &str| {
        let below = format!("/{folder}/");
        names.iter().any(|n| n.starts_with(&below[1..]) || n.contains(&below))
    };
    let json = names.iter().any(|n| n.contains("models/") && n.ends_with(".json"));
    if json || within("archive_format") && !within("constants.pkl") {
        Ok("exported_program")
    } else if within("constants.pkl") && folder("code") {
        Ok("torchscript")
    } else if within("data.pkl") {
        let what = "is a checkpoint of torch.save: weights or objects in a pickle, which is not read; export the \
                    model with torch.export.save, or give a Hugging Face folder";
        Err(wrong(what.to_owned()))
    } else {
        let what = "is an archive of neither torch.export.save nor torch.jit.save";
        Err(wrong(what.to_owned()))
    }
}

/// Reads a model, relative paths taken from `base`.
pub(super) fn load(model: &Value, base: &Path) -> Result<Box<dyn Model>, Error> {
    let kind = model["type"].as_str().unwrap_or_default();
    let known = ModelSources::linked()?;
    if known.get(kind).is_none() {
        let names: Vec<&str> = known.iter().map(|source| source.about().name).collect();
        let names = names.join(", ");
        return Err(Error::Usage(format!("this program reads no models of type {kind}, it reads {names}")));
    }
    let source: Box<dyn RegisteredModelSource> =
        serde_json::from_value(model.clone()).map_err(|e| Error::Usage(format!("{kind}: {e}")))?;
    Ok(source.load(&LoadContext { base, device: Device::Cpu })?)
}

// The comments of the fields are what `--help` says of them.
/// How the data named on the command line are read.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct DataOptions {
    /// Field or column of the data that holds the text
    #[arg(long, value_name = "NAME")]
    pub(crate) field: Option<String>,
    /// Samples per batch
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// Longest text in tokens
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// The first samples only
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Inputs that are given whole with every batch.
    #[arg(skip)]
    pub(crate) whole: Vec<String>,
}

/// Data files as a plan would have them, by their endings: one file, or `NAME=FILE.npy` for each input. A single .npy
/// file is the only input that the model needs.
pub(super) fn data(
    files: &[String],
    options: &DataOptions,
    model: impl FnOnce() -> Result<Box<dyn Model>, Error>,
) -> Result<Value, Error> {
    let usage = |what: String| Err(Error::Usage(what));
    let whole = |path: &str| whole(Path::new(path));
    let ending = |path: &str| Path::new(path).extension().map(|e| e.to_string_lossy().to_lowercase());
    let mut data = match files {
        [] => {
            let what = "there are no data: --text \"...\", or --data with a .txt, .jsonl, .csv, .safetensors or .npy file, or - for \
                        lines of standard input";
            return usage(what.to_owned());
        }
        [file] if file == "-" => json!({ "type": "texts", "texts": lines_of_input()? }),
        [file] if !file.contains('=') => match ending(file).as_deref() {
            Some("txt" | "text") => json!({ "type": "text", "path": whole(file)? }),
            Some("jsonl" | "ndjson") => match &options.field {
                Some(field) => json!({ "type": "jsonl", "path": whole(file)?, "field": field }),
                None => return usage(format!("--data {file}: --field NAME says which field holds the text")),
            },
            Some(end @ ("csv" | "tsv")) => match &options.field {
                Some(field) => {
                    let delimiter = if end == "tsv" { "\t" } else { "," };
                    json!({ "type": "csv", "path": whole(file)?, "column": field, "delimiter": delimiter })
                }
                None => {
                    return usage(format!("--data {file}: --field NAME says which column holds the text"));
                }
            },
            Some("safetensors") => json!({ "type": "tensors", "path": whole(file)? }),
            Some("npy") => {
                let inputs = model()?.inputs();
                let needed: Vec<_> = inputs.iter().filter(|spec| spec.required).collect();
                let [only] = needed.as_slice() else {
                    let all: Vec<String> = inputs.iter().map(ToString::to_string).collect();
                    let all = all.join(", ");
                    return usage(format!(
                        "--data {file}: the model takes {all}; give --data NAME=FILE.npy for each"
                    ));
                };
                json!({ "type": "tensors", "files": { only.name.clone(): whole(file)? } })
            }
            _ => {
                let valid = ".txt, .jsonl, .csv, .tsv, .safetensors or .npy";
                return usage(format!(
                    "--data {file}: the kind of data is told by the ending, valid are {valid}"
                ));
            }
        },
        files => {
            let mut named = serde_json::Map::new();
            for file in files {
                match file.split_once('=') {
                    Some((name, path)) if ending(path).as_deref() == Some("npy") => {
                        named.insert(name.to_owned(), whole(path)?);
                    }
                    _ => {
                        return usage(format!(
                            "--data {file}: several files are given as NAME=FILE.npy each"
                        ));
                    }
                }
            }
            json!({ "type": "tensors", "files": named })
        }
    };
    let texts = data["type"] != "tensors";
    if !texts && (options.max_tokens.is_some() || options.field.is_some()) {
        return usage("--max-tokens and --field are for texts, the data are tensors".to_owned());
    }
    if !options.whole.is_empty() {
        if texts {
            return usage("--whole is for tensors, the data are texts".to_owned());
        }
        data["whole"] = json!(options.whole);
    }
    if options.field.is_some() && (data["type"] == "text" || data["type"] == "texts") {
        return usage("--field is for .jsonl, .csv and .tsv files".to_owned());
    }
    with_options(&mut data, options);
    Ok(data)
}

/// Texts of the command line as a plan would have them.
pub(super) fn texts(texts: &[String], options: &DataOptions) -> Result<Value, Error> {
    if options.field.is_some() {
        return Err(Error::Usage("--field is for .jsonl, .csv and .tsv files".to_owned()));
    }
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Err(Error::Usage("--text has no tokens in it".to_owned()));
    }
    let mut data = json!({ "type": "texts", "texts": texts });
    with_options(&mut data, options);
    Ok(data)
}

/// The lines of standard input that are not empty.
fn lines_of_input() -> Result<Vec<String>, Error> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Error::Usage(format!("--data -: standard input: {error}")))?;
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    match lines.is_empty() {
        true => Err(Error::Usage("--data -: there is no text on standard input".to_owned())),
        false => Ok(lines),
    }
}

fn with_options(data: &mut Value, options: &DataOptions) {
    let more = [
        ("batch_size", json!(options.batch_size)),
        ("max_tokens", json!(options.max_tokens)),
        ("limit", json!(options.limit)),
    ];
    for (name, value) in more.into_iter().filter(|(_, value)| !value.is_null()) {
        data[name] = value;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zipped(folder: &Path, name: &str, files: &[&str]) -> PathBuf {
        let path = folder.join(name);
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for file in files {
            zip.start_file(*file, SimpleFileOptions::default()).unwrap();
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn archives_are_told_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |files: &[&str]| match named(&zipped(folder.path(), "m.bin", files), None) {
            Ok(Named::Model(model)) => model["type"].as_str().unwrap().to_owned(),
            Ok(Named::Plan(_)) => "plan".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            kind(&["m/archive_format", "m/models/model.json", "m/data/weights/w"]),
            "exported_program"
        );
        assert_eq!(kind(&["archive_format", "models/model.json"]), "exported_program");
        assert_eq!(kind(&["m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"]), "torchscript");
        assert!(kind(&["m/data.pkl", "m/data/0"]).contains("is a checkpoint of torch.save"));
        assert!(kind(&["word/document.xml"]).contains("neither torch.export.save nor torch.jit.save"));
        let write = |bytes: &[u8]| std::fs::write(folder.path().join("f.pt"), bytes).unwrap();
        write(b"\x80\x02ccollections");
        let error = named(&folder.path().join("f.pt"), None).unwrap_err().to_string();
        assert!(error.contains("is a pickle of torch.save"), "{error}");
        write(b"{}");
        assert!(matches!(named(&folder.path().join("f.pt"), None).unwrap(), Named::Plan(_)));
        write(b"PK\x03\x04broken");
        let error = named(&folder.path().join("f.pt"), None).unwrap_err().to_string();
        assert!(error.contains("a damaged archive"), "{error}");
    }

    #[test]
    fn data_are_told_by_their_endings() {
        let none = || Err(Error::Usage("no model".to_owned()));
        let of = |files: &[&str], options: &DataOptions| {
            let files: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
            data(&files, options, none).map_err(|e| e.to_string())
        };
        let with = DataOptions { field: Some("t".into()), batch_size: Some(2), ..DataOptions::default() };
        let csv = of(&["/a.CSV"], &with).unwrap();
        assert_eq!(csv["column"], "t");
        assert_eq!((&csv["batch_size"], &csv["path"]), (&json!(2), &json!("/a.CSV")));
        let plain = DataOptions::default();
        assert_eq!(
            of(&["/x.safetensors"], &plain).unwrap(),
            json!({"type": "tensors", "path": "/x.safetensors"})
        );
        let two = of(&["a=/a.npy", "b=/b.npy"], &plain).unwrap();
        assert_eq!(two["files"], json!({"a": "/a.npy", "b": "/b.npy"}));
        assert!(of(&["a.jsonl"], &plain).unwrap_err().contains("--field NAME"));
        assert!(of(&["a.txt"], &with).unwrap_err().starts_with("--field is for"));
        assert!(of(&["a.parquet"], &plain).unwrap_err().contains("valid are .txt"));
        assert!(of(&["a=x.txt"], &plain).unwrap_err().contains("NAME=FILE.npy"));
        assert_eq!(of(&["a.npy"], &plain).unwrap_err(), "no model");
    }
}
