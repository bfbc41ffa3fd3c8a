//! `fmrai merge`.

use std::path::{Path, PathBuf};

use super::run::{Asked, execute};
use crate::checkpoint::{Checkpoint, MergeError};
use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue};
use crate::run::Work;

/// What `fmrai merge` was told.
pub(crate) struct MergeOptions {
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) plan: Option<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    pub(crate) partial: bool,
    pub(crate) force: bool,
    pub(crate) threads: Option<usize>,
}

/// Puts together what runs of parts have absorbed.
pub(crate) fn merge(catalogue: &Catalogue, options: MergeOptions) -> Result<Exit, Error> {
    let MergeOptions { folders, plan, output, partial, force, threads } = options;
    let mut plan = plan::read(&plan_of(plan.as_deref(), &folders)?, catalogue)?;
    if let Some(output) = output {
        plan.output = output;
    }
    execute(
        plan,
        Asked {
            work: Work::Merge { folders, partial },
            resume: false,
            force,
            threads,
            device: None,
            memory: None,
        },
    )
}

/// The plan that is named, else that which the first of the folders was made by.
pub(crate) fn plan_of(named: Option<&Path>, folders: &[PathBuf]) -> Result<PathBuf, Error> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let first = folders.first().ok_or_else(|| Error::Usage("there is no folder to merge".to_owned()))?;
    let checkpoint = Checkpoint::load(first)?.ok_or_else(|| MergeError::Nothing { path: first.clone() })?;
    checkpoint.plan_file.filter(|file| file.exists()).ok_or_else(|| {
        let first = first.display();
        Error::Usage(format!("the plan that {first} was made by is not here: name it with --plan"))
    })
}
