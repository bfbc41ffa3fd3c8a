//! `fmrai capture`.

use std::path::{Path, PathBuf};

use fmrai_core::activations::StoredAs;
use fmrai_core::selector::Selector;

use super::run::Asked;
use super::source::{DataOptions, Named, data, named, no_model, subject, texts};
use crate::error::{Error, Exit};
use crate::plan::{self, Capture, ResolvedPlan, Source};
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
    pub(crate) dtype: StoredAs,
    pub(crate) output: PathBuf,
    pub(crate) resume: bool,
    pub(crate) force: bool,
    pub(crate) threads: Option<usize>,
}

/// Writes activations to disk: a plan without analyses, put together from the command line.
pub(crate) fn capture(options: &CaptureOptions) -> Result<Exit, Error> {
    let select: Vec<Selector> = options.select.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    // What results say of the run has to be true wherever they are read.
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (model, tokenizer) = (whole(&options.model), options.tokenizer.as_deref().map(whole));
    let named = named(&model, tokenizer.as_deref())?;
    let given = match (options.text.is_empty(), options.data.is_empty(), &named) {
        (false, _, _) => Some(texts(&options.text, &options.read)?),
        (true, true, Named::Plan(_)) => None,
        _ => {
            let again = || subject(&model, tokenizer.as_deref())?.load();
            Some(data(&options.data, &options.read, again)?)
        }
    };
    let plan = match (named, given) {
        (Named::Plan(file), given) => match plan::read_subject(&file, given.as_deref())? {
            ResolvedPlan { source: Source::Activations(_), .. } => return Err(no_model(&file)),
            plan => plan,
        },
        (Named::Model(model), Some(data)) => ResolvedPlan::of(model, data),
        (Named::Model(_), None) => return Err(Error::Internal("a model without data".to_owned())),
    };
    let capture = Capture { select, dtype: options.dtype };
    let plan = plan.capturing(capture, &options.output);
    let plan = plan.map_err(|error| Error::Internal(format!("the plan of the capture: {error}")))?;
    let (resume, force, threads) = (options.resume, options.force, options.threads);
    super::run::execute(plan, Asked { work: Work::Whole, resume, force, threads, device: None, memory: None })
}
