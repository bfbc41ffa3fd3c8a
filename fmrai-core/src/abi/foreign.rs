//! The host's side: an analyzer behind C functions as the same `Box<dyn Analyzer>` that a linked one is.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::guard::{Failure, guard};
use super::instance::Instance;
use super::raw::{self, Collected, DLManagedTensorVersioned, ERR_CONFIG, ERR_INVALID, OK, Sink, Status, Str};
use super::{export, manifest, tensor};
use crate::analyzer::Analyzer;
use crate::tensor::TensorView;

/// The symbol that a plugin exports.
pub const ENTRY_SYMBOL: &str = "fmrai_plugin_entry_v1";

/// The exported function, from the host's to the plugin's version and struct.
pub type EntryFunction = unsafe extern "C" fn(host_major: u32, host_minor: u32) -> *const c_void;

/// A library that is no plugin, or breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It speaks another major version, or declines.
    #[error("it speaks plugin ABI {found}, this program speaks {needed}")]
    Version {
        /// Its version.
        found: String,
        /// The version of this program.
        needed: String,
    },
    /// A struct or function is not as the header says.
    #[error("it breaks the contract of plugins: {0}")]
    Broken(String),
    /// It reports a failure.
    #[error("its {call} failed: {message}")]
    Failed {
        /// Which function.
        call: &'static str,
        /// What it says.
        message: String,
    },
}

/// Why a config was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", field.as_ref().map(|f| format!("{f} ")).unwrap_or_default())]
pub struct ConfigRefused {
    /// The field, where the analyzer names one.
    pub field: Option<String>,
    /// What was found and what is valid.
    pub what: String,
}

/// What an analyzer says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Description {
    /// The `type` of its config in a plan.
    pub name: String,
    /// One line that says what it answers.
    pub summary: String,
    /// Who made it, with version.
    #[serde(default)]
    pub origin: String,
    /// The config with all fields at their defaults.
    #[serde(default)]
    pub example: Value,
    /// JSON Schema of its config, without the `type` field.
    #[serde(default)]
    pub schema: Value,
    #[serde(default)]
    pub(super) state: StateFormat,
    #[serde(default)]
    pub(super) state_version: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateFormat {
    /// Bytes that only the plugin understands.
    #[default]
    Bytes,
    /// The bytes of [`State::to_bytes`](crate::analyzer::State::to_bytes).
    Fmrai,
}

/// A kind of analyzer behind C functions.
#[derive(Clone)]
pub struct ForeignAnalyzer {
    pub(super) functions: Functions,
    description: Arc<Description>,
}

/// The functions that every analyzer has to have, and those that it may have.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub(super) raw: raw::Analyzer,
    pub(super) interim: Option<raw::Interim>,
}

unsafe extern "C" fn host_log(
    level: u32,
    target: *const c_char,
    target_len: usize,
    text: *const c_char,
    len: usize,
) {
    // SAFETY: the plugin's texts live during the call.
    let (target, text) =
        unsafe { (raw::slice(target.cast::<u8>(), target_len), raw::slice(text.cast::<u8>(), len)) };
    let (from, text) = (String::from_utf8_lossy(target), String::from_utf8_lossy(text));
    let run = || {
        match level {
            0 | 1 => tracing::error!(target: "plugin", %from, "{text}"),
            2 => tracing::warn!(target: "plugin", %from, "{text}"),
            3 => tracing::info!(target: "plugin", %from, "{text}"),
            _ => tracing::debug!(target: "plugin", %from, "{text}"),
        }
        Ok(())
    };
    // Whoever takes the events is the embedder's, and may panic.
    // SAFETY: there is no sink.
    unsafe { guard(std::ptr::null_mut(), run) };
}

unsafe extern "C" fn host_retain(
    handle: *const c_void,
    out: *mut *mut DLManagedTensorVersioned,
    err: *mut Sink,
) -> Status {
    if handle.is_null() || out.is_null() {
        return ERR_INVALID;
    }
    // SAFETY: handles are views that live during `track_batch`, which is the only time they may be used.
    let view = unsafe { &*handle.cast::<TensorView<'_>>() };
    let run = || {
        let tensor = tensor::retained(view).map_err(Failure::invalid)?;
        // SAFETY: not NULL, and the plugin's.
        unsafe { out.write(tensor) };
        Ok(())
    };
    // SAFETY: the plugin's sink lives during the call.
    unsafe { guard(err, run) }
}

pub(super) unsafe extern "C" fn host_extension(id: *const c_char) -> *const c_void {
    static RETAIN: raw::Retain = raw::Retain { retain: Some(host_retain) };
    if id.is_null() {
        return std::ptr::null();
    }
    // SAFETY: not NULL; names of extensions end with NUL.
    match unsafe { CStr::from_ptr(id) }.to_bytes() {
        b"fmrai.retain/1" => std::ptr::from_ref(&RETAIN).cast(),
        _ => std::ptr::null(),
    }
}

static HOST: raw::Host = raw::Host {
    struct_size: raw::size::<raw::Host>(),
    abi_major: super::ABI_MAJOR,
    abi_minor: super::ABI_MINOR,
    reserved: 0,
    name: Str::of("fmrai"),
    version: Str::of(env!("CARGO_PKG_VERSION")),
    log: Some(host_log),
    get_extension: Some(host_extension),
};

/// The analyzers of a loaded library.
pub struct ForeignPlugin {
    analyzers: Vec<ForeignAnalyzer>,
    live: Option<raw::Live>,
}

impl ForeignPlugin {
    /// Asks a library for its analyzers.
    ///
    /// # Errors
    /// [`HandshakeError`] says what of the contract it breaks.
    ///
    /// # Safety
    /// `entry` is the function [`ENTRY_SYMBOL`] of a library that keeps the contract of `include/fmrai.h` and stays
    /// loaded until the process ends.
    pub unsafe fn connect(entry: EntryFunction) -> Result<Self, HandshakeError> {
        let needed = format!("{}.{}", super::ABI_MAJOR, super::ABI_MINOR);
        // SAFETY: the caller's promise, here and below.
        let pointer = unsafe { entry(super::ABI_MAJOR, super::ABI_MINOR) }.cast::<raw::Plugin>();
        if pointer.is_null() {
            return Err(HandshakeError::Version { found: "another version".to_owned(), needed });
        }
        // SAFETY: the first 16 bytes are the same in every version.
        let (magic, major, minor) = unsafe { ((*pointer).magic, (*pointer).abi_major, (*pointer).abi_minor) };
        if magic != manifest::MAGIC {
            return Err(HandshakeError::Broken("its struct has another magic".to_owned()));
        }
        if major != super::ABI_MAJOR {
            return Err(HandshakeError::Version { found: format!("{major}.{minor}"), needed });
        }
        // SAFETY: as above.
        let plugin = unsafe { raw::read_prefix(pointer) }.map_err(HandshakeError::Broken)?;
        if plugin.flags & raw::PANIC_ABORT != 0 {
            return Err(HandshakeError::Broken("a panic in it would end the process".to_owned()));
        }
        let (Some(init), Some(count), Some(nth)) = (plugin.init, plugin.analyzer_count, plugin.analyzer)
        else {
            return Err(HandshakeError::Broken("a required function of fmrai_plugin is NULL".to_owned()));
        };
        // SAFETY: as above; the host's struct is static.
        called("init", |err| unsafe { init(&HOST, err) })?;
        let mut analyzers = Vec::new();
        // SAFETY: as above.
        for index in 0..unsafe { count() } {
            // SAFETY: as above.
            analyzers.push(unsafe { ForeignAnalyzer::new(nth(index)) }?);
        }
        if analyzers.is_empty() {
            return Err(HandshakeError::Broken("it has no analyzer".to_owned()));
        }
        // SAFETY: as above; the name ends with NUL.
        let live = plugin.get_extension.map(|get| unsafe { get(c"fmrai.live/1".as_ptr()) });
        // SAFETY: the struct behind the name never changes, and lives as long as the library.
        let live = live.and_then(|live| unsafe { live.cast::<raw::Live>().as_ref() }.copied());
        Ok(Self { analyzers, live })
    }

    /// Its analyzers, in its own order.
    #[must_use]
    pub fn analyzers(&self) -> &[ForeignAnalyzer] {
        &self.analyzers
    }

    /// Instances and tensors that it has made and that are not gone yet, where it tells.
    #[must_use]
    pub fn live(&self) -> Option<(i64, i64)> {
        let raw::Live { instances, tensors } = self.live?;
        // SAFETY: functions without arguments of a library that stays loaded.
        Some(unsafe { (instances?(), tensors?()) })
    }
}

/// Calls a function that may fail before there is an instance.
fn called(call: &'static str, run: impl FnOnce(*mut Sink) -> Status) -> Result<(), HandshakeError> {
    let mut err = Collected::new();
    match run(&mut err.sink()) {
        OK => Ok(()),
        status => Err(HandshakeError::Failed { call, message: err.message(status) }),
    }
}

/// Every analyzer of this very program, behind its C functions: what a test needs to compare both ways.
///
/// # Errors
/// A sentence, if two analyzers have one name or one breaks the contract.
pub fn loopback() -> Result<Vec<ForeignAnalyzer>, String> {
    // SAFETY: the functions of this program keep the contract.
    export::vtables()?
        .into_values()
        .map(|raw| unsafe { ForeignAnalyzer::new(raw) }.map_err(|e| e.to_string()))
        .collect()
}

impl ForeignAnalyzer {
    /// # Safety
    /// `pointer` is NULL or an analyzer of a library that keeps the contract and stays loaded.
    unsafe fn new(pointer: *const raw::Analyzer) -> Result<Self, HandshakeError> {
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
        let mut out = Collected::new();
        // SAFETY: `ctx` is the analyzer's own.
        called("describe", |err| raw.describe.map_or(OK, |f| unsafe { f(raw.ctx, &mut out.sink(), err) }))?;
        let text = out.text("its description").map_err(HandshakeError::Broken)?;
        let description: Description = serde_json::from_str(&text)
            .map_err(|e| HandshakeError::Broken(format!("its description cannot be read: {e}")))?;
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if description.name.is_empty() || description.name.len() > 100 || !description.name.chars().all(named)
        {
            let what = format!(
                "the analyzer name {:?} is not of letters, digits, `_`, `-` and `.`",
                description.name
            );
            return Err(HandshakeError::Broken(what));
        }
        // SAFETY: names of extensions end with NUL.
        let interim = raw.get_extension.map(|get| unsafe { get(c"fmrai.interim/1".as_ptr()) });
        // SAFETY: the struct behind the name is this one, and static.
        let interim = interim.and_then(|i| unsafe { i.cast::<raw::Interim>().as_ref() }.copied());
        Ok(Self { functions: Functions { raw, interim }, description: Arc::new(description) })
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The config with all defaults filled in.
    ///
    /// # Errors
    /// [`ConfigRefused`] with the analyzer's message.
    pub fn complete(&self, config: &Map<String, Value>) -> Result<Map<String, Value>, ConfigRefused> {
        let raw = &self.functions.raw;
        let refused = |what: String| ConfigRefused { field: None, what };
        let mut complete = match raw.configure {
            None => {
                let mut complete = self.description.example.as_object().cloned().unwrap_or_default();
                complete.extend(config.clone());
                complete
            }
            Some(configure) => {
                let text = Value::Object(config.clone()).to_string();
                let (mut out, mut err) = (Collected::new(), Collected::new());
                // SAFETY: `ctx` is the analyzer's own, the rest lives during the call.
                let status = unsafe {
                    configure(raw.ctx, text.as_ptr().cast(), text.len(), &mut out.sink(), &mut err.sink())
                };
                if status != OK {
                    return Err(refusal(status, err));
                }
                let text = out.text("its config").map_err(refused)?;
                serde_json::from_str(&text).map_err(|e| refused(format!("its config cannot be read: {e}")))?
            }
        };
        complete.shift_remove("type");
        Ok(complete)
    }

    /// An analyzer that follows this config.
    ///
    /// # Errors
    /// [`ConfigRefused`] with the analyzer's message.
    pub fn build(&self, config: &Map<String, Value>) -> Result<Box<dyn Analyzer>, ConfigRefused> {
        let raw = &self.functions.raw;
        let text = Value::Object(config.clone()).to_string();
        let mut err = Collected::new();
        let mut this = std::ptr::null_mut();
        // SAFETY: `ctx` is the analyzer's own, the rest lives during the call; `create` was checked to be there.
        let status = raw.create.map_or(ERR_INVALID, |f| unsafe {
            f(raw.ctx, text.as_ptr().cast(), text.len(), &mut this, &mut err.sink())
        });
        if status != OK {
            return Err(refusal(status, err));
        }
        if this.is_null() {
            return Err(ConfigRefused { field: None, what: "create made no instance".to_owned() });
        }
        Ok(Box::new(Instance::new(self.clone(), this)))
    }
}

fn refusal(status: Status, err: Collected) -> ConfigRefused {
    #[derive(Deserialize)]
    struct Refusal {
        field: String,
        found: String,
        valid: String,
    }
    let message = err.message(status);
    match serde_json::from_str(&message) {
        Ok(Refusal { field, found, valid }) if status == ERR_CONFIG => {
            ConfigRefused { field: Some(field), what: format!("is {found}, needed {valid}") }
        }
        _ => ConfigRefused { field: None, what: message },
    }
}
