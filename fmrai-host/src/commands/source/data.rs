//! Data as they are named on the command line.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use fmrai_torch::data::{Csv, GivenTexts, JsonLines, RegisteredDataSource, TensorFiles, TextLines};
use fmrai_torch::model::Model;

use super::named::written;
use crate::error::Error;

// The comments of the fields are what `--help` says of them.
/// How the data named on the command line are read.
#[derive(Debug, Default, Clone, PartialEq, Eq, clap::Args)]
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

/// Data by the endings of their files: one file, or `NAME=FILE.npy` for each input. A single .npy file is the only input that the model
/// needs.
pub(crate) fn data(
    files: &[String],
    options: &DataOptions,
    model: impl FnOnce() -> Result<Box<dyn Model>, Error>,
) -> Result<Box<dyn RegisteredDataSource>, Error> {
    match files {
        [] => {
            let what = "there are no data: --text \"...\", or --data with a .txt, .jsonl, .csv, .safetensors or .npy file, or - for \
                        lines of standard input";
            Err(Error::Usage(what.to_owned()))
        }
        [file] if file == "-" => texts_of(lines_of_input()?, options),
        [file] if !file.contains('=') => one(file, options, model),
        files => tensors(TensorFiles::of(named(files)?), options),
    }
}

/// Texts of the command line.
pub(crate) fn texts(texts: &[String], options: &DataOptions) -> Result<Box<dyn RegisteredDataSource>, Error> {
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Err(Error::Usage("--text has no tokens in it".to_owned()));
    }
    texts_of(texts.to_vec(), options)
}

/// Sets what was told of a source of texts.
macro_rules! told {
    ($source:expr, $options:expr) => {{
        let (mut source, options) = ($source, $options);
        source.batch_size = options.batch_size.unwrap_or(source.batch_size);
        (source.max_tokens, source.limit) = (options.max_tokens, options.limit);
        Ok(Box::new(source) as Box<dyn RegisteredDataSource>)
    }};
}

/// The data of one file.
fn one(
    file: &str,
    options: &DataOptions,
    model: impl FnOnce() -> Result<Box<dyn Model>, Error>,
) -> Result<Box<dyn RegisteredDataSource>, Error> {
    let ending = ending(file);
    let field = |holds: &str| {
        let what = format!("--data {file}: --field NAME says which {holds} holds the text");
        options.field.clone().ok_or(Error::Usage(what))
    };
    match ending.as_deref() {
        Some("txt" | "text") => {
            refuse_field(options)?;
            refuse_whole(options)?;
            told!(TextLines::new(whole(file)?), options)
        }
        Some("jsonl" | "ndjson") => {
            refuse_whole(options)?;
            told!(JsonLines::new(whole(file)?, field("field")?, Vec::new()), options)
        }
        Some(end @ ("csv" | "tsv")) => {
            refuse_whole(options)?;
            let delimiter = if end == "tsv" { '\t' } else { ',' };
            told!(Csv::new(whole(file)?, field("column")?, delimiter, Vec::new()), options)
        }
        Some("safetensors") => tensors(TensorFiles::in_one(whole(file)?), options),
        Some("npy") => {
            let inputs = model()?.inputs();
            let needed: Vec<_> = inputs.iter().filter(|spec| spec.required).collect();
            let [only] = needed.as_slice() else {
                let all: Vec<String> = inputs.iter().map(ToString::to_string).collect();
                let all = all.join(", ");
                let what =
                    format!("--data {file}: the model takes {all}; give --data NAME=FILE.npy for each");
                return Err(Error::Usage(what));
            };
            tensors(TensorFiles::of(BTreeMap::from([(only.name.clone(), whole(file)?)])), options)
        }
        _ => {
            let valid = ".txt, .jsonl, .csv, .tsv, .safetensors or .npy";
            let what = format!("--data {file}: the kind of data is told by the ending, valid are {valid}");
            Err(Error::Usage(what))
        }
    }
}

/// A file for each input.
fn named(files: &[String]) -> Result<BTreeMap<String, PathBuf>, Error> {
    let one = |file: &String| match file.split_once('=') {
        Some((name, path)) if ending(path).as_deref() == Some("npy") => Ok((name.to_owned(), whole(path)?)),
        _ => Err(Error::Usage(format!("--data {file}: several files are given as NAME=FILE.npy each"))),
    };
    files.iter().map(one).collect()
}

fn texts_of(texts: Vec<String>, options: &DataOptions) -> Result<Box<dyn RegisteredDataSource>, Error> {
    refuse_field(options)?;
    refuse_whole(options)?;
    told!(GivenTexts::new(texts), options)
}

fn tensors(mut source: TensorFiles, options: &DataOptions) -> Result<Box<dyn RegisteredDataSource>, Error> {
    if options.max_tokens.is_some() || options.field.is_some() {
        let what = "--max-tokens and --field are for texts, the data are tensors";
        return Err(Error::Usage(what.to_owned()));
    }
    source.batch_size = options.batch_size.unwrap_or(source.batch_size);
    source.limit = options.limit;
    source.whole.clone_from(&options.whole);
    Ok(Box::new(source))
}

fn refuse_field(options: &DataOptions) -> Result<(), Error> {
    match options.field {
        Some(_) => Err(Error::Usage("--field is for .jsonl, .csv and .tsv files".to_owned())),
        None => Ok(()),
    }
}

fn refuse_whole(options: &DataOptions) -> Result<(), Error> {
    match options.whole.is_empty() {
        false => Err(Error::Usage("--whole is for tensors, the data are texts".to_owned())),
        true => Ok(()),
    }
}

fn ending(path: &str) -> Option<String> {
    Path::new(path).extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

/// A path from the root: results say what the data were, wherever they are read.
fn whole(path: &str) -> Result<PathBuf, Error> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    written(&path)?;
    // Before a model is read for it.
    fmrai_torch::data::find(&path)?;
    Ok(path)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_are_told_by_their_endings() {
        let folder = tempfile::tempdir().unwrap();
        let here = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["a.CSV", "x.safetensors", "a.npy", "b.npy", "a.jsonl", "a.txt", "a.parquet"] {
            std::fs::write(here(name), "").unwrap();
        }
        let none = || Err(Error::Usage("no model".to_owned()));
        let of = |files: &[&str], options: &DataOptions| {
            let in_folder = |file: &&str| match file.split_once('=') {
                Some((input, file)) => format!("{input}={}", here(file)),
                None => here(file),
            };
            let files: Vec<String> = files.iter().map(in_folder).collect();
            let source = data(&files, options, none).map_err(|e| e.to_string())?;
            Ok::<_, String>(serde_json::to_value(&source).unwrap())
        };
        let with = DataOptions { field: Some("t".into()), batch_size: Some(2), ..DataOptions::default() };
        let csv = of(&["a.CSV"], &with).unwrap();
        assert_eq!(csv["column"], "t");
        assert_eq!((&csv["batch_size"], &csv["path"]), (&json!(2), &json!(here("a.CSV"))));
        let plain = DataOptions::default();
        let one = of(&["x.safetensors"], &plain).unwrap();
        assert_eq!((&one["type"], &one["path"]), (&json!("tensors"), &json!(here("x.safetensors"))));
        let two = of(&["a=a.npy", "b=b.npy"], &plain).unwrap();
        assert_eq!(two["files"], json!({"a": here("a.npy"), "b": here("b.npy")}));
        assert!(of(&["a.jsonl"], &plain).unwrap_err().contains("--field NAME"));
        assert!(of(&["a.txt"], &with).unwrap_err().starts_with("--field is for"));
        assert!(of(&["a.parquet"], &plain).unwrap_err().contains("valid are .txt"));
        assert!(of(&["a=a.txt"], &plain).unwrap_err().contains("NAME=FILE.npy"));
        assert_eq!(of(&["a.npy"], &plain).unwrap_err(), "no model");
        let absent = of(&["absent.txt"], &plain).unwrap_err();
        assert!(absent.contains("absent.txt: No such file"), "{absent}");
    }
}
