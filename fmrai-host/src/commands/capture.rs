//! `fmrai capture`.

use std::path::{Path, PathBuf};

use fmrai_core::selector::Selector;
use serde_json::{Value, json};

use super::run::Asked;
use super::source::{DataOptions, Named, data, load, named, texts, whole};
use crate::error::{Error, Exit};
use crate::plan::{Catalogue, JsonPath, Plan, PlanError, Problem};
use crate::run::Work;

/// What is captured, of what, and where it goes.
pub(crate) struct CaptureOptions {
    pub(crate) model: PathBuf,
    pub(crate) tokenizer: Option<PathBuf>,
    pub(crate) data: Vec<String>,
    /// Texts in place of data.
    pub(crate) text: Vec<String>,
    pub(crate) read: DataOptions,
    pub(crate) select: Vec<String>,
    pub(crate) dtype: String,
    pub(crate) output: PathBuf,
    pub(crate) resume: bool,
    pub(crate) force: bool,
    pub(crate) threads: Option<usize>,
}

/// Writes activations to disk: a plan without analyses, put together from the command line.
pub(crate) fn capture(options: &CaptureOptions) -> Result<Exit, Error> {
    let select: Vec<Selector> = options.select.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let tokenizer =
        options.tokenizer.as_deref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
    let (file, mut document) = match named(&options.model, tokenizer.as_deref())? {
        Named::Plan(file) => (file.clone(), plan(&file)?),
        Named::Model(mut model) => {
            model["path"] = whole(&options.model)?;
            (PathBuf::from("(command line)"), json!({ "format": crate::plan::FORMAT, "model": model }))
        }
    };
    let base = file.parent().unwrap_or(Path::new("")).to_owned();
    if !options.text.is_empty() {
        document["data"] = texts(&options.text, &options.read)?;
    } else if !options.data.is_empty() || document.get("data").is_none() {
        document["data"] = data(&options.data, &options.read, || load(&document["model"], &base))?;
    }
    if let Some(fields) = document.as_object_mut() {
        fields.shift_remove("plugins"); // only analyses need them
    }
    document["analyses"] = json!([]);
    document["capture"] = json!({ "select": select, "dtype": options.dtype });
    // A word for it only: the path itself is put in below.
    document["output"] = json!(options.output.to_string_lossy());
    let catalogue = Catalogue::linked()?;
    let resolved = Plan::parse(&document.to_string(), &catalogue).resolve(&file);
    let mut resolved = resolved.map_err(|problems| PlanError { file, problems })?;
    resolved.output.clone_from(&options.output);
    let (resume, force, threads) = (options.resume, options.force, options.threads);
    super::run::execute(resolved, Asked { work: Work::Whole, resume, force, threads })
}

/// The document of a plan's file, which is checked once it is complete.
fn plan(file: &Path) -> Result<Value, Error> {
    let fail = |what: String| {
        let problems = vec![Problem::new(JsonPath::root(), what)];
        Error::Plan(PlanError { file: file.to_owned(), problems })
    };
    let text = std::fs::read_to_string(file).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|e| fail(format!("is neither a model nor a plan: {e}")))?;
    match document {
        Value::Object(_) => Ok(document),
        _ => Err(fail("is neither a model nor a plan".to_owned())),
    }
}
