//! An instance behind C functions as an analyzer, or as an experiment.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::description::{Description, StateFormat};
use super::functions::Functions;
use super::raw::{self, Collected, DLManagedTensorVersioned, ERR_INVALID, ERR_PANIC, OK, Sink, Status};
use super::{batch, lent_bench, model, report, tensor};
use crate::analyzer::{Analysis, Analyzer, AnalyzerError, ModelView, State, StateError, Weights};
use crate::batch::{Batch, Sample};
use crate::experiment::{Bench, Experiment};
use crate::graph::TensorId;
use crate::report::{Report, Store};
use crate::tensor::{TensorData, TensorValue};
use crate::tracker::CaptureRequest;

/// An instance of the other side.
pub(super) struct Instance {
    functions: Functions,
    description: Arc<Description>,
    this: *mut c_void,
    request: CaptureRequest,
    /// Tensors of a CUDA device stay there.
    on_device: bool,
    /// All that it was shown, each in a place of its own that the other side may know until it is destroyed.
    #[expect(clippy::vec_box, reason = "the places stay where they are when another one is added")]
    weights: Vec<Box<Arc<dyn Weights>>>,
}

// SAFETY: the contract lets an instance move between threads as long as no two calls use it at once, which `&mut`
// and the functions that take `&self` below see to, since `Instance` is not `Sync`.
unsafe impl Send for Instance {}

/// The name of a tensor's state in which the bytes of a plugin are kept.
const BYTES: &str = "bytes";

impl Instance {
    /// What `create` made, which is ours from here on.
    pub(super) fn new(functions: Functions, description: Arc<Description>, this: *mut c_void) -> Self {
        let request = CaptureRequest::none();
        Self { functions, description, this, request, on_device: false, weights: Vec::new() }
    }

    fn call(
        &self,
        run: impl FnOnce(&raw::Analyzer, *mut c_void, *mut Sink) -> Status,
    ) -> Result<(), AnalyzerError> {
        let mut err = Collected::new();
        match run(&self.functions.raw, self.this, &mut err.sink()) {
            OK => Ok(()),
            ERR_PANIC => Err(AnalyzerError::Panicked(err.message(ERR_PANIC))),
            status => Err(AnalyzerError::Other(err.message(status))),
        }
    }

    fn wrap(&self, bytes: &[u8]) -> Result<State, AnalyzerError> {
        let Description { name, state, state_version, .. } = &*self.description;
        if *state == StateFormat::Fmrai {
            return Ok(State::from_bytes(bytes)?);
        }
        let mut state = State::new(name, *state_version, serde_json::json!({ "bytes": bytes.len() }));
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            i64::from_le_bytes(word)
        });
        let words: Vec<i64> = words.collect();
        let value = TensorValue::new([words.len()], TensorData::I64(words)).map_err(other)?;
        state.tensors.insert(BYTES.to_owned(), value);
        Ok(state)
    }

    fn unwrap(&self, state: &State) -> Result<Vec<u8>, AnalyzerError> {
        let Description { name, state: format, state_version, .. } = &*self.description;
        if *format == StateFormat::Fmrai {
            return Ok(state.to_bytes()?);
        }
        state.expect(name, *state_version)?;
        let length =
            state.document.get("bytes").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(|| part("absent"))?;
        let words = state.tensor(BYTES, &[length.div_ceil(8)])?.i64().map_err(|e| part(&e.to_string()))?;
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn part(found: &str) -> StateError {
    StateError::Part {
        part: BYTES.to_owned(),
        found: found.to_owned(),
        needed: "the bytes of a plugin's state".to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err calls")]
fn other(error: impl ToString) -> AnalyzerError {
    AnalyzerError::Other(error.to_string())
}

/// What a plugin asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    tensors: Vec<u32>,
    #[serde(default)]
    device: Where,
}

/// Where a plugin reads tensors.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Where {
    #[default]
    Cpu,
    /// Where the model has them.
    Same,
}

impl Instance {
    /// Shows it the model, and reads what it asks for.
    fn prepared(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        let mut out = Collected::new();
        let mut sink = out.sink();
        let shown = model.weights.map(|weights| Box::new(Arc::clone(weights)));
        let outcome = model::lend(model, shown.as_deref(), |model| {
            // SAFETY: instance and arguments live during the call; the function was checked to be there.
            self.call(|f, this, err| f.prepare.map_or(OK, |f| unsafe { f(this, model, &mut sink, err) }))
        });
        self.weights.extend(shown);
        outcome.map_err(other)??;
        let text = out.text("its request").map_err(other)?;
        let Request { tensors, device } =
            serde_json::from_str(&text).map_err(|e| other(format!("its request cannot be read: {e}")))?;
        let known = model.graph.tensors().len();
        if let Some(unknown) = tensors.iter().find(|id| **id as usize >= known && known > 0) {
            return Err(other(format!("it asks for tensor #{unknown}, the graph has #0 to #{}", known - 1)));
        }
        self.on_device = device == Where::Same;
        self.request = tensors.into_iter().map(TensorId).collect();
        Ok(self.request.clone())
    }
}

impl Analyzer for Instance {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.prepared(model)
    }

    fn track_batch(&mut self, batch: &Batch<'_>) -> Result<(), AnalyzerError> {
        batch::lend(batch, &self.request, self.on_device, |batch| {
            // SAFETY: instance and batch live during the call; the function was checked to be there.
            self.call(|f, this, err| f.track_batch.map_or(OK, |f| unsafe { f(this, batch, err) }))
        })?
    }
}

impl Experiment for Instance {
    fn prepare(&mut self, model: &ModelView<'_>) -> Result<CaptureRequest, AnalyzerError> {
        self.prepared(model)
    }

    fn passes(&self, samples: &[Sample]) -> f64 {
        let Some(passes) = self.functions.experiment.and_then(|found| found.passes) else { return 0.0 };
        let mut number = 0.0;
        let Ok(samples) = batch::LentSamples::of(samples) else { return f64::NAN };
        let list = samples.list();
        let told = self.call(|_, this, err| {
            // SAFETY: instance and samples live during the call.
            unsafe { passes(this, list.as_ptr(), batch::count(list.len()), &mut number, err) }
        });
        if told.is_ok() { number } else { f64::NAN }
    }

    fn run_batch(&mut self, batch: &Batch<'_>, bench: &mut dyn Bench) -> Result<(), AnalyzerError> {
        let run = self.functions.experiment.and_then(|found| found.run_batch);
        let run = run.ok_or_else(|| other("it does not drive the model"))?;
        batch::lend(batch, &self.request, self.on_device, |batch| {
            // SAFETY: instance, batch and bench live during the call.
            lent_bench::lend(bench, |bench| self.call(|_, this, err| unsafe { run(this, batch, bench, err) }))
        })?
    }

    fn sweeps(&self) -> usize {
        let sweeps = self.functions.experiment.and_then(|found| found.sweeps);
        // SAFETY: the instance lives during the call.
        sweeps.map_or(1, |sweeps| unsafe { sweeps(self.this) } as usize)
    }

    fn next_sweep(&mut self) -> Result<(), AnalyzerError> {
        let Some(next) = self.functions.experiment.and_then(|found| found.next_sweep) else { return Ok(()) };
        // SAFETY: the instance lives during the call.
        self.call(|_, this, err| unsafe { next(this, err) })
    }
}

impl Analysis for Instance {
    fn state(&self) -> Result<State, AnalyzerError> {
        let mut out = Collected::new();
        let mut sink = out.sink();
        // SAFETY: instance and sinks live during the call; the function was checked to be there.
        self.call(|f, this, err| f.state.map_or(OK, |f| unsafe { f(this, &mut sink, err) }))?;
        self.wrap(&out.bytes())
    }

    fn merge(&mut self, state: &State) -> Result<(), AnalyzerError> {
        let bytes = self.unwrap(state)?;
        self.call(|f, this, err| {
            // SAFETY: instance and bytes live during the call; the function was checked to be there.
            f.merge.map_or(OK, |f| unsafe { f(this, bytes.as_ptr().cast(), bytes.len(), err) })
        })
    }

    fn analyze(&self) -> Result<Report, AnalyzerError> {
        // SAFETY: instance and report live during the call; the function was checked to be there.
        self.report(|f, this, into, err| f.raw.analyze.map_or(OK, |f| unsafe { f(this, into, err) }))
    }

    fn interim(&self) -> Result<Option<Store>, AnalyzerError> {
        let Some(interim) = self.functions.interim.and_then(|i| i.interim) else { return Ok(None) };
        // SAFETY: instance and report live during the call.
        Ok(self.report(|_, this, into, err| unsafe { interim(this, into, err) })?.store)
    }
}

impl Instance {
    /// The report that a function of the other side writes.
    fn report(
        &self,
        run: impl FnOnce(&Functions, *mut c_void, *const raw::Report, *mut Sink) -> Status,
    ) -> Result<Report, AnalyzerError> {
        let mut answer = Answer::default();
        let into = raw::Report {
            struct_size: raw::size::<raw::Report>(),
            reserved: 0,
            ctx: std::ptr::from_mut(&mut answer).cast(),
            set_document: Some(set_document),
            add_tensor: Some(add_tensor),
        };
        let outcome = self.call(|_, this, err| run(&self.functions, this, &raw const into, err));
        match (outcome, answer.refused) {
            (Ok(()), None) => {
                report::read(answer.document.as_deref().unwrap_or("{}"), answer.tensors).map_err(other)
            }
            // The reason of a refusal is the host's; the plugin can only say that there was one.
            (_, Some(reason)) => Err(other(reason)),
            (Err(error), None) => Err(error),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the instance is destroyed once; the function was checked to be there.
        let destroyed = self.call(|f, this, err| f.destroy.map_or(OK, |f| unsafe { f(this, err) }));
        if let Err(error) = destroyed {
            // As for an analyzer that is linked: a panic in its drop is a panic here, for the host to catch.
            if !std::thread::panicking() {
                std::panic::resume_unwind(Box::new(error.to_string()));
            }
        }
    }
}

#[derive(Default)]
struct Answer {
    document: Option<String>,
    tensors: Vec<(String, TensorValue)>,
    refused: Option<String>,
}

impl Answer {
    fn refuse(&mut self, reason: String) -> Status {
        self.refused.get_or_insert(reason);
        ERR_INVALID
    }
}

unsafe extern "C" fn set_document(ctx: *mut c_void, text: *const c_char, length: usize) -> Status {
    // SAFETY: `analyze` put an answer there that lives during the call.
    let Some(answer) = (unsafe { ctx.cast::<Answer>().as_mut() }) else { return ERR_INVALID };
    // SAFETY: the plugin's text lives during the call.
    match std::str::from_utf8(unsafe { raw::slice(text.cast::<u8>(), length) }) {
        Ok(text) => {
            answer.document = Some(text.to_owned());
            OK
        }
        Err(error) => answer.refuse(format!("the report's document is not UTF-8: {error}")),
    }
}

unsafe extern "C" fn add_tensor(
    ctx: *mut c_void,
    name: *const c_char,
    length: usize,
    given: *mut DLManagedTensorVersioned,
) -> Status {
    // SAFETY: ownership moves here in any case.
    let value = unsafe { tensor::take(given) };
    // SAFETY: `analyze` put an answer there that lives during the call.
    let Some(answer) = (unsafe { ctx.cast::<Answer>().as_mut() }) else { return ERR_INVALID };
    // SAFETY: the plugin's text lives during the call.
    let name = String::from_utf8(unsafe { raw::slice(name.cast::<u8>(), length) }.to_vec());
    match (name, value) {
        (Ok(name), Ok(value)) => {
            answer.tensors.push((name, value));
            OK
        }
        (Ok(name), Err(reason)) => {
            answer.refuse(format!("the report's tensor {name:?} cannot be used: {reason}"))
        }
        (Err(error), _) => answer.refuse(format!("a tensor's name is not UTF-8: {error}")),
    }
}
