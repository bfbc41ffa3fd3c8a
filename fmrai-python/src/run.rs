//! Runs on live models: the same as those of plans.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fmrai_core::report::Report as Found;
use fmrai_host::events::{Event, Observer};
use fmrai_host::plan::Parity;
use fmrai_host::run::{Outcome, Run};
use fmrai_torch::data::RegisteredDataSource;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::analysis::config;
use crate::batches::Offered;
use crate::error::{RunError, line};
use crate::model::PyModel;
use crate::report::Report;
use crate::tokenizer::{Tokenizer, read};

/// How often a run looks whether Python was interrupted.
const LOOK: Duration = Duration::from_millis(5);

/// How a run ended, as Python takes it: each analysis with its report, or where and why it failed; and the rest as JSON.
type Ended = (Vec<(String, Option<Py<Report>>, Option<(String, String)>)>, String);

/// Runs analyses and experiments on a live model. `data` is the JSON of a data source, or `open()` that gives an iterator of batches.
/// `batches(n)` is told how many batches were absorbed.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call from one place")]
pub(crate) fn run(
    py: Python<'_>,
    bridge: Py<PyAny>,
    data: Bound<'_, PyAny>,
    analyses: Vec<(String, String, String)>,
    tokenizer: Option<Py<Tokenizer>>,
    output: Option<PathBuf>,
    parity: &str,
    force: bool,
    resume: bool,
    progress: bool,
    batches: Option<Py<PyAny>>,
) -> PyResult<Ended> {
    let parity: Parity = serde_json::from_value(Value::from(parity))
        .map_err(|_| PyValueError::new_err("parity is \"off\", \"first\" or \"every\""))?;
    let tokenizer = tokenizer.map(|given| {
        // A run takes its model to another thread, and the tokenizer with it.
        let given = given.get();
        read(&given.folder, given.rows).map(Arc::new)
    });
    let model = PyModel::of(py, bridge, tokenizer.transpose()?)?;
    let mut offered = None;
    let source = match data.extract::<String>() {
        Ok(text) => text,
        Err(_) => {
            let number = offered.insert(Offered::new(data.unbind())).0;
            json!({ "type": "python", "number": number }).to_string()
        }
    };
    let source: Box<dyn RegisteredDataSource> =
        serde_json::from_str(&source).map_err(|error| RunError::new_err(format!("data: {error}")))?;
    let mut run = Run::new().model(Box::new(model)).data_source(source).parity(parity);
    let mut known = Vec::new();
    for (name, kind, settings) in analyses {
        let (config, fields) = config(&kind, &settings)?;
        run = run.config(&name, config);
        known.push((name, kind, fields));
    }
    if let Some(output) = output {
        run = run.output(output);
    }
    run = if force { run.force() } else { run };
    run = if resume { run.resume() } else { run };
    run = if progress { run.progress() } else { run };
    let outcome = interruptible(py, run, batches)?;
    let about = about(&outcome);
    let mut ended = Vec::with_capacity(known.len());
    for ((name, answer), (_, kind, fields)) in outcome.analyses.into_iter().zip(known) {
        ended.push(match answer {
            Ok(report) => (name.clone(), Some(Py::new(py, Report { name, kind, fields, report })?), None),
            Err(failure) => (name, None, Some((failure.stage.to_string(), failure.message))),
        });
    }
    drop(offered);
    Ok((ended, about))
}

/// Counts the batches that were absorbed.
struct Absorbed(Arc<AtomicU64>);

impl Observer for Absorbed {
    fn observe(&self, event: &Event) {
        if let Event::Batch { batches, .. } = event {
            self.0.store(*batches, Ordering::Relaxed);
        }
    }
}

/// Runs it in a thread of its own, while this one looks for signals, which Python handles in its main thread alone.
fn interruptible(py: Python<'_>, run: Run, batches: Option<Py<PyAny>>) -> PyResult<Outcome<Found>> {
    let absorbed = Arc::new(AtomicU64::new(0));
    let run = if batches.is_some() { run.observer(Absorbed(Arc::clone(&absorbed))) } else { run };
    let mut told = 0;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let run = run.stop(move |_| asked.load(Ordering::Relaxed));
    let thread = std::thread::spawn(move || run.run());
    let mut raised = None;
    while !thread.is_finished() {
        py.detach(|| std::thread::sleep(LOOK));
        let now = absorbed.load(Ordering::Relaxed);
        let tells = batches.as_ref().filter(|_| now != told && raised.is_none());
        told = now;
        if let Err(error) =
            py.check_signals().and_then(|()| tells.map_or(Ok(()), |b| b.call1(py, (now,)).map(drop)))
        {
            stop.store(true, Ordering::Relaxed);
            raised = Some(error);
        }
    }
    let outcome = py.detach(|| thread.join());
    match (raised, outcome) {
        (Some(raised), _) => Err(raised),
        (None, Ok(Ok(outcome))) => Ok(outcome),
        (None, Ok(Err(error))) => Err(RunError::new_err(line(&error))),
        (None, Err(_)) => Err(RunError::new_err("internal error: the run has panicked, please report it")),
    }
}

fn about(outcome: &Outcome<Found>) -> String {
    json!({
        "output": outcome.output,
        "counts": outcome.counts,
        "parity": outcome.parity,
        "outputs_differ": outcome.outputs_differ(),
        "warnings": outcome.warnings,
    })
    .to_string()
}
