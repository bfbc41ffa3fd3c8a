//! `fmrai run`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};

use super::count;
use crate::error::{Error, Exit};
use crate::plan::{self, Catalogue};
use crate::run::{self, Options, Outcome, ParityReport};
use crate::terminal;

/// Lines of a report's summary that are shown; the rest is in its file.
const LINES: usize = 2;

/// Runs a plan.
pub(crate) fn run(
    file: &Path,
    output: Option<PathBuf>,
    resume: bool,
    force: bool,
    threads: Option<usize>,
) -> Result<Exit, Error> {
    let mut plan = plan::read(file, &Catalogue::linked()?)?;
    if let Some(output) = output {
        plan.output = output;
    }
    fmrai_core::capture::keep_freed_pages();
    let interrupted = watch_interrupts()?;
    let stop = |_| interrupted.load(Ordering::Relaxed);
    let outcome = run::run(plan, &Options { resume, force, threads, stop: &stop })?;
    terminal::answer(&describe(&outcome))?;
    Ok(outcome.exit())
}

/// The first interrupt ends the run after the current batch, a second one ends it at once.
fn watch_interrupts() -> Result<Arc<AtomicBool>, Error> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
        terminal::note("stopping after this batch; once more to stop at once");
    })
    .map_err(|e| Error::Internal(format!("interrupts cannot be watched: {e}")))?;
    Ok(interrupted)
}

fn describe(outcome: &Outcome) -> String {
    let counts = outcome.counts;
    let mut text = format!("results: {}\n", outcome.output.display());
    let _ = write!(text, "data: {}, {}", count(counts.texts, "text"), count(counts.tokens, "token"));
    if counts.truncated_texts > 0 {
        let lost = count(counts.truncated_tokens, "token");
        let _ = write!(text, "; {} cut, {lost} lost", count(counts.truncated_texts, "text"));
    }
    if counts.skipped_empty > 0 {
        let _ = write!(text, "; {} left out", count(counts.skipped_empty, "empty record"));
    }
    text.push('\n');
    if outcome.non_finite_weights > 0 {
        let weights = count(outcome.non_finite_weights as u64, "weight");
        let _ = writeln!(text, "warning: {weights} of the model hold NaN or infinity, see summary.json");
    }
    let _ = writeln!(text, "parity: {}", parity(outcome.parity.as_ref()));
    for (name, answer) in &outcome.analyses {
        match answer {
            Ok(summary) => {
                let _ = writeln!(text, "{name}: {}", key_lines(summary).join("; "));
            }
            Err(failure) => {
                let _ = writeln!(text, "{name}: FAILED in {}: {}", failure.stage, failure.message);
            }
        }
    }
    text
}

fn parity(parity: Option<&ParityReport>) -> String {
    let Some(parity) = parity else {
        return "not compared with the untouched model".to_owned();
    };
    let verdict = if parity.agrees { "agree with" } else { "DIFFER from" };
    let batches = if parity.batches == 1 { "batch" } else { "batches" };
    format!(
        "outputs {verdict} the untouched model on {} {batches}, largest difference {:e}",
        parity.batches,
        parity.max_abs_difference()
    )
}

/// The first fields of a summary that fit on a line.
fn key_lines(summary: &Map<String, Value>) -> Vec<String> {
    let shown = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) if value.to_string().len() <= 60 => Some(value.to_string()),
        _ => None,
    };
    let lines = summary.iter().filter_map(|(name, value)| Some(format!("{name} {}", shown(value)?)));
    let lines: Vec<String> = lines.take(LINES).collect();
    if lines.is_empty() { vec!["done".to_owned()] } else { lines }
}
