//! What a path on the command line is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use fmrai_core::file_kind::{ENOUGH, FileKind};
use fmrai_core::registry::Registered;
use fmrai_torch::model::{ModelSources, RegisteredModelSource};
use serde_json::{Map, Value};
use zip::ZipArchive;

use crate::error::Error;

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum Named {
    /// A model.
    Model(Box<dyn RegisteredModelSource>),
    /// A plan.
    Plan(PathBuf),
}

/// A model's folder or file, or a plan: by what is in it, not by its name.
pub(crate) fn named(path: &Path, tokenizer: Option<&Path>) -> Result<Named, Error> {
    let wrong = |what: &str| Err(Error::Usage(format!("{}: {what}", path.display())));
    let io = |error: std::io::Error| Error::Usage(format!("{}: {error}", path.display()));
    let meta = std::fs::metadata(path).map_err(io)?;
    if meta.is_dir() {
        if path.join("manifest.json").is_file() {
            return wrong("is a folder of activations, needed a model: name it in a plan's `activations`");
        }
        return match tokenizer {
            None => model("hf_checkpoint", path, None),
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
            model(kind, path, tokenizer)
        }
        Some(FileKind::Gguf) => match tokenizer {
            None => model("gguf", path, None),
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

/// The model of a registered source, which this program need not know as a type: models written in tch come from a crate that it can be
/// built without.
fn model(kind: &str, path: &Path, tokenizer: Option<&Path>) -> Result<Named, Error> {
    let known = ModelSources::linked()?;
    if known.get(kind).is_none() {
        let names: Vec<&str> = known.iter().map(|source| source.about().name).collect();
        let names = names.join(", ");
        return Err(Error::Usage(format!("this program reads no models of type {kind}, it reads {names}")));
    }
    let mut settings =
        Map::from_iter([("type".to_owned(), kind.into()), ("path".to_owned(), written(path)?)]);
    if let Some(folder) = tokenizer {
        settings.insert("tokenizer".to_owned(), written(folder)?);
    }
    let source = serde_json::from_value(Value::Object(settings));
    source.map(Named::Model).map_err(|error| Error::Usage(format!("{kind}: {error}")))
}

/// A path as settings have it, which are text.
pub(super) fn written(path: &Path) -> Result<Value, Error> {
    let text = path.to_str().ok_or_else(|| {
        let what = "the path is not UTF-8, as it has to be in a plan: rename it, or make a link to it of another name";
        Error::Usage(format!("{}: {what}", path.display()))
    });
    text.map(Value::from)
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
            Ok(Named::Model(model)) => model.typetag_name().to_owned(),
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
}
