//! The host's side: an analyzer or experiment behind C functions as the same method that a linked one is.

use std::ffi::c_void;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::description::Description;
use super::functions::Functions;
use super::handshake::{HandshakeError, called};
use super::host::HOST;
use super::instance::Instance;
use super::raw::{self, Collected, ERR_CONFIG, ERR_INVALID, OK, Status};
use super::{export, manifest};
use crate::analyzer::Method;

/// The symbol that a plugin exports.
pub const ENTRY_SYMBOL: &str = "fmrai_plugin_entry_v1";

/// The exported function, from the host's to the plugin's version and struct.
pub type EntryFunction = unsafe extern "C" fn(host_major: u32, host_minor: u32) -> *const c_void;

/// Why a config was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", field.as_ref().map(|f| format!("{f} ")).unwrap_or_default())]
pub struct ConfigRefused {
    /// The field, where the analyzer names one.
    pub field: Option<String>,
    /// What was found and what is valid.
    pub what: String,
}

/// A kind of analyzer behind C functions.
#[derive(Clone)]
pub struct ForeignAnalyzer {
    functions: Arc<Functions>,
    description: Arc<Description>,
}

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
        let functions = unsafe { Functions::of(pointer) }?;
        let raw = &functions.raw;
        let mut out = Collected::new();
        // SAFETY: `ctx` is the analyzer's own.
        called("describe", |err| raw.describe.map_or(OK, |f| unsafe { f(raw.ctx, &mut out.sink(), err) }))?;
        let text = out.text("its description").map_err(HandshakeError::Broken)?;
        Ok(Self { functions: Arc::new(functions), description: Arc::new(Description::read(&text)?) })
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

    /// True if it drives the model, so that what is [built](Self::build) is an experiment.
    #[must_use]
    pub fn drives_model(&self) -> bool {
        self.functions.experiment.is_some()
    }

    /// A method that follows this config.
    ///
    /// # Errors
    /// [`ConfigRefused`] with the analyzer's message.
    pub fn build(&self, config: &Map<String, Value>) -> Result<Method, ConfigRefused> {
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
        let instance = Box::new(Instance::new(*self.functions, Arc::clone(&self.description), this));
        Ok(if self.drives_model() { Method::Experiment(instance) } else { Method::Analyzer(instance) })
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
