//! The functions of an analyzer of the other side.

use std::ffi::CStr;

use super::handshake::HandshakeError;
use super::raw;

/// The functions that every analyzer has to have, and those that it may have.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub(super) raw: raw::Analyzer,
    pub(super) interim: Option<raw::Interim>,
    /// Those of an analyzer that drives the model.
    pub(super) experiment: Option<raw::experiment::Experiment>,
}

impl Functions {
    /// # Errors
    /// [`HandshakeError::Broken`] names the required functions that are absent.
    ///
    /// # Safety
    /// `pointer` is NULL or an analyzer of a library that keeps the contract and stays loaded.
    pub(super) unsafe fn of(pointer: *const raw::Analyzer) -> Result<Self, HandshakeError> {
        // SAFETY: the caller's promise.
        let raw = unsafe { raw::read_prefix(pointer) }.map_err(HandshakeError::Broken)?;
        let absent: Vec<&str> = [
            ("describe", raw.describe.is_none()),
            ("create", raw.create.is_none()),
            ("prepare", raw.prepare.is_none()),
            ("track_batch", raw.track_batch.is_none()),
            ("state", raw.state.is_none()),
            ("merge", raw.merge.is_none()),
            ("analyze", raw.analyze.is_none()),
            ("destroy", raw.destroy.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, absent)| absent.then_some(name))
        .collect();
        if !absent.is_empty() {
            let what = format!("fmrai_analyzer has NULL for {}", absent.join(", "));
            return Err(HandshakeError::Broken(what));
        }
        let extension = |name: &CStr| {
            // SAFETY: names of extensions end with NUL.
            raw.get_extension.map_or(std::ptr::null(), |get| unsafe { get(name.as_ptr()) })
        };
        // SAFETY: the struct behind the name is this one, and static.
        let interim = unsafe { extension(c"fmrai.interim/1").cast::<raw::Interim>().as_ref() }.copied();
        let experiment = extension(c"fmrai.experiment/1").cast::<raw::experiment::Experiment>();
        // SAFETY: as above.
        let experiment = unsafe { experiment.as_ref() }.copied();
        if experiment.is_some_and(|found| found.passes.is_none() || found.run_batch.is_none()) {
            let what = "fmrai_experiment has NULL for passes or run_batch".to_owned();
            return Err(HandshakeError::Broken(what));
        }
        Ok(Self { raw, interim, experiment })
    }
}
