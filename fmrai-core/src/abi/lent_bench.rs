//! The bench of a batch behind C functions, for an experiment of the other side.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::thread::{self, ThreadId};

use super::guard::{Failure, guard};
use super::raw::experiment as raw;
use super::raw::{DLTensor, Sink, Status, slice};
use super::sites::{read_objective, read_path, read_site, read_variants};
use super::tensor;
use crate::analyzer::AnalyzerError;
use crate::experiment::{Bench, BenchError, Site, Variant};
use crate::tensor::TensorValue;

/// A bench, and the tensors that its handles stand for.
struct LentBench<'b> {
    bench: &'b mut dyn Bench,
    /// Where it may be used: what watches a model does so on one thread.
    thread: ThreadId,
    held: BTreeMap<u64, Held>,
    next: u64,
}

/// A tensor with a handle, in places that stay where they are as long as it is held.
struct Held {
    value: TensorValue,
    view: Box<DLTensor>,
    _dimensions: Vec<i64>,
}

/// Calls `call` with a bench as C sees it. Its handles end with the call.
pub(super) fn lend<R>(bench: &mut dyn Bench, call: impl FnOnce(*const raw::Bench) -> R) -> R {
    let mut lent = LentBench { bench, thread: thread::current().id(), held: BTreeMap::new(), next: 1 };
    call(&raw::Bench {
        ctx: (&raw mut lent).cast(),
        measure: Some(measure),
        read: Some(read),
        gradients: Some(gradients),
        path_gradients: Some(path_gradients),
        read_tokens: Some(read_tokens),
        put: Some(put),
        view: Some(view),
        release: Some(release),
    })
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        Self::from(AnalyzerError::from(error))
    }
}

impl LentBench<'_> {
    fn hold(&mut self, value: TensorValue) -> u64 {
        let dimensions = tensor::dimensions(value.shape());
        // The elements stay where they are when the value moves.
        let view = Box::new(tensor::lent(&value.view(), &dimensions));
        let handle = self.next;
        self.next += 1;
        self.held.insert(handle, Held { value, view, _dimensions: dimensions });
        handle
    }

    fn value(&self, handle: u64) -> Result<TensorValue, String> {
        let held = self.held.get(&handle).map(|held| held.value.clone());
        held.ok_or_else(|| format!("no tensor has the handle {handle}"))
    }

    /// # Safety
    /// As for [`read_variants`].
    unsafe fn variants(&self, variants: &[raw::Variant]) -> Result<Vec<Variant>, Failure> {
        // SAFETY: the caller's promise.
        unsafe { read_variants(variants, &|handle| self.value(handle)) }.map_err(Failure::invalid)
    }
}

fn sites_of(sites: &[raw::Site]) -> Result<Vec<Site>, Failure> {
    sites.iter().map(read_site).collect::<Result<_, _>>().map_err(Failure::invalid)
}

/// Runs a function of the bench.
///
/// # Safety
/// `ctx` is that of a bench that is lent, and `err` a sink that lives.
unsafe fn with(
    ctx: *mut c_void,
    err: *mut Sink,
    run: impl FnOnce(&mut LentBench<'_>) -> Result<(), Failure>,
) -> Status {
    let call = || {
        if ctx.is_null() {
            return Err(Failure::invalid("the bench is NULL"));
        }
        let bench = ctx.cast::<LentBench<'_>>();
        // SAFETY: `lend` put it there; the thread is never written to.
        if unsafe { (*bench).thread } != thread::current().id() {
            return Err(Failure::invalid("a bench is used on another thread than that of run_batch"));
        }
        // SAFETY: as above; on this thread nobody else uses it.
        run(unsafe { &mut *bench })
    };
    // SAFETY: the caller's promise.
    unsafe { guard(err, call) }
}

/// Where an answer goes that has to be of one length.
///
/// # Safety
/// `into` is NULL or has place for so many.
unsafe fn fill<T: Copy>(into: *mut T, values: &[T]) -> Result<(), Failure> {
    if into.is_null() && !values.is_empty() {
        return Err(Failure::invalid("the place for an answer is NULL"));
    }
    for (at, value) in values.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { into.add(at).write(*value) };
    }
    Ok(())
}

unsafe extern "C" fn measure(
    ctx: *mut c_void,
    variants: *const raw::Variant,
    n_variants: u32,
    objectives: *const raw::Objective,
    n_objectives: u32,
    values: *mut f64,
    n_values: u64,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        // SAFETY: the plugin's lists live during the call, here and below.
        let variants = unsafe { lent.variants(slice(variants, n_variants as usize)) }?;
        // SAFETY: as above.
        let objectives = unsafe { slice(objectives, n_objectives as usize) }
            .iter()
            // SAFETY: as above.
            .map(|objective| unsafe { read_objective(objective) })
            .collect::<Result<Vec<_>, _>>()
            .map_err(Failure::invalid)?;
        let rows: usize = variants.iter().map(|variant| variant.rows.len()).sum();
        let needed = rows * objectives.len();
        if n_values != needed as u64 {
            return Err(Failure::invalid(format!("there is place for {n_values} numbers, needed {needed}")));
        }
        let measured = lent.bench.measure(&variants, &objectives)?;
        let flat: Vec<f64> = measured.into_iter().flatten().flatten().collect();
        if flat.len() != needed {
            return Err(Failure::invalid(format!("the bench measures {} numbers, not {needed}", flat.len())));
        }
        // SAFETY: there is place for as many by contract.
        unsafe { fill(values, &flat) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

unsafe extern "C" fn read(
    ctx: *mut c_void,
    variants: *const raw::Variant,
    n_variants: u32,
    sites: *const raw::Site,
    n_sites: u32,
    handles: *mut u64,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        // SAFETY: the plugin's lists live during the call, here and below.
        let variants = unsafe { lent.variants(slice(variants, n_variants as usize)) }?;
        // SAFETY: as above.
        let sites = sites_of(unsafe { slice(sites, n_sites as usize) })?;
        let read = lent.bench.read_all(&variants, &sites)?;
        let made: Vec<u64> = read.into_iter().flatten().map(|value| lent.hold(value)).collect();
        // SAFETY: there is place for a handle of each variant and site by contract.
        unsafe { fill(handles, &made) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

/// A variant and an objective of the other side.
///
/// # Safety
/// Both are NULL or live, with all that they point at.
unsafe fn subject(
    lent: &LentBench<'_>,
    variant: *const raw::Variant,
    objective: *const raw::Objective,
) -> Result<(Variant, crate::experiment::Objective), Failure> {
    // SAFETY: the caller's promise, here and below.
    let variant = unsafe { variant.as_ref() }.ok_or_else(|| Failure::invalid("the variant is NULL"))?;
    // SAFETY: as above.
    let objective = unsafe { objective.as_ref() };
    let objective = objective.ok_or_else(|| Failure::invalid("the objective is NULL"))?;
    // SAFETY: as above.
    let variant = unsafe { lent.variants(std::slice::from_ref(variant)) }?.pop();
    // SAFETY: as above.
    let objective = unsafe { read_objective(objective) }.map_err(Failure::invalid)?;
    Ok((variant.ok_or_else(|| Failure::invalid("the variant is NULL"))?, objective))
}

unsafe extern "C" fn gradients(
    ctx: *mut c_void,
    variant: *const raw::Variant,
    objective: *const raw::Objective,
    sites: *const raw::Site,
    n_sites: u32,
    values: *mut f64,
    at: *mut u64,
    gradients: *mut u64,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        // SAFETY: the plugin's structs live during the call, here and below.
        let (variant, objective) = unsafe { subject(lent, variant, objective) }?;
        // SAFETY: as above.
        let sites = sites_of(unsafe { slice(sites, n_sites as usize) })?;
        let made = lent.bench.gradients(&variant, &objective, &sites)?;
        // SAFETY: there is place for a number of each row by contract.
        unsafe { fill(values, &made.values) }?;
        if !at.is_null() {
            let held: Vec<u64> = made.at.into_iter().map(|value| lent.hold(value)).collect();
            // SAFETY: there is place for a handle of each site by contract.
            unsafe { fill(at, &held) }?;
        }
        let held: Vec<u64> = made.gradients.into_iter().map(|value| lent.hold(value)).collect();
        // SAFETY: as above.
        unsafe { fill(gradients, &held) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

unsafe extern "C" fn path_gradients(
    ctx: *mut c_void,
    variant: *const raw::Variant,
    objective: *const raw::Objective,
    paths: *const raw::Path,
    n_paths: u32,
    values: *mut f64,
    gradients: *mut u64,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        // SAFETY: the plugin's structs live during the call, here and below.
        let (variant, objective) = unsafe { subject(lent, variant, objective) }?;
        // SAFETY: as above.
        let paths = unsafe { slice(paths, n_paths as usize) }
            .iter()
            // SAFETY: as above.
            .map(|path| unsafe { read_path(path) })
            .collect::<Result<Vec<_>, _>>()
            .map_err(Failure::invalid)?;
        let made = lent.bench.path_gradients(&variant, &objective, &paths)?;
        // SAFETY: there is place for a number of each row by contract.
        unsafe { fill(values, &made.values) }?;
        let held: Vec<u64> = made.gradients.into_iter().map(|value| lent.hold(value)).collect();
        // SAFETY: there is place for a handle of each path by contract.
        unsafe { fill(gradients, &held) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

unsafe extern "C" fn read_tokens(
    ctx: *mut c_void,
    tokens: *const u32,
    n_rows: u32,
    length: u32,
    sites: *const raw::Site,
    n_sites: u32,
    handles: *mut u64,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        if length == 0 || n_rows == 0 || tokens.is_null() {
            return Err(Failure::invalid("there is no token to read"));
        }
        let count = n_rows as usize * length as usize;
        // SAFETY: the plugin's lists live during the call, here and below.
        let rows = unsafe { slice(tokens, count) }.chunks(length as usize);
        let rows: Vec<Vec<u32>> = rows.map(<[u32]>::to_vec).collect();
        // SAFETY: as above.
        let sites = sites_of(unsafe { slice(sites, n_sites as usize) })?;
        let read = lent.bench.read_tokens(&rows, &sites)?;
        let made: Vec<u64> = read.into_iter().map(|value| lent.hold(value)).collect();
        // SAFETY: there is place for a handle of each site by contract.
        unsafe { fill(handles, &made) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

unsafe extern "C" fn put(
    ctx: *mut c_void,
    given: *const DLTensor,
    handle: *mut u64,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        // SAFETY: the plugin's tensor lives during the call.
        let given = unsafe { given.as_ref() }.ok_or_else(|| Failure::invalid("the tensor is NULL"))?;
        // SAFETY: as above.
        let value = unsafe { tensor::copy(given) }.map_err(Failure::invalid)?;
        let held = lent.hold(value);
        // SAFETY: there is place for one handle by contract.
        unsafe { fill(handle, &[held]) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

unsafe extern "C" fn view(
    ctx: *mut c_void,
    handle: u64,
    out: *mut *const DLTensor,
    err: *mut Sink,
) -> Status {
    let run = |lent: &mut LentBench<'_>| {
        let held = lent.held.get(&handle);
        let held = held.ok_or_else(|| Failure::invalid(format!("no tensor has the handle {handle}")))?;
        // SAFETY: there is place for one pointer by contract.
        unsafe { fill(out, &[&raw const *held.view]) }
    };
    // SAFETY: the plugin keeps the contract.
    unsafe { with(ctx, err, run) }
}

unsafe extern "C" fn release(ctx: *mut c_void, handle: u64) {
    let run = |lent: &mut LentBench<'_>| {
        lent.held.remove(&handle);
        Ok(())
    };
    // SAFETY: the plugin keeps the contract; there is no sink.
    unsafe { with(ctx, std::ptr::null_mut(), run) };
}
