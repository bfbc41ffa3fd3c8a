//! The program, as it is called from Python.

use std::ffi::OsString;
use std::path::PathBuf;

use fmrai_host::events::Observer;
use fmrai_host::plan::{self, Catalogue};
use fmrai_host::plugins::Policy;
use fmrai_host::progress::Progress;
use fmrai_host::run::{Options, run};
use pyo3::prelude::*;

use crate::error::{RunError, line};

/// The command `fmrai` with these arguments, its own name left out. Gives its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| fmrai_host::cli::run_with(arguments))
}

/// Runs a plan; gives the folder of its results.
#[pyfunction]
pub(crate) fn run_plan(
    py: Python<'_>,
    file: PathBuf,
    output: Option<PathBuf>,
    resume: bool,
    force: bool,
    progress: bool,
) -> PyResult<PathBuf> {
    py.detach(|| {
        let wrong = |error: &dyn std::error::Error| RunError::new_err(line(error));
        let catalogue = Catalogue::linked().map_err(|error| wrong(&error))?;
        let catalogue = catalogue.with_policy(Policy::default());
        let mut plan = plan::read(&file, &catalogue).map_err(|error| wrong(&error))?;
        if let Some(output) = output {
            plan.output = output;
        }
        let folder = plan.output.clone();
        let shown = Progress::new();
        let observers: &[&dyn Observer] = if progress { &[&shown] } else { &[] };
        let options = Options { resume, force, observers, ..Options::default() };
        let outcome = run(plan, &options).map_err(|error| wrong(&error))?;
        let failed = outcome.analyses.iter().find_map(|(name, answer)| Some((name, answer.as_ref().err()?)));
        match failed {
            Some((name, failure)) => Err(RunError::new_err(format!(
                "{name} failed in {}: {}; the other results are in {}",
                failure.stage,
                failure.message,
                folder.display()
            ))),
            None => Ok(folder),
        }
    })
}
