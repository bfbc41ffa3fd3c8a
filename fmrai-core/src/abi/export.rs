//! The plugin's side: analyzers of this library behind the C functions of `include/fmrai.h`.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::foreign_bench::ForeignBench;
use super::guard::{Failure, guard, install_hook};
use super::raw::{self, ERR_PANIC, ERR_UNSUPPORTED, OK, Sink, Status, slice};
use super::{batch, log, manifest, model, report, tensor};
use crate::analyzer::{Analysis, AnalyzerEntry, AnalyzerError, Method, RegisteredConfig, Registry, State};
use crate::experiment::Experiment;
use crate::report::Report;

/// Instances that were created and not yet destroyed.
static INSTANCES: AtomicI64 = AtomicI64::new(0);
static HOST: OnceLock<raw::Host> = OnceLock::new();

struct Instance {
    method: Method,
    /// Set by a panic: its state may be half changed.
    poisoned: bool,
    /// Weights that the host keeps for this instance only; they end after the analyzer, which may read them to its end.
    leases: Vec<model::Lease>,
}

/// The analyzers registered in this library, sorted by name, as C sees them.
///
/// # Errors
/// The sentence of the registry, if two have one name.
pub(super) fn analyzers() -> Result<&'static [&'static raw::Analyzer], String> {
    static ANALYZERS: OnceLock<Result<Vec<&'static raw::Analyzer>, String>> = OnceLock::new();
    let made = ANALYZERS.get_or_init(|| {
        let registry = Registry::linked().map_err(|e| e.to_string())?;
        Ok(registry.iter().map(|entry| &*Box::leak(Box::new(vtable(entry)))).collect())
    });
    made.as_deref().map_err(Clone::clone)
}

/// Whether the host drives experiments; one that has not said who it is is this very program.
fn experiments_carried() -> bool {
    let Some(get) = HOST.get().map(|host| host.get_extension) else { return true };
    // SAFETY: the host's function lives as long as the process; the name ends with NUL.
    get.is_some_and(|get| !unsafe { get(c"fmrai.experiment/1".as_ptr()) }.is_null())
}

fn vtable(entry: &'static AnalyzerEntry) -> raw::Analyzer {
    raw::Analyzer {
        struct_size: raw::size::<raw::Analyzer>(),
        reserved: 0,
        ctx: std::ptr::from_ref(entry).cast_mut().cast(),
        describe: Some(describe),
        configure: Some(configure),
        create: Some(create),
        prepare: Some(prepare),
        track_batch: Some(track_batch),
        state: Some(state),
        merge: Some(merge),
        analyze: Some(analyze),
        destroy: Some(destroy),
        get_extension: Some(if entry.drives_model { experiment_extension } else { analyzer_extension }),
    }
}

/// # Safety
/// `ctx` is that of a vtable made here.
unsafe fn entry_of(ctx: *mut c_void) -> Result<&'static AnalyzerEntry, Failure> {
    // SAFETY: `vtable` put a static entry there.
    unsafe { ctx.cast::<AnalyzerEntry>().as_ref() }.ok_or_else(|| Failure::invalid("ctx is NULL"))
}

/// # Safety
/// `bytes` points at `length` bytes.
unsafe fn json_of(bytes: *const c_char, length: usize) -> Result<Value, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice(bytes.cast::<u8>(), length) };
    serde_json::from_slice(bytes).map_err(|e| Failure::invalid(format!("the config is not JSON: {e}")))
}

fn config_of(entry: &AnalyzerEntry, mut fields: Value) -> Result<Box<dyn RegisteredConfig>, Failure> {
    if let Value::Object(fields) = &mut fields {
        fields.insert("type".to_owned(), json!(entry.about.name));
    }
    serde_json::from_value(fields).map_err(|e| Failure::invalid(e.to_string()))
}

/// # Safety
/// `out` is a sink of the other side that lives.
unsafe fn put(out: *mut Sink, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    match unsafe { raw::write(out, bytes) } {
        OK => Ok(()),
        status => Err(Failure::status(status, "the host did not take what was written")),
    }
}

unsafe extern "C" fn describe(ctx: *mut c_void, out: *mut Sink, err: *mut Sink) -> Status {
    let run = || {
        // SAFETY: the host passes the vtable's own `ctx`.
        let entry = unsafe { entry_of(ctx) }?;
        let description = json!({
            "name": entry.about.name,
            "summary": entry.about.summary,
            "origin": entry.about.origin,
            "example": (entry.example)(),
            "schema": (entry.about.schema)(),
            "state": "fmrai",
        });
        // SAFETY: the host's sink lives during the call.
        unsafe { put(out, description.to_string().as_bytes()) }
    };
    // SAFETY: as above.
    unsafe { guard(err, run) }
}

unsafe extern "C" fn configure(
    ctx: *mut c_void,
    config: *const c_char,
    length: usize,
    complete: *mut Sink,
    err: *mut Sink,
) -> Status {
    let run = || {
        // SAFETY: the host passes the vtable's own `ctx`.
        let entry = unsafe { entry_of(ctx) }?;
        // SAFETY: the host's text lives during the call.
        let config = config_of(entry, unsafe { json_of(config, length) }?)?;
        let text = serde_json::to_string(&config).map_err(|e| Failure::invalid(e.to_string()))?;
        // SAFETY: the host's sink lives during the call.
        unsafe { put(complete, text.as_bytes()) }
    };
    // SAFETY: as above.
    unsafe { guard(err, run) }
}

unsafe extern "C" fn create(
    ctx: *mut c_void,
    config: *const c_char,
    length: usize,
    out: *mut *mut c_void,
    err: *mut Sink,
) -> Status {
    let run = || {
        // SAFETY: the host passes the vtable's own `ctx`.
        let entry = unsafe { entry_of(ctx) }?;
        // SAFETY: the host's text lives during the call.
        let config = config_of(entry, unsafe { json_of(config, length) }?)?;
        if out.is_null() {
            return Err(Failure::invalid("out is NULL"));
        }
        if entry.drives_model && !experiments_carried() {
            let what = "it drives the model, which needs a host with fmrai.experiment/1: use a newer fmrai";
            return Err(Failure::status(ERR_UNSUPPORTED, what));
        }
        let instance = Box::new(Instance { method: config.method()?, poisoned: false, leases: Vec::new() });
        INSTANCES.fetch_add(1, Ordering::SeqCst);
        // SAFETY: not NULL, and the host's.
        unsafe { out.write(Box::into_raw(instance).cast()) };
        Ok(())
    };
    // SAFETY: the host's sink lives during the call.
    unsafe { guard(err, run) }
}

/// Runs a method of an instance, unless an earlier one panicked.
///
/// # Safety
/// `this` came from `create`, nobody else uses it during the call, and `err` is a sink that lives.
unsafe fn method(
    this: *mut c_void,
    err: *mut Sink,
    run: impl FnOnce(&mut Method) -> Result<(), Failure>,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { leasing(this, err, |method, _| run(method)) }
}

/// The same, for a method that is shown weights.
///
/// # Safety
/// As for [`method`].
unsafe fn leasing(
    this: *mut c_void,
    err: *mut Sink,
    run: impl FnOnce(&mut Method, &mut Vec<model::Lease>) -> Result<(), Failure>,
) -> Status {
    // SAFETY: the caller's promise.
    let Some(instance) = (unsafe { this.cast::<Instance>().as_mut() }) else {
        // SAFETY: the caller's promise.
        return unsafe { guard(err, || Err(Failure::invalid("self is NULL"))) };
    };
    let poisoned = instance.poisoned;
    let (method, leases) = (&mut instance.method, &mut instance.leases);
    let call = || {
        if poisoned {
            Err(Failure::status(ERR_PANIC, "it panicked before and is not used any more"))
        } else {
            run(method, leases)
        }
    };
    // SAFETY: the caller's promise.
    let status = unsafe { guard(err, call) };
    instance.poisoned |= status == ERR_PANIC;
    status
}

unsafe extern "C" fn prepare(
    this: *mut c_void,
    model: *const raw::Model,
    request: *mut Sink,
    err: *mut Sink,
) -> Status {
    let run = |method: &mut Method, leases: &mut Vec<model::Lease>| {
        // SAFETY: the host's model lives during the call.
        let mut model = unsafe { model::Received::read(model) }.map_err(Failure::invalid)?;
        leases.extend(model.lease());
        let wanted = method.prepare(&model.view())?;
        let tensors: Vec<u32> = wanted.tensors().map(|id| id.0).collect();
        // SAFETY: the host's sink lives during the call.
        unsafe { put(request, json!({ "tensors": tensors }).to_string().as_bytes()) }
    };
    // SAFETY: the host keeps the contract.
    unsafe { leasing(this, err, run) }
}

unsafe extern "C" fn track_batch(this: *mut c_void, batch: *const raw::Batch, err: *mut Sink) -> Status {
    let run = |method: &mut Method| {
        // SAFETY: the host's batch lives during the call.
        let batch = unsafe { batch::Received::read(batch) }.map_err(Failure::invalid)?;
        match method {
            Method::Analyzer(analyzer) => Ok(analyzer.track_batch(&batch.batch())?),
            Method::Experiment(_) => Err(Failure::status(ERR_UNSUPPORTED, "it drives the model")),
        }
    };
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, run) }
}

unsafe extern "C" fn state(this: *mut c_void, out: *mut Sink, err: *mut Sink) -> Status {
    let run = |method: &mut Method| {
        let bytes = method.analysis().state()?.to_bytes().map_err(|e| Failure::invalid(e.to_string()))?;
        // SAFETY: the host's sink lives during the call.
        unsafe { put(out, &bytes) }
    };
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, run) }
}

unsafe extern "C" fn merge(this: *mut c_void, bytes: *const c_void, length: usize, err: *mut Sink) -> Status {
    let run = |method: &mut Method| {
        // SAFETY: the host's bytes live during the call.
        let bytes = unsafe { slice(bytes.cast::<u8>(), length) };
        let state = State::from_bytes(bytes).map_err(|e| Failure::invalid(e.to_string()))?;
        Ok(method.analysis_mut().merge(&state)?)
    };
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, run) }
}

unsafe extern "C" fn analyze(this: *mut c_void, into: *const raw::Report, err: *mut Sink) -> Status {
    // SAFETY: the host keeps the contract.
    unsafe { answer(this, into, err, |analyzer| analyzer.analyze()) }
}

unsafe extern "C" fn interim(this: *mut c_void, into: *const raw::Report, err: *mut Sink) -> Status {
    let store = |analyzer: &dyn Analysis| Ok(Report { store: analyzer.interim()?, ..Report::default() });
    // SAFETY: the host keeps the contract.
    unsafe { answer(this, into, err, store) }
}

/// # Safety
/// `this` is an instance of ours, and the host's report and sink live during the call.
unsafe fn answer(
    this: *mut c_void,
    into: *const raw::Report,
    err: *mut Sink,
    report: impl FnOnce(&dyn Analysis) -> Result<Report, AnalyzerError>,
) -> Status {
    let run = |method: &mut Method| {
        let (document, tensors) = report::write(report(method.analysis())?).map_err(Failure::invalid)?;
        // SAFETY: the host's report lives during the call.
        let into = unsafe { raw::read_prefix(into) }.map_err(Failure::invalid)?;
        let (Some(set_document), Some(add_tensor)) = (into.set_document, into.add_tensor) else {
            return Err(Failure::invalid("the host's report takes nothing"));
        };
        for (name, value) in tensors {
            let tensor = tensor::managed(value, 0);
            // SAFETY: the host owns the tensor from here on; the name lives during the call.
            let status = unsafe { add_tensor(into.ctx, name.as_ptr().cast(), name.len(), tensor) };
            if status != OK {
                return Err(Failure::status(status, format!("the host refused the tensor {name:?}")));
            }
        }
        // SAFETY: the document lives during the call.
        match unsafe { set_document(into.ctx, document.as_ptr().cast(), document.len()) } {
            OK => Ok(()),
            status => Err(Failure::status(status, "the host refused the report's document")),
        }
    };
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, run) }
}

/// # Errors
/// It observes only.
fn experiment_of(method: &mut Method) -> Result<&mut dyn Experiment, Failure> {
    match method {
        Method::Experiment(experiment) => Ok(experiment.as_mut()),
        Method::Analyzer(_) => Err(Failure::status(ERR_UNSUPPORTED, "it does not drive the model")),
    }
}

unsafe extern "C" fn passes(
    this: *mut c_void,
    samples: *const *const raw::Sample,
    count: u32,
    out: *mut f64,
    err: *mut Sink,
) -> Status {
    let run = |method: &mut Method| {
        // SAFETY: the host's samples live during the call.
        let samples = unsafe { batch::read_samples(samples, count) }.map_err(Failure::invalid)?;
        let passes = experiment_of(method)?.passes(&samples);
        if out.is_null() {
            return Err(Failure::invalid("out is NULL"));
        }
        // SAFETY: not NULL, and the host's.
        unsafe { out.write(passes) };
        Ok(())
    };
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, run) }
}

unsafe extern "C" fn run_batch(
    this: *mut c_void,
    batch: *const raw::Batch,
    bench: *const raw::experiment::Bench,
    err: *mut Sink,
) -> Status {
    let run = |method: &mut Method| {
        // SAFETY: the host's batch lives during the call.
        let batch = unsafe { batch::Received::read(batch) }.map_err(Failure::invalid)?;
        // SAFETY: and so does its bench.
        let mut bench = unsafe { ForeignBench::of(bench) }.map_err(Failure::invalid)?;
        Ok(experiment_of(method)?.run_batch(&batch.batch(), &mut bench)?)
    };
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, run) }
}

unsafe extern "C" fn sweeps(this: *mut c_void) -> u32 {
    let mut told = 1;
    let run = |method: &mut Method| {
        told = batch::count(experiment_of(method)?.sweeps());
        Ok(())
    };
    // SAFETY: the host keeps the contract; there is no sink.
    unsafe { method(this, std::ptr::null_mut(), run) };
    told
}

unsafe extern "C" fn next_sweep(this: *mut c_void, err: *mut Sink) -> Status {
    // SAFETY: the host keeps the contract.
    unsafe { method(this, err, |method| Ok(experiment_of(method)?.next_sweep()?)) }
}

unsafe extern "C" fn destroy(this: *mut c_void, err: *mut Sink) -> Status {
    if this.is_null() {
        return OK;
    }
    INSTANCES.fetch_sub(1, Ordering::SeqCst);
    let run = || {
        // SAFETY: `create` made it, and the host destroys an instance once.
        drop(unsafe { Box::from_raw(this.cast::<Instance>()) });
        Ok(())
    };
    // SAFETY: the host's sink lives during the call.
    unsafe { guard(err, run) }
}

unsafe extern "C" fn init(host: *const raw::Host, err: *mut Sink) -> Status {
    let run = || {
        // SAFETY: the host's struct lives as long as the process.
        let host = unsafe { raw::read_prefix(host) }.map_err(Failure::invalid)?;
        let host = HOST.get_or_init(|| host);
        install_hook();
        log::forward_to(host);
        analyzers().map(|_| ()).map_err(Failure::invalid)
    };
    // SAFETY: the host's sink lives during the call.
    unsafe { guard(err, run) }
}

unsafe extern "C" fn analyzer_count() -> u32 {
    analyzers().map_or(0, |list| batch::count(list.len()))
}

unsafe extern "C" fn analyzer(index: u32) -> *const raw::Analyzer {
    let found = analyzers().ok().and_then(|list| list.get(index as usize).copied());
    found.map_or(std::ptr::null(), std::ptr::from_ref)
}

unsafe extern "C" fn instances() -> i64 {
    INSTANCES.load(Ordering::SeqCst)
}

unsafe extern "C" fn tensors() -> i64 {
    tensor::LIVE.load(Ordering::SeqCst)
}

unsafe extern "C" fn analyzer_extension(id: *const c_char) -> *const c_void {
    static INTERIM: raw::Interim = raw::Interim { interim: Some(interim) };
    // SAFETY: names of extensions end with NUL.
    unsafe { named(id, c"fmrai.interim/1", &INTERIM) }
}

unsafe extern "C" fn experiment_extension(id: *const c_char) -> *const c_void {
    static EXPERIMENT: raw::experiment::Experiment = raw::experiment::Experiment {
        passes: Some(passes),
        run_batch: Some(run_batch),
        sweeps: Some(sweeps),
        next_sweep: Some(next_sweep),
    };
    // SAFETY: names of extensions end with NUL.
    let own = unsafe { named(id, c"fmrai.experiment/1", &EXPERIMENT) };
    // SAFETY: as above.
    if own.is_null() { unsafe { analyzer_extension(id) } } else { own }
}

/// An extension if its name is asked for.
///
/// # Safety
/// `id` is NULL or a text that ends with NUL.
unsafe fn named<T>(id: *const c_char, name: &CStr, extension: &'static T) -> *const c_void {
    // SAFETY: the caller's promise.
    if id.is_null() || unsafe { CStr::from_ptr(id) } != name {
        return std::ptr::null();
    }
    std::ptr::from_ref(extension).cast()
}

unsafe extern "C" fn get_extension(id: *const c_char) -> *const c_void {
    static LIVE: raw::Live = raw::Live { instances: Some(instances), tensors: Some(tensors) };
    // SAFETY: names of extensions end with NUL.
    unsafe { named(id, c"fmrai.live/1", &LIVE) }
}

/// What [`export_plugin!`](crate::export_plugin) exports; not an interface.
#[doc(hidden)]
#[must_use]
pub fn entry(host_major: u32) -> *const c_void {
    static PLUGIN: raw::Plugin = raw::Plugin {
        magic: manifest::MAGIC,
        abi_major: super::ABI_MAJOR,
        abi_minor: super::ABI_MINOR,
        struct_size: raw::size::<raw::Plugin>(),
        flags: manifest::FLAGS,
        init: Some(init),
        analyzer_count: Some(analyzer_count),
        analyzer: Some(analyzer),
        get_extension: Some(get_extension),
    };
    if host_major == super::ABI_MAJOR { std::ptr::from_ref(&PLUGIN).cast() } else { std::ptr::null() }
}

/// Analyzers of this program by name, each behind its C functions; for tests that run them both ways.
pub(super) fn vtables() -> Result<BTreeMap<&'static str, &'static raw::Analyzer>, String> {
    let registry = Registry::linked().map_err(|e| e.to_string())?;
    Ok(registry.iter().map(|e| e.about.name).zip(analyzers()?.iter().copied()).collect())
}

/// Makes the analyzers of this crate a plugin: exports the one symbol that hosts look for, and the manifest that they
/// read before any code runs. Once per library, in a crate with `crate-type = ["cdylib"]`.
///
/// A library that links libtorch itself names the exact version: `export_plugin!(libtorch: "2.13.0")`.
#[macro_export]
macro_rules! export_plugin {
    () => { $crate::export_plugin!(@ "null"); };
    (libtorch: $version:literal) => { $crate::export_plugin!(@ ::core::concat!("\"", $version, "\"")); };
    (@ $libtorch:expr) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!("a plugin has to be built with panic = \"unwind\": its panics would end the host");

        #[allow(unsafe_code, reason = "exported symbols")]
        const _: () = {
            const MANIFEST: &str = ::core::concat!(
                "{\"name\":\"", ::core::env!("CARGO_PKG_NAME"), "\",\"version\":\"", ::core::env!("CARGO_PKG_VERSION"),
                "\",\"libtorch\":", $libtorch, "}"
            );
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__fmrai"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".fmrai"))]
            static SECTION: $crate::abi::ManifestSection<{ MANIFEST.len() + 1 }> =
                $crate::abi::ManifestSection::new(MANIFEST);

            #[unsafe(no_mangle)]
            extern "C" fn fmrai_plugin_entry_v1(host_major: u32, _minor: u32) -> *const ::core::ffi::c_void {
                $crate::abi::entry(host_major)
            }
        };
    };
}
