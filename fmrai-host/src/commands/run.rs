//! `fmrai run`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde_json::{Map, Value};

use super::{count, grouped};
use crate::error::{Error, Exit};
use crate::paths::shown;
use crate::plan::{self, Bytes, Catalogue, DeviceChoice, ResolvedPlan};
use crate::progress::Progress;
use crate::results::folder::ACTIVATIONS;
use crate::run::{self, Options, Outcome, ParityReport, Recorded, Work};
use crate::terminal::one_line;
use crate::{terminal, threads};

/// Lines of a report's summary that are shown, and characters of each; the rest is in its file.
const LINES: usize = 2;
const WIDTH: usize = 100;

/// What a run was told on the command line.
pub(crate) struct Asked {
    pub(crate) work: Work,
    pub(crate) resume: bool,
    pub(crate) force: bool,
    pub(crate) threads: Option<usize>,
    /// Where the model runs, instead of the plan's.
    pub(crate) device: Option<DeviceChoice>,
    /// Most memory, instead of the plan's.
    pub(crate) memory: Option<Bytes>,
}

/// Runs a plan, or a part of it: then into a folder beside the plan's, unless another is named.
pub(crate) fn run(
    file: &Path,
    catalogue: &Catalogue,
    output: Option<PathBuf>,
    asked: Asked,
) -> Result<Exit, Error> {
    let mut plan = plan::read(file, catalogue)?;
    match (output, &asked.work) {
        (Some(output), _) => plan.output = output,
        (None, Work::Part(part)) => {
            plan.output.as_mut_os_string().push(format!(".{}", part.folder()));
        }
        (None, _) => {}
    }
    execute(plan, asked)
}

/// Runs what a plan or a command has become, and tells how it went.
pub(super) fn execute(mut plan: ResolvedPlan, asked: Asked) -> Result<Exit, Error> {
    let Asked { work, resume, force, threads, device, memory } = asked;
    plan.device = device.unwrap_or(plan.device);
    plan.limits.memory = memory.or(plan.limits.memory);
    // What is kept for the next time counts as held.
    if plan.limits.memory.is_none() {
        fmrai_torch::keep_freed_pages();
    }
    let interrupted = crate::interrupts::watch()?;
    let stop = |_| interrupted.load(Ordering::Relaxed);
    let configs = plan.analyses.iter().map(|a| (a.name.clone(), a.config.clone())).collect();
    threads::set_for_process(threads)?;
    let progress = Progress::new();
    let outcome = run::run(plan, &Options { work, resume, force, observers: &[&progress], stop: &stop })?;
    drop(progress);
    terminal::answer(&describe(&outcome, &configs))?;
    Ok(outcome.exit())
}

/// How a run went, in lines for people.
pub(crate) fn describe(outcome: &Outcome, configs: &BTreeMap<String, Map<String, Value>>) -> String {
    let counts = outcome.counts;
    let mut text = String::new();
    if let Some(parity) = outcome.parity.as_ref().filter(|_| outcome.outputs_differ()) {
        let _ = writeln!(
            text,
            "WARNING: the watched model's outputs DIFFER from the untouched model's (largest difference {}): do not rely on these \
             results",
            significant(parity.max_abs_difference(), 2)
        );
    }
    if let Some(output) = &outcome.output {
        let output = shown(output).display().to_string();
        let _ = match &outcome.part {
            None => writeln!(text, "results: {output}"),
            Some(part) => writeln!(text, "absorbed: {part}, kept in {output} for `fmrai merge`"),
        };
    }
    let _ = match counts.tokens {
        0 => write!(text, "data: {}", count(counts.texts, "sample")),
        tokens => write!(text, "data: {}, {}", count(counts.texts, "text"), count(tokens, "token")),
    };
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
    for warning in outcome.warnings.iter().skip(outcome.logged_warnings) {
        let _ = writeln!(text, "warning: {warning}");
    }
    if outcome.logged_warnings > 0 {
        let warnings = count(outcome.logged_warnings as u64, "warning");
        let _ = writeln!(text, "{warnings} when the run began, see summary.json");
    }
    let _ = writeln!(text, "parity: {}", parity(outcome.parity.as_ref(), outcome.recorded));
    if let (Some(Recorded { tensors, batches, bytes }), Some(output)) = (outcome.activations, &outcome.output)
    {
        let tensors = count(tensors as u64, "tensor");
        let batches = format!("{} batch{}", grouped(batches as u64), if batches == 1 { "" } else { "es" });
        let folder = shown(&output.join(ACTIVATIONS));
        let _ = writeln!(
            text,
            "activations: {tensors}, {batches}, {} bytes in {}",
            grouped(bytes),
            folder.display()
        );
    }
    for (name, answer) in &outcome.analyses {
        match answer {
            Ok(summary) => {
                let config = configs.get(name).cloned().unwrap_or_default();
                let _ = writeln!(text, "{name}: done{}{}", findings(summary), key_lines(summary, &config));
                let warnings = summary.get("warnings").and_then(Value::as_array).into_iter().flatten();
                for warning in warnings.filter_map(Value::as_str) {
                    let _ = writeln!(text, "  warning: {warning}");
                }
            }
            Err(failure) => {
                let _ = writeln!(text, "{name}: FAILED in {}: {}", failure.stage, failure.message);
            }
        }
    }
    text
}

fn parity(parity: Option<&ParityReport>, recorded: bool) -> String {
    let Some(parity) = parity else {
        return "not compared with the untouched model".to_owned();
    };
    let verdict = match (parity.agrees, recorded) {
        (true, false) => "outputs agree with",
        (false, false) => "outputs DIFFER from",
        (true, true) => {
            "not compared in this run, no model ran; when the activations were recorded, outputs agreed with"
        }
        (false, true) => {
            "not compared in this run, no model ran; when the activations were recorded, outputs DIFFERED from"
        }
    };
    let batches = if parity.batches == 1 { "batch" } else { "batches" };
    format!(
        "{verdict} the untouched model on {} {batches}, largest difference {}",
        parity.batches,
        significant(parity.max_abs_difference(), 2)
    )
}

/// What an analysis has found in sentences, the field `findings` of its summary, a line each.
fn findings(summary: &Map<String, Value>) -> String {
    let findings = summary.get("findings").and_then(Value::as_array).into_iter().flatten();
    findings.filter_map(Value::as_str).map(|finding| format!("\n  {}", one_line(finding))).collect()
}

/// The first fields of a summary in two lines: not what was configured or counted, which is told elsewhere.
fn key_lines(summary: &Map<String, Value>, config: &Map<String, Value>) -> String {
    let mut items = Vec::new();
    for (name, value) in summary {
        match value {
            _ if config.contains_key(name) || matches!(name.as_str(), "texts" | "tokens") => {}
            Value::Object(fields) => {
                items.extend(
                    fields
                        .iter()
                        .filter_map(|(field, value)| Some(format!("{name}.{field} {}", scalar(value)?))),
                );
            }
            value => items.extend(scalar(value).map(|value| format!("{name} {value}"))),
        }
    }
    let mut lines = vec![String::new()];
    for item in items {
        let full = lines.last().is_some_and(|line| line.len() + item.len() > WIDTH);
        if full && lines.len() == LINES {
            break;
        }
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            *line = format!("{line}{}{item}", if line.is_empty() { "" } else { ", " });
        }
    }
    lines.iter().filter(|line| !line.is_empty()).map(|line| format!("\n  {line}")).collect()
}

/// A value in a few characters; `None` for lists, objects, null and long texts.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) if number.is_f64() => number.as_f64().map(|x| significant(x, 4)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::String(text) if text.len() <= 40 => Some(text.clone()),
        _ => None,
    }
}

/// A number with so many significant digits; those after the point that are 0 are left out.
fn significant(x: f64, digits: i32) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    #[expect(clippy::cast_possible_truncation, reason = "an exponent of ten")]
    let exponent = x.abs().log10().floor() as i32;
    if !(-4..9).contains(&exponent) {
        return format!("{x:.*e}", usize::try_from(digits - 1).unwrap_or(0));
    }
    let text = format!("{x:.*}", usize::try_from(digits - 1 - exponent).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.230_491_3, "0.2305"),
            (1234.5, "1234"),
            (2.0, "2"),
            (1e-9, "1.000e-9"),
            (-0.5, "-0.5"),
        ];
        for (x, text) in cases {
            assert_eq!(significant(x, 4), text);
        }
    }

    #[test]
    fn the_answer_comes_before_what_is_known_already() {
        let value =
            json!({"texts": 3, "seed": 0, "heads": 72, "map": {"stress": 6.019_663, "list": []}, "x": null});
        let config = json!({"seed": 0});
        let lines = key_lines(value.as_object().unwrap(), config.as_object().unwrap());
        assert_eq!(lines, "\n  heads 72, map.stress 6.02");
    }
}
