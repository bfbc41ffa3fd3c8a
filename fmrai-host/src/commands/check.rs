//! `fmrai check`.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Exit};
use crate::estimate::{estimate, told};
use crate::paths::shown;
use crate::plan::{self, Catalogue, Parity, ResolvedAnalysis, ResolvedPlan, Source};
use crate::results;
use crate::results::folder::{self, Occupant};
use crate::run::{Cost, costs};
use crate::terminal;

/// What is asked of a plan beyond whether it is valid.
pub(crate) struct CheckOptions {
    pub(crate) estimate: bool,
    /// A file for the estimate.
    pub(crate) json: Option<PathBuf>,
    /// The options that say where its plugins may be.
    pub(crate) plugins: Vec<OsString>,
}

/// Tells every mistake of a plan, or what it will do, and what that will take.
pub(crate) fn check(file: &Path, catalogue: &Catalogue, options: &CheckOptions) -> Result<Exit, Error> {
    let plan = plan::read(file, catalogue)?;
    let (file, text) = (plan.file.clone(), describe(&plan)?);
    let costs = costs(plan)?;
    let failing = costs.iter().filter(|cost| cost.passes.is_err()).count();
    let (verdict, exit) = match failing {
        0 => ("plan is valid".to_owned(), Exit::Success),
        1 => ("1 analysis of the plan fails, see below".to_owned(), Exit::AnalysisFailed),
        more => (format!("{more} analyses of the plan fail, see below"), Exit::AnalysisFailed),
    };
    terminal::answer(&format!("{verdict}: {}\n{text}{}", file.display(), passes(&costs)))?;
    if options.estimate && failing == 0 {
        // Read once more: what methods prepared for before is theirs.
        let plan = plan::read(&file, catalogue)?;
        let estimate = estimate(&file, plan, &options.plugins)?;
        terminal::answer(&told(&estimate))?;
        if let Some(file) = &options.json {
            results::write_json(file, &estimate)?;
        }
    }
    Ok(exit)
}

/// What methods that drive the model take.
fn passes(costs: &[Cost]) -> String {
    let mut text = String::new();
    if costs.is_empty() {
        return text;
    }
    let samples = costs.first().map_or(0, |cost| cost.samples);
    let _ = writeln!(
        text,
        "passes: for the first batch, of {samples} texts, beside the one that all analyses share"
    );
    for Cost { name, passes, sweeps, .. } in costs {
        let sweeps =
            if *sweeps > 1 { format!(", in {sweeps} sweeps through the data") } else { String::new() };
        let _ = match passes {
            Ok(passes) => writeln!(text, "  {name}: {passes:.1}{sweeps}"),
            Err(why) => writeln!(text, "  {name}: fails, {why}"),
        };
    }
    text
}

fn describe(plan: &ResolvedPlan) -> Result<String, Error> {
    let document = plan.document();
    let mut text = String::new();
    for part in ["model", "data"] {
        if let Some(source) = document.get(part) {
            let _ = writeln!(text, "{part}: {}", component(source, Some(&plan.base)));
        }
    }
    if let Source::Activations(folder) = &plan.source {
        let _ = writeln!(text, "activations: {}", shown(folder).display());
    }
    for plugin in document["plugins"].as_array().into_iter().flatten() {
        let field = |field: &str| plugin[field].as_str().unwrap_or_default();
        let _ = writeln!(text, "plugin: {} (sha256 {})", field("path"), field("sha256"));
    }
    let analyses = document["analyses"].as_array().map_or(&[][..], Vec::as_slice);
    let word = if analyses.len() == 1 { "analysis" } else { "analyses" };
    let waits = plan.analyses.iter().any(|analysis| analysis.later.is_some());
    let how =
        if waits { "each as soon as it has what it takes from others" } else { "in one pass over the data" };
    let _ = writeln!(text, "{} {word} {how}:", analyses.len());
    for (analysis, resolved) in analyses.iter().zip(&plan.analyses) {
        let _ = writeln!(text, "  {}{}", component(analysis, None), after(resolved));
    }
    if let Some(capture) = &plan.capture {
        let select: Vec<String> = capture.select.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "capture: {}", select.join(", "));
    }
    let parity = match plan.parity {
        _ if matches!(plan.source, Source::Activations(_)) => "those of the capture: no model runs",
        Parity::First => "compared with the untouched model on the first batch",
        Parity::Every => {
            "compared with the untouched model on every batch, which takes a second forward pass each"
        }
        Parity::Off => "not compared with the untouched model",
    };
    let _ = writeln!(text, "parity: outputs are {parity}");
    let state = match folder::occupant(&plan.output, document)? {
        Occupant::Nothing => "is free".to_owned(),
        Occupant::Begun => "was taken by a run of this plan that did nothing, which starts again".to_owned(),
        Occupant::SamePlan => "holds results of this plan, which will be replaced".to_owned(),
        Occupant::Unfinished => {
            "holds an unfinished run: --resume goes on with it, --force drops it".to_owned()
        }
        Occupant::OtherPlan => "holds results of another plan: needs --force or another --output".to_owned(),
        Occupant::Foreign(name) => format!("holds {name:?}, not a result: needs --force or another --output"),
    };
    let _ = writeln!(text, "output: {} {state}", shown(&plan.output).display());
    Ok(text)
}

/// What an analysis waits for.
fn after(analysis: &ResolvedAnalysis) -> String {
    let references = analysis.later.iter().flat_map(|later| &later.references);
    let mut names: Vec<&str> = references
        .filter(|reference| reference.spec.run.is_none())
        .map(|reference| reference.spec.from.as_str())
        .collect();
    names.dedup();
    if names.is_empty() { String::new() } else { format!(", after {}", names.join(" and ")) }
}

/// `type (field value, ...)` with all fields; paths that start from `base` are told as they are from here.
fn component(value: &Value, base: Option<&Path>) -> String {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let kind = fields.shift_remove("type").unwrap_or_default();
    let here = |value: &mut Value| {
        if let (Some(base), Some(path)) = (base, value.as_str()) {
            *value = Value::String(shown(&base.join(path)).display().to_string());
        }
    };
    for field in ["path", "tokenizer"] {
        fields.get_mut(field).map(here);
    }
    if let Some(Value::Object(files)) = fields.get_mut("files") {
        files.values_mut().for_each(here);
    }
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
    format!("{} ({})", kind.as_str().unwrap_or_default(), fields.join(", "))
}
